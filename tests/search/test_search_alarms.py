"""Alarms go off at what they are for, and not at what chance gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from autosynth_core.judging import Auc, Fitness, FitnessVerdict, Levels, Observation, Spread, starting_metrics
from autosynth_core.judging.scale import Scale
from autosynth_core.records import Metric, MetricSet, RaceResult, Reward, Sample, SampleState
from autosynth_core.search.alarms import Alarm, alarms, race_alarm, text_lengths
from autosynth_core.search.scores import Board, NodeScore
from tests.views.plausible_run import dialogue_task, example_task, output_for

TASK = example_task()
FIRST = starting_metrics(TASK)
AWAY = MetricSet((Metric("Shine", "Glossy vocabulary everywhere.", "Dull.", "Gleams."),))


def board_of(scores: Sequence[float], sd: float = 0.05) -> Board:
    """Nodes 0, 1, 2 ... with these sample scores, independent of each other."""
    scale = Scale(
        tuple(range(len(scores))), np.array(scores, dtype=float), np.eye(len(scores)) * sd**2, {"v": None}, {},
        Spread(0.3, 0.1), 0.2, 0.0,
    )  # fmt: skip
    made = {
        number: NodeScore(number, Reward(score / 5, score / 5, 0.5, 0.0, 1.0, 2), scale.quality(number), 3.0, None)
        for number, score in enumerate(scores)
    }
    return Board(made, scale)


def seen(
    scores: Sequence[float], lengths: Sequence[float], *, metrics: MetricSet = FIRST, fitness: Fitness | None = None
) -> list[Alarm]:
    observations = [Observation(n, "v", seed, score) for n, score in enumerate(scores) for seed in ("a", "b")]
    by_node = {n: {"a": round(length), "b": round(length) + 10} for n, length in enumerate(lengths)}
    return alarms(board_of(scores), observations, by_node, task=TASK, metrics=metrics, first=FIRST, fitness=fitness)


# --- length -----------------------------------------------------------------------------------------------------------


def test_scores_that_climb_with_length_raise_an_alarm_with_its_figures() -> None:
    scores = [2 + 0.1 * n for n in range(15)]
    (alarm,) = seen(scores, [300 + 80 * n for n in range(15)])
    assert alarm.kind == "length"
    assert "15 recipes" in alarm.text
    assert "1.00" in alarm.text
    assert "305 to 1,425 characters" in alarm.text


@pytest.mark.parametrize("n", [1, 5, 7])
def test_few_recipes_say_nothing_about_length(n: int) -> None:
    assert seen([2 + 0.1 * each for each in range(n)], [300 + 80 * each for each in range(n)]) == []


def test_short_texts_that_score_high_are_no_alarm() -> None:
    assert seen([2 + 0.1 * n for n in range(20)], [2000 - 80 * n for n in range(20)]) == []


def test_alarm_about_length_is_rare_where_length_does_not_matter() -> None:
    dice = random.Random(1)
    raised = sum(
        bool(seen([dice.gauss(3, 0.4) for _ in range(30)], [dice.gauss(900, 200) for _ in range(30)]))
        for _ in range(300)
    )
    assert raised == 0


def test_length_is_that_of_the_inputs_that_were_looked_at() -> None:
    scores = [2 + 0.1 * n for n in range(12)]
    observations = [Observation(n, "v", "a", score) for n, score in enumerate(scores)]
    lengths = {n: {"a": 500, "never judged": 100 + 100 * n} for n in range(12)}
    assert alarms(board_of(scores), observations, lengths, task=TASK, metrics=FIRST, first=FIRST, fitness=None) == []


def test_nodes_without_a_text_and_a_board_without_scores_do_no_harm() -> None:
    assert seen([3.0, 3.5] * 5, []) == []
    assert alarms(Board({}, None), [], {}, task=TASK, metrics=FIRST, first=FIRST, fitness=None) == []


def test_length_of_a_dialogue_counts_its_turns_and_failed_or_second_samples_do_not() -> None:
    task = dialogue_task()
    one, other = task.search_seeds[:2]
    short = Sample("r", "f", one, 0, SampleState.OK, output_for(task, "Why?"))
    long = replace(short, seed=other, output=output_for(task, "Why? " * 100))
    second = replace(long, seed=one, replicate=1)
    failed = Sample("r", "f", task.search_seeds[2], 0, SampleState.WORKFLOW_FAILED, None)
    found = text_lengths(task, [short, long, second, failed])
    assert set(found) == {one.id, other.id}
    assert found[other.id] > found[one.id] + 400


# --- the words of the criteria ----------------------------------------------------------------------------------------


def test_criteria_that_leave_the_task_raise_an_alarm() -> None:
    (alarm,) = seen([3.0] * 3, [500] * 3, metrics=AWAY)
    assert alarm.kind == "task"
    assert "distance 1.00, before 0.00" in alarm.text


def test_criteria_that_stay_near_the_task_raise_none() -> None:
    near = MetricSet((*FIRST.metrics[:-1], replace(FIRST.metrics[-1], weight=3.0)))
    assert seen([3.0] * 3, [500] * 3, metrics=near) == []


def test_first_criteria_are_never_far_from_themselves() -> None:
    found = alarms(board_of([3.0]), [], {}, task=TASK, metrics=AWAY, first=AWAY, fitness=None)
    assert found == []


# --- people -----------------------------------------------------------------------------------------------------------


def fitness_of(found: Auc | None) -> Fitness:
    by_how = {} if found is None else {"bad example": found}
    return Fitness(FitnessVerdict.UNFIT, "", found, found, by_how, (), Levels(3.0, 3.0, None), 0)


@pytest.mark.parametrize(
    ("found", "raised"),
    [
        (Auc(0.3, 0.1, 0.6, 5, 5), True),
        (Auc(0.5, 0.3, 0.7, 9, 9), True),
        (Auc(0.6, 0.3, 0.84, 5, 5), False),
        (Auc(0.3, 0.1, 0.6, 2, 9), False),
        (None, False),
    ],
    ids=["the other way round", "surely guessing", "may be good", "too few rated", "nothing rated"],
)
def test_judge_that_orders_rated_samples_otherwise_raises_an_alarm(found: Auc | None, raised: bool) -> None:
    told = seen([3.0] * 3, [500] * 3, fitness=fitness_of(found))
    assert [alarm.kind for alarm in told] == ["people"] * raised


# --- the second judge -------------------------------------------------------------------------------------------------


def race_of(gain: tuple[float, float, float], winner: int = 1) -> RaceResult:
    reward = Reward(0.5, 0.5, 0.5, 0.4, 0.6, 6)
    return RaceResult("r", "second", "v", {winner: 6}, winner, 0.9, reward, reward, reward, gain)


@pytest.mark.parametrize(
    ("scores", "told"),
    [([3.0] * 8, True), ([3.0] * 7, False), ([3.0] * 7 + [3.5], False)],
    ids=["one score", "too few to say", "two scores"],
)
def test_judge_that_gives_everything_the_same_score_raises_an_alarm(scores: list[float], told: bool) -> None:
    seen = [Observation(at % 2, "v", f"seed {at // 2}", score) for at, score in enumerate(scores)]
    found = alarms(Board({}, None), seen, {}, task=TASK, metrics=FIRST, first=FIRST, fitness=None)
    assert [each.kind for each in found] == (["constant"] if told else [])
    alone = [each._replace(node=0) for each in seen]
    assert alarms(Board({}, None), alone, {}, task=TASK, metrics=FIRST, first=FIRST, fitness=None) == []


def test_second_judge_that_sees_no_gain_where_a_large_one_was_claimed_raises_an_alarm() -> None:
    alarm = race_alarm(board_of([2.0, 4.0]), race_of((0.0, -0.03, 0.03)), 0.5, second=True)
    assert alarm is not None
    assert alarm.kind == "second judge"
    assert "+0.00 (-0.03 to +0.03), where the search had seen +0.25" in alarm.text


@pytest.mark.parametrize(
    ("board", "race", "second"),
    [
        (board_of([2.0, 4.0]), race_of((0.2, 0.1, 0.3)), True),
        (board_of([2.0, 4.0], sd=2.0), race_of((0.0, -0.03, 0.03)), True),
        (board_of([2.0, 4.0]), race_of((0.0, -0.03, 0.03)), False),
        (board_of([2.0, 4.0]), race_of((0.0, 0.0, 0.0), winner=0), True),
        (board_of([2.0]), race_of((0.0, -0.03, 0.03)), True),
        (Board({}, None), race_of((0.0, -0.03, 0.03)), True),
    ],
    ids=["it agrees", "the claim was vague", "the same judge", "the first won", "winner unknown", "no scores"],
)
def test_second_judge_raises_no_alarm(board: Board, race: RaceResult, second: bool) -> None:
    assert race_alarm(board, race, 0.5, second=second) is None


def test_programs_without_a_share_and_a_score_do_no_harm() -> None:
    board = board_of([2.0, 4.0])
    unread = {n: replace(s, reward=replace(s.reward, workflow=float("nan"))) for n, s in board.scores.items()}
    assert race_alarm(Board(unread, board.scale), race_of((0.0, -0.03, 0.03)), 0.0, second=True) is not None
