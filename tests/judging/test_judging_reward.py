"""The arithmetic from verdicts to rewards."""

from __future__ import annotations

import math
import random

import pytest

from autosynth_core.judging import (
    difference,
    hybrid_reward,
    read_workflow_scores,
    score_rows,
    seed_scores,
    t_quantile,
    to_reward,
)
from autosynth_core.records import (
    Comparison,
    Metric,
    MetricSet,
    Sample,
    SampleState,
    ScoreRow,
    SeedInput,
    Verdict,
    VerdictMethod,
)

A = Metric("A", "a", "low", "high", 1.0)
B = Metric("B", "b", "low", "high", 3.0)
EQUAL = MetricSet(tuple(Metric(name, "", "", "", 1.0) for name in "ABCD"))


def row(seed: str, metric: str, score: float | None, replicate: int = 0) -> ScoreRow:
    return ScoreRow("w", seed, replicate, "v", "judge", metric, score)


def verdict(subject: str, metric: str, score: float | None) -> Verdict:
    return Verdict(subject, metric, "v", "judge", "hash", score, VerdictMethod.EXPECTED)


@pytest.mark.parametrize(("score", "expected"), [(1, 0), (3, 0.5), (5, 1), (6, 1.25)], ids=str)
def test_reward_of_a_score_is_linear(score: float, expected: float) -> None:
    assert to_reward(score) == expected


# --- from verdicts to a score a seed input ---


def test_metrics_count_by_their_weight() -> None:
    assert seed_scores([row("s", "A", 1), row("s", "B", 5)], MetricSet((A, B))) == {"s": 4.0}


def test_unread_verdict_does_not_lower_the_mean() -> None:
    rows = [row("s", "A", 4), row("s", "B", 4), row("s", "C", 4), row("s", "D", None)]
    assert seed_scores(rows, EQUAL) == {"s": 4.0}


def test_weights_are_renormalised_over_what_was_read() -> None:
    metrics = MetricSet((Metric("A", "", "", "", 1), Metric("B", "", "", "", 2), Metric("C", "", "", "", 1)))
    assert seed_scores([row("s", "A", 2), row("s", "B", 5), row("s", "C", None)], metrics)["s"] == pytest.approx(4.0)


def test_exactly_half_of_the_weight_is_enough() -> None:
    assert seed_scores([row("s", "A", 4), row("s", "B", 2)], EQUAL) == {"s": 3.0}


def test_half_of_awkward_weights_is_still_half() -> None:
    metrics = MetricSet((Metric("A", "", "", "", 0.1), Metric("B", "", "", "", 0.2), Metric("C", "", "", "", 0.3)))
    assert seed_scores([row("s", "C", 4)], metrics) == {"s": 4.0}


def test_less_than_half_of_the_weight_leaves_a_sample_unscored() -> None:
    assert seed_scores([row("s", "A", 5)], MetricSet((A, B))) == {}


def test_unscored_replicate_is_left_out_of_its_seed_inputs_mean() -> None:
    rows = [row("s", name, 4) for name in "ABCD"] + [row("s", "A", 1, replicate=1)]
    assert seed_scores(rows, EQUAL) == {"s": 4.0}


def test_replicates_count_alike_however_many_verdicts_they_have() -> None:
    rows = [row("s", name, 5) for name in "ABCD"] + [row("s", "A", 1, 1), row("s", "B", 1, 1)]
    assert seed_scores(rows, EQUAL) == {"s": 3.0}


def test_second_verdict_on_the_same_metric_does_not_double_its_weight() -> None:
    rows = [row("s", "A", 5), row("s", "A", 3), row("s", "B", 2)]
    assert seed_scores(rows, MetricSet((A, Metric("B", "", "", "", 1.0)))) == {"s": 3.0}


@pytest.mark.parametrize("score", [math.nan, math.inf, 0.0, -1.0, 5.01, None], ids=str)
def test_what_is_no_score_is_never_a_score(score: float | None) -> None:
    rows = [row("s", "A", 4), row("s", "B", 4), row("s", "C", score), row("t", "A", score)]
    assert seed_scores(rows, EQUAL) == {"s": 4.0}


def test_metric_outside_the_set_is_ignored() -> None:
    assert seed_scores([row("s", "A", 4), row("s", "gone", 1)], MetricSet((A,))) == {"s": 4.0}


@pytest.mark.parametrize(
    "metrics", [MetricSet(()), MetricSet((Metric("A", "", "", "", 0.0),))], ids=["none", "weightless"]
)
def test_without_weight_nothing_is_scored(metrics: MetricSet) -> None:
    assert seed_scores([row("s", "A", 5)], metrics) == {}


def test_weightless_metric_changes_nothing() -> None:
    metrics = MetricSet((A, Metric("Z", "", "", "", 0.0)))
    assert seed_scores([row("s", "A", 4), row("s", "Z", 1)], metrics) == {"s": 4.0}


def test_order_of_rows_and_metrics_changes_not_a_bit() -> None:
    chance = random.Random(7)
    rows = [row(f"s{i}", m, chance.uniform(1, 5), r) for i in range(6) for r in range(3) for m in "ABCD"]
    metrics = MetricSet(tuple(Metric(m, "", "", "", chance.uniform(0.1, 3)) for m in "ABCD"))
    expected = seed_scores(rows, metrics)
    for _ in range(20):
        chance.shuffle(rows)
        shuffled = MetricSet(tuple(chance.sample(metrics.metrics, 4)))
        assert seed_scores(rows, shuffled) == expected
        assert list(seed_scores(rows, shuffled)) == list(expected)


def test_verdicts_are_joined_with_their_samples() -> None:
    sample = Sample("run", "w", SeedInput({"concept": "atom"}), 2, SampleState.OK, {"text": "x"})
    rows = score_rows([sample], [verdict(sample.id, "A", 3), verdict("another", "A", 1)])
    assert rows == [ScoreRow("w", sample.seed.id, 2, "v", "judge", "A", 3)]


def test_workflow_scores_leave_unread_verdicts_out() -> None:
    verdicts = [verdict("w", "D", 5), verdict("w", "A", 4), verdict("w", "B", None), verdict("w", "B", 2)]
    assert read_workflow_scores(verdicts, EQUAL) == [4, 2, 5]


def test_workflow_with_most_verdicts_unread_has_no_scores() -> None:
    assert read_workflow_scores([verdict("w", "A", 5)], EQUAL) == []


# --- the t interval ---

TABLE = {1: 12.706205, 2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582, 9: 2.262157, 10: 2.228139, 30: 2.042272}
TABLE |= {49: 2.009575, 100: 1.983972, 199: 1.971957, 999: 1.962341, 1000: 1.962339, 1001: 1.962337, 10**6: 1.959966}


@pytest.mark.parametrize(("df", "expected"), TABLE.items(), ids=str)
def test_t_quantile_agrees_with_the_tables(df: int, expected: float) -> None:
    assert t_quantile(df) == pytest.approx(expected, abs=4e-6)


@pytest.mark.parametrize(
    ("df", "confidence", "expected"), [(1, 0.99, 63.656741), (5, 0.9, 2.015048), (7, 0.5, 0.711142)]
)
def test_t_quantile_holds_at_other_confidences(df: int, confidence: float, expected: float) -> None:
    assert t_quantile(df, confidence) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("df", "confidence"), [(0, 0.95), (-3, 0.95), (5, 0.0), (5, 1.0), (5, math.nan)])
def test_t_quantile_refuses_what_has_none(df: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(df, confidence)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(11)
    covered = 0
    for _ in range(2000):
        child = {str(s): 3 + chance.gauss(0.1, 0.3) for s in range(6)}
        found = difference(child, dict.fromkeys(child, 3.0))
        covered += found.low <= 0.1 <= found.high
    assert 0.935 <= covered / 2000 <= 0.965


# --- child against parent ---


def test_difference_is_paired_over_seed_inputs() -> None:
    parent = {"easy": 4.8, "hard": 1.5, "middling": 3.0, "odd": 2.0}
    child = {seed: score + gain for (seed, score), gain in zip(parent.items(), [0.1, 0.2, 0.15, 0.12], strict=True)}
    found = difference(child, parent)
    assert found.mean == pytest.approx(0.1425)
    assert found.se == pytest.approx(0.0217466, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.073293, 0.211707), abs=1e-5)
    assert (found.n, found.verdict) == (4, Comparison.BETTER)


def test_swapping_child_and_parent_turns_the_sign_and_the_verdict() -> None:
    one, other = {"a": 3.0, "b": 3.5, "c": 4.0}, {"a": 2.0, "b": 2.4, "c": 3.1}
    there, back = difference(one, other), difference(other, one)
    assert there.verdict is Comparison.BETTER
    assert back.verdict is Comparison.WORSE
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))  # type: ignore[operator]


def test_only_shared_seed_inputs_count() -> None:
    found = difference({"a": 3.0, "b": 3.0, "only child": 5.0}, {"a": 2.0, "b": 2.5, "only parent": 1.0})
    assert (found.mean, found.n) == (0.75, 2)


@pytest.mark.parametrize(
    ("child", "mean", "n"),
    [({}, None, 0), ({"a": 5.0}, 4.0, 1), ({"a": 5.0, "b": 5.0}, 4.0, 2)],
    ids=["none", "one", "two"],
)
def test_fewer_than_three_seed_inputs_cannot_tell(child: dict[str, float], mean: float | None, n: int) -> None:
    found = difference(child, {"a": 1.0, "b": 1.0, "c": 1.0})
    assert (found.mean, found.n, found.verdict) == (mean, n, Comparison.CANT_TELL)


def test_one_seed_input_says_nothing_about_the_others() -> None:
    found = difference({"a": 3.0}, {"a": 3.0})
    assert (found.se, found.low, found.high) == (None, -4.0, 4.0)


def test_a_copy_of_the_parent_cannot_be_told_from_it() -> None:
    scores = {str(i): 1 + i / 3 for i in range(9)}
    assert difference(scores, scores).verdict is Comparison.CANT_TELL


def test_rounding_noise_is_no_gain() -> None:
    parent = {"a": 0.3, "b": 0.3, "c": 0.3}
    child = dict.fromkeys(parent, 0.1 + 0.2)
    assert child["a"] > parent["a"]
    assert difference(child, parent).verdict is Comparison.CANT_TELL


def test_one_lucky_seed_input_is_no_gain() -> None:
    parent = {str(i): 3.0 for i in range(6)}
    assert difference(parent | {"0": 5.0}, parent).verdict is Comparison.CANT_TELL


# --- the reward ---


def test_reward_is_the_papers_formula() -> None:
    found = hybrid_reward(4.0, 3.6, 4.4, 3.0, 0.5, 2)
    assert (found.total, found.sample, found.workflow, found.n) == (0.625, 0.75, 0.5, 2)
    assert (found.low, found.high) == pytest.approx((0.575, 0.675))


def test_interval_is_of_the_sample_part_and_scaled_by_its_share() -> None:
    alone, half, none = (hybrid_reward(3.2, 3.0, 3.4, 5.0, weight, 3) for weight in (0.0, 0.5, 1.0))
    assert alone.high - alone.low == pytest.approx(0.1)
    assert half.high - half.low == pytest.approx(0.05)
    assert half.low < half.total < half.high
    assert none.low == none.total == none.high == 1.0


def test_interval_is_clipped_to_possible_rewards() -> None:
    found = hybrid_reward(3.0, -2.0, 8.0, 3.0, 0.0, 1)
    assert (found.low, found.high) == (0.0, 1.0)


def test_score_beyond_the_scale_keeps_its_order_and_stays_inside_its_interval() -> None:
    found, more = (hybrid_reward(score, score - 0.2, score + 0.2, 3.0, 0.0, 2) for score in (5.4, 5.6))
    assert 1 < found.total < more.total
    assert found.low <= found.total <= found.high


def test_workflow_without_a_share_changes_nothing_read_or_not() -> None:
    unread, read = (hybrid_reward(4.5, 4.0, 5.0, workflow, 0.0, 2) for workflow in (math.nan, 1.0))
    assert (unread.total, unread.low, unread.high) == (read.total, read.low, read.high) == (0.875, 0.75, 1.0)
    assert math.isnan(unread.workflow)


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan], ids=str)
def test_share_outside_its_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="share"):
        hybrid_reward(3.0, 2.0, 4.0, 3.0, weight, 1)
