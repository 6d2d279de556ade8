"""From looks to scores: what counts, what does not, and that everybody reads the same numbers."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels
from search_cases import Searched, db, make_node, make_task, resumed, search, small

from autosynth_core.config import Expansion, RunSettings, Scoring, Strategy
from autosynth_core.judging import Observation, Spread
from autosynth_core.records import (
    Comparison,
    Look,
    Metric,
    MetricSet,
    Node,
    NodeState,
    ScoreRow,
    SeedInput,
)
from autosynth_core.search import Board, best, mcts, observe, score_nodes, search_seeds
from autosynth_core.search.scores import with_failures
from autosynth_core.store import Store
from autosynth_core.views.scored import scored_run
from autosynth_core.workflow import Sandbox

SETS = {name: MetricSet((Metric(name, "d", "l", "h"),)) for name in ("one", "two")}
BY_VERSION = {metrics.version: metrics for metrics in SETS.values()}
ONE, TWO = (metrics.version for metrics in SETS.values())
NODES = {
    0: make_node(0, metric_version=ONE),
    1: make_node(1, 0, metric_version=ONE),
    2: make_node(2, 0, metric_version=TWO),
}
SEEDS = ("a", "b", "c")


def row(node: int, seed: str, score: float | None, version: str = ONE, replicate: int = 0) -> ScoreRow:
    return ScoreRow(f"f{node}", seed, replicate, version, "judge", BY_VERSION[version].metrics[0].name, score)


def seen(looks: list[Look], rows: list[ScoreRow], failed: Mapping[str, set[str]] | None = None) -> list[Observation]:
    return observe(looks, NODES, rows, BY_VERSION, failed or {})


# --- what a look shows --------------------------------------------------------------------------------------------

ALL = [row(node, seed, 3.0 + node, version) for node in range(3) for seed in SEEDS for version in (ONE, TWO)]


def test_verdict_without_a_look_does_not_count() -> None:
    """It belongs to an iteration that is still under way, or to the race."""
    found = seen([Look(0, 0, ONE, ("a", "b"))], ALL)
    assert found == [Observation(0, ONE, "a", 3.0), Observation(0, ONE, "b", 3.0)]


def test_look_without_a_verdict_shows_nothing() -> None:
    assert seen([Look(0, 0, ONE, SEEDS)], [row(0, "a", 2.0), row(0, "b", None)]) == [Observation(0, ONE, "a", 2.0)]


def test_two_looks_at_the_same_count_once() -> None:
    assert len(seen([Look(1, 0, ONE, ("a", "b")), Look(2, 0, ONE, ("b", "c"))], ALL)) == 3


def test_look_at_an_unknown_node_or_version_shows_nothing() -> None:
    assert seen([Look(0, 7, ONE, SEEDS), Look(0, 0, "gone", SEEDS)], ALL) == []


def test_seed_input_that_the_workflow_failed_on_counts_as_the_lowest_score() -> None:
    found = seen([Look(0, 0, ONE, SEEDS)], [row(0, "a", 4.0)], {"f0": {("b", 0)}})
    assert found == [Observation(0, ONE, "a", 4.0), Observation(0, ONE, "b", 1.0)]


def test_failure_beyond_the_look_does_not_count_yet() -> None:
    assert seen([Look(0, 0, ONE, ("a",))], [row(0, "a", 4.0)], {"f0": {("b", 0)}, "f1": {("a", 0)}}) == [
        Observation(0, ONE, "a", 4.0)
    ]


def test_replicate_that_the_workflow_failed_to_make_counts_beside_the_one_that_it_made() -> None:
    assert with_failures({"a": [4.0]}, {("a", 1), ("b", 0)}) == {"a": [4.0, 1.0], "b": [1.0]}
    found = seen([Look(0, 0, ONE, ("a",))], [row(0, "a", 4.0)], {"f0": {("a", 1)}})
    assert found == [Observation(0, ONE, "a", 2.5, 2)]


def test_replicates_are_one_observation() -> None:
    assert seen([Look(0, 0, ONE, ("a",))], [row(0, "a", 2.0), row(0, "a", 4.0, replicate=1)]) == [
        Observation(0, ONE, "a", 3.0, 2)
    ]


def test_order_of_looks_and_rows_changes_nothing() -> None:
    looks = [
        Look(i, node, version, SEEDS) for i, (node, version) in enumerate([(2, TWO), (0, TWO), (0, ONE), (1, ONE)])
    ]
    expected = seen(looks, ALL)
    chance = random.Random(5)
    for _ in range(5):
        assert seen(chance.sample(looks, len(looks)), chance.sample(ALL, len(ALL))) == expected


# --- what nodes are worth -----------------------------------------------------------------------------------------


def spread_out(*shown: tuple[int, str, float]) -> list[Observation]:
    """Three observations around each score."""
    return [
        Observation(node, version, seed, score + add)
        for node, version, score in shown
        for seed, add in zip(SEEDS, (-0.1, 0.0, 0.1), strict=True)
    ]


RUN = spread_out((0, ONE, 3.0), (1, ONE, 3.6), (0, TWO, 2.0), (2, TWO, 2.5))
PROGRAMS = {"f0": [3.0], "f1": [2.0, 4.0], "f2": [5.0]}


def board(nodes: Mapping[int, Node] = NODES, observations: list[Observation] = RUN, **given: Any) -> Board:
    programs = given.pop("programs", PROGRAMS)
    return score_nodes(nodes.values(), observations, programs, **{"weight": 0.5, **given})


def test_child_judged_by_harsher_metrics_is_compared_on_the_scale_of_the_first() -> None:
    linked, raw = board().scores, board(scoring=Scoring.RAW).scores
    assert linked[2].sample_score > 3.0 > raw[2].sample_score
    assert raw[2].sample_score == pytest.approx(2.5)
    assert linked[2].against_parent == raw[2].against_parent
    assert linked[2].against_parent is not None
    assert linked[2].against_parent.verdict is Comparison.BETTER


def test_workflow_weight_of_zero_needs_no_program_scores_and_ignores_them() -> None:
    with_them, without = board(weight=0.0).scores, board(weight=0.0, programs={}).scores
    assert set(without) == {0, 1, 2}
    for number, score in without.items():
        assert math.isfinite(score.reward.total)
        assert (score.reward.low, score.reward.total, score.reward.high) == (
            with_them[number].reward.low,
            with_them[number].reward.total,
            with_them[number].reward.high,
        )
        assert score.reward.total == score.reward.sample
    assert best(without) == best(with_them) == 1


def test_workflow_weight_of_one_goes_by_the_program_alone() -> None:
    scores = board(weight=1.0).scores
    assert {number: score.reward.total for number, score in scores.items()} == {0: 0.5, 1: 0.5, 2: 1.0}
    assert all(score.reward.low == score.reward.total == score.reward.high for score in scores.values())
    assert best(scores) == 2


def test_node_whose_program_could_not_be_read_has_no_score_and_still_ties_the_scale() -> None:
    found = board(programs={"f0": [3.0], "f2": [5.0]})
    assert set(found.scores) == {0, 2}
    assert found.scale is not None
    assert 1 in found.scale.nodes


@pytest.mark.parametrize("state", [NodeState.BROKEN, NodeState.DUPLICATE, NodeState.UNSCORED, NodeState.RUNNING])
def test_only_scored_nodes_count(state: NodeState) -> None:
    nodes = {**NODES, 1: replace(NODES[1], state=state)}
    found = board(nodes)
    assert set(found.scores) == {0, 2}
    assert found.scores == board({0: NODES[0], 2: NODES[2]}).scores


def test_nothing_is_scored_before_the_first_workflow_is() -> None:
    assert board(observations=[]) == ({}, None)
    assert board(observations=spread_out((1, ONE, 4.0))) == ({}, None)


def test_root_is_compared_with_nobody_and_reports_what_it_was_seen_on() -> None:
    scores = board().scores
    assert scores[0].against_parent is None
    assert [scores[number].reward.n for number in (0, 1, 2)] == [3, 3, 3]


def test_child_is_compared_under_the_version_with_most_in_common() -> None:
    more = [*RUN, Observation(2, ONE, "a", 5.0)]
    found = board(observations=more).scores[2].against_parent
    assert found is not None
    assert (found.n, found.mean) == (3, pytest.approx(0.5))


def test_child_that_shares_nothing_with_its_parent_cant_be_told_from_it() -> None:
    apart = [*spread_out((0, ONE, 3.0)), *(Observation(2, TWO, seed, 4.0) for seed in ("x", "y", "z"))]
    found = board(observations=apart).scores[2].against_parent
    assert found is not None
    assert (found.mean, found.n, found.verdict) == (None, 0, Comparison.CANT_TELL)


def test_spread_of_the_start_widens_what_little_is_known() -> None:
    narrow, wide = (board(before=Spread(sd, sd)).scores[1].quality.sd for sd in (0.1, 1.0))
    assert wide > 2 * narrow


def test_order_of_nodes_and_observations_changes_not_a_bit() -> None:
    expected = board().scores
    chance = random.Random(1)
    for _ in range(5):
        nodes = dict(chance.sample(list(NODES.items()), 3))
        assert board(nodes, chance.sample(RUN, len(RUN))).scores == expected


# --- the search, the pages and a search that goes on after a crash ------------------------------------------------


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> list[Board]:
    """Every board that searches of this test go by, in order."""
    seen: list[Board] = []

    def recorded(*args: Any, **given: Any) -> Board:
        seen.append(score_nodes(*args, **given))
        return seen[-1]

    monkeypatch.setattr(mcts, "score_nodes", recorded)
    return seen


SEARCHES: dict[str, dict[str, object]] = {
    "metrics new for each child": {"metric_refresh": 1},
    "metrics new now and then, staged": {"metric_refresh": 5, "sampling": "staged"},
    "noise measured, staged": {"metric_refresh": 1, "sampling": "staged", "measure_noise": True},
    "scores as they come": {"metric_refresh": 2, "scoring": "raw"},
    "programs without a share": {"metric_refresh": 2, "sampling": "staged", "workflow_weight": 0},
}

Serve = Callable[..., OpenAIServer]


@pytest.mark.parametrize("given", SEARCHES.values(), ids=SEARCHES)
async def test_pages_show_the_scores_that_the_search_went_by(
    given: dict[str, object], boards: list[Board], store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    settings = small(serve(), **_GOING_ON, **given)
    found = await search(store, sandbox, settings, task=_task())
    assert len(boards) == 9
    assert scored_run(store, found.run_id).scores == boards[-1].scores
    assert len({node.metric_version for node in found.nodes if node.metric_version}) > 1


_GOING_ON: dict[str, Any] = {
    "expansion": Expansion.EDITS,
    "strategy": Strategy.UCT,
    "iterations": 8,
    "workers": 3,
    "convergence": "never",
}


def _task() -> Any:
    concepts = [
        "cells",
        "atoms",
        "heat",
        "light",
        "sound",
        "force",
        "mass",
        "speed",
        "charge",
        "waves",
        "acids",
        "bones",
    ]
    return make_task(search_seeds=tuple(SeedInput({"concept": each, "grade": "7"}) for each in concepts))


def forget(path: Path, found: Searched, after: int) -> None:
    """The database as a crash left it right after that iteration was committed; what others had paid for is there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, column in (("nodes", "number"), ("looks", "iteration"), ("run_metric_sets", "iteration")):
            connection.execute(f"DELETE FROM {table} WHERE run_id = ? AND {column} > ?", (found.run_id, after))


@pytest.mark.parametrize("given", SEARCHES.values(), ids=SEARCHES)
async def test_search_that_goes_on_after_a_crash_goes_by_the_same_scores(
    given: dict[str, object], boards: list[Board], store: Store, sandbox: Sandbox, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    found = await search(store, sandbox, small(server, **_GOING_ON, **given), task=_task())
    nodes, looks, asked = found.nodes, store.looks(found.run_id), len(server.received)
    whole = [each.scores for each in boards]
    for after in (6, 4, 1) if given.get("sampling") else (3,):
        boards.clear()
        forget(db(tmp_path), found, after)
        again = await resumed(store, sandbox, found.run_id)
        assert [each.scores for each in boards] == whole, after
        assert again.nodes == nodes
        assert store.looks(found.run_id) == looks
        assert len(server.received) == asked


async def test_further_looks_go_to_what_is_built_upon_and_no_workflow_misses_its_first(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    settings = small(serve(), **{**_GOING_ON, "iterations": 12}, sampling="staged", seed_inputs=6, metric_refresh=0)
    found = await search(store, sandbox, settings, task=_task())
    looked: dict[int, set[str]] = {}
    for look in store.looks(found.run_id):
        looked.setdefault(look.node, set()).update(look.seeds)
    scores = scored_run(store, found.run_id).scores
    assert set(looked) == set(scores)
    assert min(len(seeds) for seeds in looked.values()) >= 3
    more = {number for number in scores if len(looked[number]) > 3}
    assert more == {node.parent for node in store.nodes(found.run_id)} - {None}
    assert {number: len(looked[number]) for number in more} == {
        **dict.fromkeys(more, 4),
        0: 6,
    }  # all at once
    assert sum(len(seeds) for seeds in looked.values()) < 6 * len(looked)


async def test_seed_input_that_can_never_be_judged_does_not_stop_further_looks(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    """One sample that the judge's answers can't be read for must not hold a workflow at the same number of looks."""
    scripted, unread = ScriptedModels(), Reply("well", first_token=[("well", -0.01), ("so", -5.0)])
    given = {**_GOING_ON, "iterations": 10, "sampling": "staged", "seed_inputs": 6, "metric_refresh": 0}
    hard = search_seeds(_task(), RunSettings.model_validate(given))[0].values["concept"]

    def answer(body: dict[str, Any]) -> Any:
        text = str(body["messages"])
        return unread if "strict judge" in text and f"Concept: {hard}" in text else scripted(body)

    settings = small(serve(answer), **given)
    found = await search(store, sandbox, settings, task=_task())
    unreadable = next(each.id for each in _task().search_seeds if each.values["concept"] == hard)
    shown = [(look.node, seed) for look in store.looks(found.run_id) for seed in look.seeds if seed != unreadable]
    assert len(shown) == len(set(shown))
    assert len(shown) > 2 * len(scored_run(store, found.run_id).scores)
