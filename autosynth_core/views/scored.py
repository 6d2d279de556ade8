"""A run's nodes with their scores, read from the store once per state of the run.

Owns the one place where views turn stored rows into scores: the same as the search goes by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from autosynth_core.config import RunSettings
from autosynth_core.judging import (
    WORKFLOW_METRICS,
    WORKFLOW_VERSION,
    Noise,
    Observation,
    Scale,
    read_workflow_scores,
)
from autosynth_core.records import MetricSet, Node, NodeState, Run, RunKind, Verdict
from autosynth_core.search.chance import noise_from, spread_from
from autosynth_core.search.scores import Board, NodeScore, best, observe, score_nodes, visits
from autosynth_core.store import Store
from autosynth_core.views.kept import Kept
from autosynth_core.views.settings import search_settings

__all__ = ["ScoredRun", "scored_run"]


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """Nodes by number, the scores of those that have one, how often each was visited, and the best one's number."""

    nodes: Mapping[int, Node]
    scores: Mapping[int, NodeScore]
    visits: Mapping[int, int]
    best: int | None
    judge: str  # whose verdicts the scores are made of; "" for a round
    scale: Scale | None = None  # that the scores stand on; None while nothing is scored
    noise: Noise | None = None  # measured on the first workflow; None: not measured, or not yet
    observations: tuple[Observation, ...] = ()

    def path(self, number: int | None) -> list[int]:
        """A node and its ancestors, up to the root; empty for None or a number that is not there."""
        path: list[int] = []
        while number is not None and number in self.nodes and number not in path:
            path.append(number)
            number = self.nodes[number].parent
        return path


def scored_run(store: Store, run_id: str) -> ScoredRun:
    """The run's nodes and scores as they stand. A round's nodes are not judged and have no scores.

    Raises InputError when there is no such search, or none that can be read.
    """
    return _kept(store, run_id)


def _read(store: Store, run_id: str) -> ScoredRun:
    run = store.run(run_id)
    nodes = store.nodes(run_id)
    by_number = {node.number: node for node in nodes}
    if run.kind is not RunKind.SEARCH:
        return ScoredRun(by_number, {}, visits(nodes), None, "")
    return _search(store, run, by_number)


def _search(store: Store, run: Run, nodes: Mapping[int, Node]) -> ScoredRun:
    settings = search_settings(run)
    sets = {entry.metric_set.version: entry.metric_set for entry in store.metric_sets(run.id)}
    judge = settings.models.evaluator or _judge(store, run.id, settings.models.second_judge)
    rows = store.sample_scores(run.id, judge=judge)
    seen = observe(store.looks(run.id), nodes, rows, sets, store.failed_samples(run.id))
    noise = _noise(store, run.id, nodes, sets, judge) if settings.measure_noise else None
    board = _board(store, run.id, nodes, seen, settings, judge, noise)
    scores = dict(board.scores)
    return ScoredRun(nodes, scores, visits(list(nodes.values())), best(scores), judge, board.scale, noise, tuple(seen))


def _board(
    store: Store,
    run_id: str,
    nodes: Mapping[int, Node],
    seen: list[Observation],
    settings: RunSettings,
    judge: str,
    noise: Noise | None,
) -> Board:
    return score_nodes(
        nodes.values(),
        seen,
        _of_workflows(store, run_id, judge),
        weight=settings.workflow_weight,
        scoring=settings.scoring,
        before=spread_from(noise),
    )


def _noise(
    store: Store, run_id: str, nodes: Mapping[int, Node], sets: Mapping[str, MetricSet], judge: str
) -> Noise | None:
    """What the first workflow's second samples and second verdicts say."""
    first = nodes.get(0)
    if first is None or first.state is not NodeState.SCORED or first.metric_version not in sets:
        return None
    samples = store.samples(run_id, first.fingerprint)
    verdicts = store.verdicts(run_id, subjects=[sample.id for sample in samples], version=first.metric_version)
    own = [verdict for verdict in verdicts if verdict.judge == judge]
    return noise_from(samples, own, sets[first.metric_version])


def _judge(store: Store, run_id: str, second: str) -> str:
    """The evaluator of a run whose settings leave it to the endpoint: workflows are judged by the evaluator alone.

    Before the first of them is, it is whoever has judged a sample and is not the second judge.
    """
    of_workflows = next((row.judge for row in store.workflow_scores(run_id)), None)
    if of_workflows is not None:
        return of_workflows
    return next((row.judge for row in store.sample_scores(run_id) if row.judge != second), "")


def _of_workflows(store: Store, run_id: str, judge: str) -> dict[str, list[float]]:
    verdicts: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in store.verdicts(run_id, version=WORKFLOW_VERSION):
        if verdict.judge == judge:
            verdicts[verdict.subject].append(verdict)
    return {fingerprint: read_workflow_scores(given, WORKFLOW_METRICS) for fingerprint, given in verdicts.items()}


_kept = Kept(_read)
