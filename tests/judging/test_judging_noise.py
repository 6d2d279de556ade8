"""What an A/A stage says about chance, and what is planned on it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from autosynth_core.judging.noise import (
    Component,
    Noise,
    NoiseRow,
    detectable_difference,
    in_words,
    measure_noise,
    suggest,
)
from autosynth_core.judging.reward import difference
from autosynth_core.records import Comparison


def made(
    chance: random.Random,
    shape: tuple[int, int, int],
    sds: tuple[float, float, float],
    lost: float = 0.0,
) -> Iterator[NoiseRow]:
    """Scores of ``shape`` seeds x replicates x repeats with the given sds (points) of seed, sample and judge."""
    for seed in range(shape[0]):
        of_seed = chance.gauss(0, sds[0])
        for replicate in range(shape[1]):
            of_sample = chance.gauss(0, sds[1])
            for repeat in range(shape[2]):
                score = 3 + of_seed + of_sample + chance.gauss(0, sds[2])
                if chance.random() >= lost:
                    yield NoiseRow(str(seed), replicate, repeat, score)


def fixed(judge: float | None, sample: float, seed: float = 0.1) -> Noise:
    """Noise with these variances, measured on plenty."""

    def part(variance: float) -> Component:
        return Component(variance, 30, variance / 2, variance * 2)

    return Noise(None if judge is None else part(judge), part(sample), part(seed), 90, 10, 30)


# --- measuring ---


def test_a_balanced_design_gives_the_textbook_values() -> None:
    # By hand: two seeds x two samples x two repeats. MS judge 0.5, samples 1, seeds 8.
    scores = {("a", 0): (1, 2), ("a", 1): (2, 3), ("b", 0): (3, 4), ("b", 1): (4, 5)}
    rows = [NoiseRow(*at, k, float(score)) for at, pair in scores.items() for k, score in enumerate(pair)]
    found = measure_noise(rows)
    assert found is not None
    assert found.judge is not None
    assert found.seed is not None
    assert found.judge.variance == pytest.approx(0.5)
    assert found.sample.variance == pytest.approx((1 - 0.5) / 2)
    assert found.seed.variance == pytest.approx((8 - 1) / 4)
    assert (found.judge.df, found.sample.df, found.seed.df) == (4, 2, 1)
    assert (found.scores, found.seeds, found.samples) == (8, 2, 4)
    assert found.judge.low == pytest.approx(4 * 0.5 / 11.143287)
    assert found.judge.high == pytest.approx(4 * 0.5 / 0.484419, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "lost"), [((6, 3, 2), 0.0), ((8, 4, 3), 0.3)], ids=["balanced", "a third of the scores lost"]
)
def test_intervals_hold_the_truth_and_estimates_stand_around_it(shape: tuple[int, int, int], lost: float) -> None:
    chance, runs, truth = random.Random(3), 250, (0.09, 0.04, 0.0625)
    held, total = [0, 0, 0], [0.0, 0.0, 0.0]
    for _ in range(runs):
        found = measure_noise(made(chance, shape, (0.3, 0.2, 0.25), lost))
        assert found is not None
        for i, part in enumerate((found.seed, found.sample, found.judge)):
            assert part is not None
            held[i] += part.low <= truth[i] <= part.high
            total[i] += part.variance
    assert all(count >= 0.91 * runs for count in held)
    assert [each / runs for each in total] == pytest.approx(truth, rel=0.15)


def test_no_scatter_between_samples_is_not_below_zero_and_still_has_an_upper_bound() -> None:
    # The judge wavers, and the samples' means are closer together than that explains.
    rows = [NoiseRow(str(s), r, k, 3 + 0.5 * k + 0.2 * r) for s in range(3) for r in range(3) for k in range(2)]
    found = measure_noise(rows)
    assert found is not None
    assert found.sample.variance == 0
    assert found.sample.low == 0
    assert found.sample.high > 0


def test_a_judge_that_always_says_the_same_of_the_same_text_has_no_scatter() -> None:
    rows = [
        NoiseRow(str(s), r, k, score)
        for s in range(4)
        for r, score in enumerate((2.1, 3.3, 2.7))
        for k in range(3)
    ]  # fmt: skip
    found = measure_noise(rows)
    assert found is not None
    assert found.judge_never_wavers
    assert found.judge == Component(0.0, 24, 0.0, 0.0)
    assert found.sample.variance == pytest.approx(0.36)
    assert found.spread(1, 1) == found.spread(1, 5)
    assert "the judge gave the same text the same score every time" in in_words(found, 8)


def test_a_judge_that_gives_everything_the_same_score_is_said_to_perhaps_tell_nothing_apart() -> None:
    found = measure_noise(NoiseRow(str(s), r, k, 3.7) for s in range(3) for r in range(2) for k in range(2))
    assert found is not None
    assert found.spread() == 0
    assert detectable_difference(found, 5) == 0
    assert "unless the judge cannot tell one text from another" in in_words(found, 5)


def test_without_repeats_the_judges_part_is_unknown_and_stays_in_the_samples() -> None:
    chance = random.Random(4)
    found = measure_noise(made(chance, (400, 2, 1), (0.3, 0.3, 0.4)))
    assert found is not None
    assert found.judge is None
    assert not found.judge_never_wavers
    assert found.sample.variance == pytest.approx(0.25, rel=0.15)
    assert found.spread(1, 4) == found.spread(1, 1)
    assert "was not measured" in in_words(found, 8)


def test_a_single_seed_input_says_nothing_of_seed_inputs() -> None:
    found = measure_noise(made(random.Random(5), (1, 4, 2), (0.3, 0.3, 0.3)))
    assert found is not None
    assert found.seed is None
    assert found.judge is not None


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [NoiseRow("a", 0, 0, 3.0)],
        [NoiseRow("a", 0, 0, 3.0), NoiseRow("b", 0, 0, 4.0)],
        [NoiseRow("a", 0, k, 3.0) for k in range(5)],
        [NoiseRow("a", 0, 0, 3.0), NoiseRow("a", 1, 0, None)],
    ],
    ids=["nothing", "one score", "a sample each", "one sample many times", "the second was not read"],
)
def test_no_second_sample_anywhere_says_nothing(rows: list[NoiseRow]) -> None:
    assert measure_noise(rows) is None


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, 0.0, 5.5, -3.0])
def test_what_is_no_score_changes_nothing(bad: float | None) -> None:
    rows = list(made(random.Random(6), (3, 3, 2), (0.2, 0.2, 0.2)))
    more = [NoiseRow("0", 0, 7, bad), NoiseRow("new", 0, 0, bad), NoiseRow("1", 9, 0, bad)]
    assert measure_noise([*rows, *more]) == measure_noise(rows)


def test_the_order_of_rows_and_a_row_given_twice_change_nothing() -> None:
    rows = list(made(random.Random(7), (3, 3, 2), (0.2, 0.2, 0.2), lost=0.2))
    assert measure_noise([*reversed(rows), *rows[:4]]) == measure_noise(rows)


# --- planning ---


def test_spread_of_a_mean_is_by_samples_and_by_judgements() -> None:
    noise = fixed(judge=0.08, sample=0.04)
    assert noise.spread() == pytest.approx(math.sqrt(0.12))
    assert noise.spread(2) == pytest.approx(math.sqrt(0.06))
    assert noise.spread(1, 2) == pytest.approx(math.sqrt(0.08))
    with pytest.raises(ValueError, match="at least one"):
        noise.spread(0)


@pytest.mark.parametrize(("seeds", "effect"), [(3, 3.2641), (8, 1.1560), (20, 0.6604), (50, 0.4042)])
def test_detectable_difference_is_that_of_power_tables(seeds: int, effect: float) -> None:
    # Effect sizes that a two-sided paired t test at 5% finds with 80% (in sds of a difference).
    sd_of_difference = math.sqrt(2 * 0.12)
    assert detectable_difference(fixed(0.08, 0.04), seeds) == pytest.approx(effect * sd_of_difference, rel=2e-4)


@pytest.mark.parametrize("power", [0.8, 0.95])
def test_a_difference_of_that_size_is_found_as_often_as_it_says(power: float) -> None:
    chance, runs, seeds = random.Random(8), 1500, 6
    size = detectable_difference(fixed(0.02, 0.02), seeds, power=power)
    found = 0
    for _ in range(runs):
        parent = {str(s): chance.gauss(2.5, 0.2) for s in range(seeds)}
        child = {seed: chance.gauss(2.5 + size, 0.2) for seed in parent}
        found += difference(child, parent).verdict is Comparison.BETTER
    assert found / runs == pytest.approx(power, abs=3.5 * math.sqrt(power * (1 - power) / runs))


def test_more_of_anything_detects_less() -> None:
    noise = fixed(0.05, 0.05)
    start = detectable_difference(noise, 6)
    assert detectable_difference(noise, 7) < start
    assert detectable_difference(noise, 6, 2) < detectable_difference(noise, 6, 1, 2) < start
    assert detectable_difference(noise, 6, power=0.9) > start


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seed_inputs_detect_nothing(seeds: int) -> None:
    assert detectable_difference(fixed(0, 0), seeds) == math.inf


@pytest.mark.parametrize("power", [0.0, 0.49, 1.0, math.nan])
def test_power_that_makes_no_sense_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="power"):
        detectable_difference(fixed(0.1, 0.1), 8, power=power)


def test_the_plan_is_the_cheapest_that_reaches_what_is_wanted() -> None:
    noise = fixed(judge=0.04, sample=0.08)
    plan = suggest(noise, 0.4, 40)
    assert plan.reached
    assert plan.detects <= 0.4
    assert plan.calls == plan.seeds * plan.replicates * plan.repeats
    others = [
        (s, r, k)
        for s in range(3, 41)
        for r in range(1, 5)
        for k in range(1, 5)
        if s * r * k < plan.calls and detectable_difference(noise, s, r, k) <= 0.4
    ]
    assert others == []


def test_a_text_is_judged_again_only_where_making_one_costs_more() -> None:
    noise = fixed(judge=0.3, sample=0.01)
    assert suggest(noise, 0.5, 12).repeats == 1
    assert suggest(noise, 0.5, 12, sample_calls=20).repeats > 1


def test_what_cannot_be_reached_is_said_with_the_best_that_can() -> None:
    plan = suggest(fixed(0.1, 0.1), 0.01, 5, max_replicates=2, max_repeats=2)
    assert not plan.reached
    assert plan[:4] == (5, 2, 2, 20)
    assert plan.detects > 0.01


def test_repeats_of_a_judge_that_never_wavers_are_not_bought() -> None:
    plan = suggest(fixed(0, 0.1), 0.01, 5)
    assert (plan.seeds, plan.replicates, plan.repeats) == (5, 4, 1)


@pytest.mark.parametrize(("wanted", "seeds"), [(0.0, 8), (-1.0, 8), (math.nan, 8), (0.3, 2)])
def test_a_plan_for_nothing_is_refused(wanted: float, seeds: int) -> None:
    with pytest.raises(ValueError, match=r"must be above|needs at least"):
        suggest(fixed(0.1, 0.1), wanted, seeds)


# --- words ---


@pytest.mark.parametrize(
    ("judge", "sample", "reason"),
    [
        (0.01, 0.2, "mainly because it writes a different text"),
        (0.0, 0.2, "all of it because the texts differ"),
        (0.2, 0.01, "because the judge does not give the same text the same score twice"),
        (0.1, 0.1, "partly because"),
    ],
)
def test_words_say_where_chance_comes_from(judge: float, sample: float, reason: str) -> None:
    said = in_words(fixed(judge, sample), 8)
    assert reason in said
    assert said.count(". ") == 1
    assert "On 8 inputs" in said


def test_words_do_not_promise_what_the_scale_cannot_show() -> None:
    assert "use more inputs" in in_words(fixed(1.0, 1.0), 3)
    assert "use more inputs" in in_words(fixed(0.1, 0.1), 2)
