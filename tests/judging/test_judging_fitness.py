"""Outputs of known worth, and what a judge's scores of them say about the judge."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pytest

from autosynth_core.judging.fitness import Auc, Fitness, FitnessVerdict, auc, fitness, reweighted
from autosynth_core.judging.known import (
    CUT,
    OFF_TOPIC,
    RULE_BROKEN,
    SHUFFLED,
    Known,
    KnownKind,
    known_outputs,
    rule_to_break,
    spoiled,
)
from autosynth_core.records import Example, FieldKind, Metric, MetricSet, OutputField, SeedInput, Task

SEED = SeedInput({"concept": "osmosis"})
TURNS = [
    {"speaker": "tutor", "text": "What do you see?"},
    {"speaker": "student", "text": "It swells."},
    {"speaker": "tutor", "text": "Why?"},
    {"speaker": "student", "text": "Water goes in."},
]


def task_of(*fields: OutputField) -> Task:
    return Task("t", "d", "a", fields, (), (), (), (SEED,), ())


TEXT_TASK = task_of(OutputField("text", "x"))
TURNS_TASK = task_of(OutputField("turns", "x", FieldKind.TURNS), OutputField("text", "x"))


def good(id_: str, output: dict[str, Any], concept: str = "osmosis") -> Known:
    return Known(id_, KnownKind.GOOD, "example", {"concept": concept}, output)


def only(copies: list[Known], how: str) -> Known:
    (found,) = [each for each in copies if each.how == how]
    return found


# --- spoiled copies ---


def test_a_cut_copy_is_the_first_third() -> None:
    text = "One two three. Four five six. Seven eight nine."
    assert only(spoiled(TEXT_TASK, [good("a", {"text": text})]), CUT).output == {
        "text": text[: len(text) // 3].rstrip()
    }


def test_a_cut_dialogue_keeps_its_first_turns() -> None:
    output = {"turns": TURNS, "text": "A long enough text."}
    assert only(spoiled(TURNS_TASK, [good("a", output)]), CUT).output == {"turns": TURNS[:1], "text": "A long"}


def test_a_shuffled_copy_has_the_same_sentences_and_none_follows_the_one_it_followed() -> None:
    text = "First one. Then two! And three?\n\nLast four."
    assert only(spoiled(TEXT_TASK, [good("a", {"text": text})]), SHUFFLED).output == {
        "text": "Last four. And three? Then two! First one."
    }


def test_a_shuffled_dialogue_keeps_every_turn_whole() -> None:
    copy = only(spoiled(TURNS_TASK, [good("a", {"turns": TURNS, "text": "A. B."})]), SHUFFLED)
    assert copy.output == {"turns": TURNS[::-1], "text": "B. A."}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cell is a club", "club a is cell a"),
        ("细胞是门。水进来。", "水进来。细胞是门。"),
        ("Go. Go. Now go. ", "Now go. Go. Go."),
    ],
    ids=["one sentence", "no gaps between sentences", "a sentence twice"],
)
def test_a_text_is_shuffled_by_the_largest_parts_it_has(text: str, expected: str) -> None:
    assert only(spoiled(TEXT_TASK, [good("a", {"text": text})]), SHUFFLED).output["text"] == expected


def test_an_off_topic_copy_is_the_output_for_the_most_different_input() -> None:
    alike, far = good("b", {"text": "near"}, "osmosis in plants"), good("c", {"text": "far"}, "voltage")
    copy = only(spoiled(TEXT_TASK, [good("a", {"text": "x y"}, "osmosis in cells"), alike, far])[:3], OFF_TOPIC)
    assert (copy.output, copy.seed) == ({"text": "far"}, {"concept": "osmosis in cells"})


def test_the_only_good_output_is_off_topic_under_another_input() -> None:
    copies = spoiled(TEXT_TASK, [good("a", {"text": "x y"})], [SEED, SeedInput({"concept": "voltage"})])
    copy = only(copies, OFF_TOPIC)
    assert (copy.output, copy.seed) == ({"text": "x y"}, {"concept": "voltage"})


def test_nothing_is_off_topic_without_another_input() -> None:
    same_input = [good("a", {"text": "x y"}), good("b", {"text": "z"})]
    assert [each.how for each in spoiled(TEXT_TASK, same_input, [SEED]) if each.how == OFF_TOPIC] == []


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"text": ""},
        {"text": "x"},
        {"text": " \n "},
        {"text": None},
        {"text": 7},
        {"turns": []},
        {"turns": "no list"},
        {"turns": [None]},
        {"turns": [{"speaker": "tutor"}]},
        {"turns": [{"speaker": "tutor", "text": "no"}]},
        {"turns": [7, "a", None]},
        {"turns": TURNS[:1] * 3},
        {"text": "go go go"},
        {"text": "\ud800 a"},
        {"text": "a" * 50_000 + "! " * 50_000},
    ],
    ids=str,
)
def test_no_copy_is_like_its_original_whatever_that_is(output: dict[str, Any]) -> None:
    original = good("a", output)
    for task in (TEXT_TASK, TURNS_TASK):
        for copy in spoiled(task, [original]):
            assert copy.output != original.output
            assert copy.output.keys() == output.keys()


def test_copies_are_the_same_each_time_and_have_ids_of_their_own() -> None:
    originals = [good("a", {"text": "One. Two."}), good("b", {"text": "Three. Four."}, "voltage")]
    copies = spoiled(TEXT_TASK, originals)
    assert copies == spoiled(TEXT_TASK, originals)
    assert [each.id for each in copies] == [f"{each}:{how}" for each in "ab" for how in (CUT, SHUFFLED, OFF_TOPIC)]
    assert {each.kind for each in copies} == {KnownKind.SPOILED}


BREACH = "Drink it, it is safe."


def _task(
    task: Task, *outputs: dict[str, Any], rules: tuple[str, ...] = ("It says that acid is safe to drink.",)
) -> Task:
    examples = tuple(Example({"concept": f"concept {at}"}, output) for at, output in enumerate(outputs))
    return replace(task, must_nevers=rules, good_examples=examples)


def test_one_of_the_copies_breaks_a_rule_and_is_otherwise_its_original() -> None:
    task = _task(TEXT_TASK, {"text": "Acid is sour. \n"}, {"text": "Another. One."}, {"text": "A third. One."})
    found = known_outputs(task, BREACH)
    copy = only(found, RULE_BROKEN)
    assert copy.output == {"text": f"Acid is sour. {BREACH}"}
    assert copy.kind is KnownKind.SPOILED
    assert {each.how for each in found if each.kind is KnownKind.SPOILED} == {CUT, SHUFFLED, OFF_TOPIC, RULE_BROKEN}
    assert len(found) == len(known_outputs(task))


def test_a_rule_is_broken_in_the_last_turn_of_a_dialogue() -> None:
    copy = only(known_outputs(_task(TURNS_TASK, {"turns": TURNS, "text": "The end."}), BREACH), RULE_BROKEN)
    assert copy.output["turns"][:-1] == TURNS[:-1]
    assert copy.output["turns"][-1] == {**TURNS[-1], "text": f"{TURNS[-1]['text']} {BREACH}"}


@pytest.mark.parametrize(
    ("outputs", "rules", "breach"),
    [
        (({"text": "Fine."},), (), BREACH),
        ((), ("a rule",), BREACH),
        (({"text": "Fine."},), ("a rule",), ""),
        (({"text": 7},), ("a rule",), BREACH),
        (({"text": None},), ("a rule",), " \n"),
    ],
    ids=["no rule", "nothing good", "no words", "no text", "no text and no words"],
)
def test_no_rule_is_broken_where_none_can_be(
    outputs: tuple[dict[str, Any], ...], rules: tuple[str, ...], breach: str
) -> None:
    task = _task(TEXT_TASK, *outputs, rules=rules)
    assert known_outputs(task, breach) == known_outputs(task)
    assert bool(rule_to_break(task)) == bool(rules and outputs)


# --- AUC ---


@pytest.mark.parametrize(
    ("better", "worse", "value"),
    [
        ([4, 5], [1, 2], 1.0),
        ([1, 2], [4, 5], 0.0),
        ([3, 3], [3, 3], 0.5),
        ([3, 5], [3, 4], 0.625),
        ([3, None, 5], [math.nan, 3, 4], 0.625),
    ],
    ids=["apart", "the wrong way round", "all the same", "a tie counts half", "the unread is left out"],
)
def test_auc_counts_pairs(better: list[float | None], worse: list[float | None], value: float) -> None:
    found = auc(better, worse)
    assert found is not None
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(("better", "worse"), [([], [1]), ([1], []), ([None], [1]), ([], [])])
def test_auc_of_one_side_alone_is_none(better: list[float | None], worse: list[float | None]) -> None:
    assert auc(better, worse) is None


def test_bounds_solve_the_equation_that_defines_them() -> None:
    found = auc([5, 4, 3, 3, 4.5, 2], [1, 2, 3, 2.5, 4.2, 1, 1.5])
    assert found is not None
    extra = (6 + 7) / 2 - 1
    for a in (found.low, found.high):
        variance = a * (1 - a) * (1 + extra * (1 - a) / (2 - a) + extra * a / (1 + a)) / 42
        assert abs(a - found.value) == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-5)
    assert 0 < found.low < found.value < found.high < 1


def test_a_judge_that_made_no_error_on_a_few_is_not_taken_for_perfect() -> None:
    few, many = auc([5] * 3, [1] * 3), auc([5] * 30, [1] * 30)
    assert few is not None
    assert many is not None
    assert few.value == few.high == many.high == 1
    assert few.low < 0.6 < 0.9 < many.low


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_interval_holds_the_truth_as_often_as_it_says(power: float) -> None:
    chance, runs, apart = random.Random(1), 800, math.sqrt(2) * NormalDist().inv_cdf(power)
    held = 0
    for _ in range(runs):
        found = auc([chance.gauss(apart, 1) for _ in range(8)], [chance.gauss(0, 1) for _ in range(10)])
        assert found is not None
        held += found.low <= power <= found.high
    assert held / runs >= 0.93


# --- a judge's fitness ---

FIVE = MetricSet(tuple(Metric(name, "", "", "") for name in "ABCDE"))


def known(n_good: int, n_bad: int, spoils: tuple[str, ...] = ()) -> list[Known]:
    found = [good(f"g{i}", {"text": "x"}) for i in range(n_good)]
    found += [Known(f"b{i}", KnownKind.BAD, "refused", {}, {}) for i in range(n_bad)]
    return found + [Known(f"g{i}:{how}", KnownKind.SPOILED, how, {}, {}) for i in range(n_good) for how in spoils]


def tried(
    judge: dict[str, dict[KnownKind, float]], outputs: list[Known], chance: random.Random, sd: float = 0.3
) -> Fitness:
    """A judge that gives each kind of output the mean score set for the metric, with some scatter."""
    metrics = MetricSet(tuple(Metric(name, "", "", "") for name in judge))
    scores = {
        each.id: {name: min(5, max(1, chance.gauss(means[each.kind], sd))) for name, means in judge.items()}
        for each in outputs
    }
    return fitness(scores, outputs, metrics)


SHARP = {KnownKind.GOOD: 4.2, KnownKind.BAD: 2.2, KnownKind.SPOILED: 1.8}
BLIND = dict.fromkeys(KnownKind, 3.0)
WRONG = {KnownKind.GOOD: 2.0, KnownKind.BAD: 4.0, KnownKind.SPOILED: 4.0}
EASY = {KnownKind.GOOD: 4.0, KnownKind.BAD: 4.0, KnownKind.SPOILED: 1.5}


def of_power(power: float, chance: random.Random) -> FitnessVerdict:
    """The verdict on a judge of five metrics whose mean has this power, on six good and six bad outputs."""
    shared, own = 0.35, 0.35
    apart = math.sqrt(2 * (shared**2 + own**2 / 5)) * NormalDist().inv_cdf(power)
    outputs = known(6, 6)
    scores = {}
    for each in outputs:
        centre = 3 + (apart if each.kind is KnownKind.GOOD else 0) + chance.gauss(0, shared)
        scores[each.id] = {name: min(5, max(1, centre + chance.gauss(0, own))) for name in "ABCDE"}
    return fitness(scores, outputs, FIVE).verdict


@pytest.mark.parametrize(
    ("power", "wrong"),
    [(0.95, FitnessVerdict.UNFIT), (0.5, FitnessVerdict.FIT), (0.6, FitnessVerdict.FIT)],
    ids=["a fit one", "one that guesses", "one hardly better than that"],
)
def test_twelve_known_outputs_are_enough_not_to_confuse_judges(power: float, wrong: FitnessVerdict) -> None:
    chance = random.Random(2)
    got = [of_power(power, chance) for _ in range(120)]
    assert got.count(wrong) <= 0.05 * len(got)
    assert FitnessVerdict.UNKNOWN not in got


def test_a_sharp_judge_is_fit_and_its_scale_is_shown() -> None:
    found = tried({"A": SHARP, "B": SHARP}, known(6, 6, (CUT,)), random.Random(3))
    assert found.verdict is FitnessVerdict.FIT
    assert "You can start" in found.sentence
    assert found.scale == pytest.approx((4.2, 2.2, 1.8), abs=0.3)
    assert found.missing == 0
    assert found.overall is not None
    assert (found.overall.n_good, found.overall.n_bad) == (6, 12)


def test_a_metric_that_separates_nothing_has_no_weight_and_the_sum_of_weights_stays() -> None:
    found = tried({"A": SHARP, "B": WRONG, "C": SHARP}, known(8, 8), random.Random(4))
    weights = {each.name: each.weight for each in found.metrics}
    assert weights["B"] == 0
    assert sum(weights.values()) == pytest.approx(3)


def test_weights_are_the_formula() -> None:
    outputs = known(4, 4)
    a = {"g0": 5, "g1": 5, "g2": 5, "g3": 5, "b0": 1, "b1": 1, "b2": 1, "b3": 1}  # AUC 1
    b = {"g0": 5, "g1": 5, "g2": 3, "g3": 1, "b0": 4, "b1": 1, "b2": 1, "b3": 1}  # AUC (4 + 4 + 3 + 1.5) / 16
    metrics = MetricSet((Metric("A", "", "", "", 2.0), Metric("B", "", "", "")))
    found = fitness({id_: {"A": a[id_], "B": b[id_]} for id_ in a}, outputs, metrics)
    share, power = 8 / 20, 2 * 12.5 / 16 - 1
    raw = (
        2 * (share * 1 / ((1 + power) / 2) + 1 - share),
        share * power / ((1 + power) / 2) + 1 - share,
    )
    assert [each.weight for each in found.metrics] == pytest.approx([3 * each / sum(raw) for each in raw])
    assert [each.given for each in found.metrics] == [2, 1]
    assert [m.weight for m in reweighted(metrics, found).metrics] == [each.weight for each in found.metrics]
    assert reweighted(metrics, found).version != metrics.version


def test_more_outputs_with_the_same_power_move_weights_further() -> None:
    metrics = MetricSet((Metric("A", "", "", ""), Metric("B", "", "", "")))
    gaps = []
    for n in (4, 24):
        outputs = known(n, n)
        # A never errs; B has the AUC 0.75, since half of its bad outputs score as high as the good ones.
        scores = {f"g{i}": {"A": 4.0, "B": 4.0} for i in range(n)}
        scores |= {f"b{i}": {"A": 2.0, "B": 4.0 if i % 2 else 2.0} for i in range(n)}
        first, second = (each.weight for each in fitness(scores, outputs, metrics).metrics)
        gaps.append(first - second)
    assert 0.2 < gaps[0] < gaps[1] < 2 / 3  # with power alone 4/3 and 2/3


def test_choosing_weights_does_not_make_a_guessing_judge_look_better() -> None:
    chance, total, flattered = random.Random(6), [], []
    for _ in range(150):
        found = tried(dict.fromkeys("ABCDE", BLIND), known(6, 6), chance)
        assert found.overall is not None
        total.append(found.overall.value)
        flattered.append(max(each.overall.value for each in found.metrics if each.overall))
    assert sum(total) / len(total) == pytest.approx(0.5, abs=0.04)
    assert sum(flattered) / len(flattered) > 0.65


def test_one_good_metric_among_blind_ones_is_found_and_lifts_the_judge() -> None:
    judge = {"A": SHARP, "B": BLIND, "C": BLIND, "D": BLIND, "E": BLIND}
    found = tried(judge, known(10, 10), random.Random(7), sd=1.0)
    assert found.overall is not None
    assert found.as_given is not None
    assert found.overall.value > found.as_given.value
    assert max(found.metrics, key=lambda each: each.weight).name == "A"


def test_where_nothing_separates_weights_stay_usable_and_the_judge_is_unfit() -> None:
    found = tried({"A": WRONG, "B": WRONG}, known(5, 5), random.Random(8))
    assert [each.weight for each in found.metrics] == [1, 1]
    assert found.verdict is FitnessVerdict.UNFIT
    assert "stronger judge" in found.sentence


def test_telling_spoiled_copies_alone_does_not_make_a_judge_fit() -> None:
    found = tried({"A": EASY, "B": EASY}, known(6, 6, (CUT, SHUFFLED, OFF_TOPIC)), random.Random(9))
    assert found.overall is not None
    assert found.overall.value > 0.8
    assert found.by_how[CUT].value == 1
    assert found.verdict in (FitnessVerdict.UNFIT, FitnessVerdict.WEAK)


def test_powers_are_split_by_how() -> None:
    found = tried({"A": SHARP}, known(4, 4, (CUT, SHUFFLED)), random.Random(10))
    assert set(found.by_how) == set(found.metrics[0].by_how) == {"refused", CUT, SHUFFLED}
    assert found.by_how["refused"].n_bad == 4


@pytest.mark.parametrize(
    ("n_good", "n_bad", "asked"),
    [
        (0, 0, "give 3 more good examples and 3 more bad examples"),
        (2, 5, "give 1 more good example."),
        (5, 1, "give 2 more bad examples."),
    ],
)
def test_too_few_known_outputs_say_what_to_give(n_good: int, n_bad: int, asked: str) -> None:
    found = tried({"A": SHARP}, known(n_good, n_bad), random.Random(11))
    assert found.verdict is FitnessVerdict.UNKNOWN
    assert asked in found.sentence


def test_spoiled_copies_in_place_of_bad_outputs_can_only_speak_against_a_judge() -> None:
    sharp = tried({"A": SHARP}, known(5, 0, (CUT, OFF_TOPIC)), random.Random(12))
    blind = tried({"A": BLIND}, known(5, 0, (CUT, OFF_TOPIC)), random.Random(12))
    assert sharp.verdict is FitnessVerdict.UNKNOWN
    assert "give 3 more bad examples" in sharp.sentence
    assert blind.verdict is FitnessVerdict.UNFIT


def test_a_perfect_score_on_three_and_three_may_be_luck() -> None:
    found = tried({"A": SHARP}, known(3, 3), random.Random(13), sd=0.1)
    assert found.overall == Auc(1.0, pytest.approx(found.overall.low), 1.0, 3, 3)  # type: ignore[union-attr]
    assert found.verdict is FitnessVerdict.WEAK
    assert "may be luck" in found.sentence


@pytest.mark.parametrize("bad", [None, math.nan, 0.0, 7.0, math.inf])
def test_an_unread_score_lowers_nothing(bad: float | None) -> None:
    outputs = known(6, 6)
    scores: dict[str, dict[str, float | None]] = {
        each.id: dict.fromkeys("ABCDE", 4.0 if each.kind is KnownKind.GOOD else 2.0) for each in outputs
    }
    scores["g0"]["A"] = bad
    scores["b0"] = dict.fromkeys("ABCDE", bad)
    scores["g1"]["not of the set"] = 1.0
    found = fitness(scores, outputs, FIVE)
    assert found.overall is not None
    assert (found.overall.value, found.overall.n_good, found.overall.n_bad) == (1, 6, 5)
    assert found.missing == 6
    assert found.scale == (4, 2, None)
    assert found.verdict is FitnessVerdict.FIT


def test_nothing_read_at_all_is_unknown_and_says_so() -> None:
    found = fitness({}, known(6, 6), FIVE)
    assert found.verdict is FitnessVerdict.UNKNOWN
    assert "could be read" in found.sentence
    assert [each.weight for each in found.metrics] == [1] * 5
    assert (found.overall, found.as_given, found.scale, found.missing) == (None, None, (None, None, None), 60)


def test_a_metric_that_nobody_could_read_keeps_an_average_weight() -> None:
    outputs = known(6, 6)
    scores = {each.id: {"A": 4.0 if each.kind is KnownKind.GOOD else 2.0} for each in outputs}
    found = fitness(scores, outputs, MetricSet((Metric("A", "", "", ""), Metric("B", "", "", ""))))
    assert [each.weight for each in found.metrics] == [1, 1]
    assert found.metrics[1].overall is None
