"""What an expansion is told."""

from __future__ import annotations

from random import Random

import pytest
from search_cases import make_node, make_score, make_task, make_tree

from autosynth_core.errors import TransientFailure
from autosynth_core.judging import difference
from autosynth_core.records import Capabilities, Metric, MetricSet, NodeState, Sample, SampleState, Scope, ScoreRow
from autosynth_core.search import in_words
from autosynth_core.search.evidence import experience, find_weakness, lowest

METRICS = MetricSet((Metric("Clear", "It is clear.", "A fog.", "Clear as glass."), Metric("Vivid", "v", "l", "h")))
TASK = make_task()
SEEDS = TASK.search_seeds[:4]
SAMPLES = [Sample("run", "f0", seed, 0, SampleState.OK, {"text": f"about {seed.values['concept']}"}) for seed in SEEDS]


def row(seed: int, score: float | None, metric: str = "Clear") -> ScoreRow:
    return ScoreRow("f0", SEEDS[seed].id, 0, METRICS.version, "judge", metric, score)


class Judge:
    """Explains, or fails as an endpoint does."""

    def __init__(self, answer: str = "It never names the parts.") -> None:
        self.answer = answer
        self.asked = 0
        self.capabilities = Capabilities("", "judge", json_schema=False, json_mode=False, logprobs=True)

    async def text(self, messages: object, **given: object) -> str:
        self.asked += 1
        if not self.answer:
            raise TransientFailure("The endpoint is busy; try again later.")
        return self.answer


async def weakness(rows: list[ScoreRow], judge: Judge, samples: list[Sample] = SAMPLES, seed: int = 0):
    return await find_weakness(TASK, rows, samples, METRICS, judge, Scope("run", "reason", 1), Random(seed))


def test_weak_spot_is_drawn_among_the_three_lowest() -> None:
    rows = [row(0, 1.0), row(1, 2.0), row(2, 3.0), row(3, 4.0), row(0, 5.0, "Vivid")]
    assert {lowest(rows, Random(seed)).score for seed in range(40)} == {1.0, 2.0, 3.0}


def test_unread_verdict_is_no_weakness() -> None:
    assert lowest([row(0, None)], Random(0)) is None
    assert lowest([row(0, None), row(1, 4.0)], Random(0)).score == 4.0


async def test_weakness_names_metric_score_reason_and_sample() -> None:
    found = await weakness([row(1, 1.5)], Judge())
    assert found.metric == "Clear"
    assert found.text == "Clear is lowest (1.5 of 5). It never names the parts."
    assert "about the atom" in found.sample


async def test_without_a_reason_the_metrics_own_words_stand_in() -> None:
    found = await weakness([row(1, 1.5)], Judge(""))
    assert found.text == "Clear is lowest (1.5 of 5). What it should be like: Clear as glass."


@pytest.mark.parametrize(
    ("rows", "samples"),
    [([], SAMPLES), ([row(0, None)], SAMPLES), ([row(0, 2.0, "Gone")], SAMPLES), ([row(0, 2.0)], [])],
    ids=["no verdict", "unread verdicts", "metric of another set", "no sample"],
)
async def test_nothing_to_go_by_costs_no_call(rows: list[ScoreRow], samples: list[Sample]) -> None:
    judge = Judge()
    found = await weakness(rows, judge, samples)
    assert (found.metric, found.sample, judge.asked) == ("", "", 0)
    assert found.text


async def test_long_sample_is_cut_for_the_optimizer() -> None:
    long = [Sample("run", "f0", SEEDS[0], 0, SampleState.OK, {"text": "x" * 50_000})]
    assert len((await weakness([row(0, 1.0)], Judge(), long)).sample) <= 1500


def test_experience_tells_ancestors_and_siblings_with_their_uncertainty() -> None:
    tree = make_tree((0, None, 0.5))
    for number, parent, gain in ((1, 0, 0.5), (2, 1, -0.5), (3, 0, 0.0), (4, 1, None)):
        state = NodeState.BROKEN if gain is None else NodeState.SCORED
        given = {"reason": "line 3: no closing quote"} if gain is None else {}
        tree.add(make_node(number, parent, state, **given))
        if gain is not None:
            tree.scores[number] = make_score(number, 0.5, gain)
    lines = experience(tree, 1)
    assert lines == [
        "change 1 -> better (+0.50 points, 95% interval +0.50 to +0.50)",
        "change 2 -> worse (-0.50 points, 95% interval -0.50 to -0.50)",
        "change 4 -> did not work: line 3: no closing quote",
    ]


def test_experience_is_bounded_and_keeps_the_newest() -> None:
    tree = make_tree((0, None, 0.5), *((number, 0, 0.5) for number in range(1, 41)))
    lines = experience(tree, 0)
    assert len(lines) == 12
    assert lines[-1].startswith("change 40 ->")


def test_nothing_tried_yet_is_no_experience() -> None:
    assert experience(make_tree((0, None, 0.5)), 0) == []


def test_noise_is_said_to_be_undecided() -> None:
    noisy = difference({"a": 3.5, "b": 2.0, "c": 4.0}, {"a": 3.0, "b": 3.0, "c": 3.4})
    assert in_words(noisy).startswith("can't tell (+0.03 points")
    assert in_words(difference({"a": 3.0}, {"b": 3.0})) == "can't tell (nothing to compare on)"
