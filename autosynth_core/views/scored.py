"""A run's nodes with their scores, read from the store once per state of the run.

Owns the one place where views turn stored rows into scores, and the only cache: by database, run and
``Store.tree_version``, so that a page that refreshes every other second computes only what is new.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from autosynth_core.judging import WORKFLOW_METRICS, WORKFLOW_VERSION, read_workflow_scores
from autosynth_core.records import Node, RunKind, Verdict
from autosynth_core.search.scores import NodeScore, best, observe, score_nodes, visits
from autosynth_core.store import Store
from autosynth_core.views.settings import search_settings

__all__ = ["ScoredRun", "scored_run"]

_KEPT = 16
_cache: OrderedDict[tuple[str, str, object], ScoredRun] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """Nodes by number, the scores of those that have one, how often each was visited, and the best one's number."""

    nodes: Mapping[int, Node]
    scores: Mapping[int, NodeScore]
    visits: Mapping[int, int]
    best: int | None
    judge: str  # whose verdicts the scores are made of; "" for a round

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
    key = (str(store.path), run_id, store.tree_version(run_id))
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    found = _read(store, run_id)
    with _lock:
        _cache[key] = found
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return found


def _read(store: Store, run_id: str) -> ScoredRun:
    run = store.run(run_id)
    nodes = store.nodes(run_id)
    scores: dict[int, NodeScore] = {}
    judge = ""
    if run.kind is RunKind.SEARCH:
        settings = search_settings(run)
        sets = {entry.metric_set.version: entry.metric_set for entry in store.metric_sets(run_id)}
        judge = settings.models.evaluator or _judge(store, run_id, settings.models.second_judge)
        rows = store.sample_scores(run_id, judge=judge)
        by_number = {node.number: node for node in nodes}
        seen = observe(store.looks(run_id), by_number, rows, sets, store.failed_seeds(run_id))
        of_workflows = _of_workflows(store, run_id, judge)
        board = score_nodes(nodes, seen, of_workflows, weight=settings.workflow_weight, scoring=settings.scoring)
        scores = dict(board.scores)
    return ScoredRun({node.number: node for node in nodes}, scores, visits(nodes), best(scores), judge)


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
