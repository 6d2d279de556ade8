"""Scores as queries: what each node is worth, computed from stored samples' verdicts, never stored.

A child is compared with its parent on the same seed inputs under the same metric set, and its linked scores are its
parent's plus that difference (``judging.reward.link``), so that nodes judged under different metric sets stay
comparable. Pure: rows in, values out; the engine, the pages and the commands all read the same numbers from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autosynth_core.judging import Difference, difference, link, reward, seed_scores
from autosynth_core.records import MetricSet, Node, NodeState, Reward, ScoreRow

__all__ = ["NodeScore", "best", "node_scores", "score_node", "visits", "with_failures"]

MIN_SCORED_SHARE = 0.5  # of the parent's seed inputs; with fewer a node stays unscored


@dataclass(frozen=True, slots=True)
class NodeScore:
    """What a node is worth.

    ``linked`` maps seed input ids to linked scores (about 1..5, not clipped); ``sample_score`` is their mean and
    ``workflow_score`` the mean of the workflow verdicts, 1..5. ``against_parent`` is None for the root.
    """

    node: int
    reward: Reward
    linked: Mapping[str, float]
    sample_score: float
    workflow_score: float
    against_parent: Difference | None


def score_node(
    number: int,
    own: Mapping[str, float],
    parent_same_version: Mapping[str, float] | None,
    parent: NodeScore | None,
    workflow_scores: Sequence[float],
    weight: float,
) -> NodeScore | None:
    """The score of one node from seed scores (seed id -> 1..5) under its version; None where too little is scored."""
    if parent is None or parent_same_version is None:
        linked, against = dict(own), None
    else:
        linked = link(own, parent_same_version, parent.linked)
        against = difference(own, parent_same_version)
        if len(linked) < MIN_SCORED_SHARE * len(parent.linked):
            return None
    worth = reward(linked, workflow_scores, weight)
    if worth is None or not linked or not workflow_scores:
        return None
    return NodeScore(number, worth, linked, fmean(linked.values()), fmean(workflow_scores), against)


def with_failures(scores: Mapping[str, float], failed: Collection[str]) -> dict[str, float]:
    """Seed scores with the lowest, 1, for each seed input on which the workflow's own code failed.

    Left out, a workflow would gain by failing on the hardest inputs. What an endpoint or a judge failed to give is
    left out all the same: that is no fault of the workflow's.
    """
    return {**scores, **dict.fromkeys(sorted(failed), 1.0)}


def node_scores(
    nodes: Sequence[Node],
    sample_rows: Iterable[ScoreRow],
    metric_sets: Mapping[str, MetricSet],
    workflow_rows: Mapping[str, Sequence[float]],
    failed: Mapping[str, Collection[str]],
    weight: float,
) -> dict[int, NodeScore]:
    """Scores of all scored nodes, by number.

    ``sample_rows`` are the judge's verdicts on the run's samples, ``metric_sets`` maps versions to sets, and
    ``workflow_rows`` fingerprints to their workflow scores (1..5), ``failed`` fingerprints to the ids of the seed
    inputs on which they failed. Parents are scored before children.
    """
    rows: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in sample_rows:
        rows[row.fingerprint, row.version].append(row)

    def seeds(node: Node, version: str) -> dict[str, float]:
        scored = seed_scores(rows[node.fingerprint, version], metric_sets[version])
        return with_failures(scored, failed.get(node.fingerprint, ()))

    by_number = {node.number: node for node in nodes}
    scores: dict[int, NodeScore] = {}
    for node in sorted(nodes, key=lambda each: each.number):
        if node.state is not NodeState.SCORED or node.metric_version not in metric_sets:
            continue
        if node.parent is not None and node.parent not in scores:
            continue
        version = node.metric_version
        parent_seeds = None if node.parent is None else seeds(by_number[node.parent], version)
        parent = None if node.parent is None else scores[node.parent]
        score = score_node(
            node.number, seeds(node, version), parent_seeds, parent, workflow_rows.get(node.fingerprint, ()), weight
        )
        if score is not None:
            scores[node.number] = score
    return scores


def best(scores: Mapping[int, NodeScore]) -> int | None:
    """The node with the highest reward, the earlier among equals; None while nothing is scored."""
    return min(scores, key=lambda number: (-scores[number].reward.total, number), default=None)


def visits(nodes: Sequence[Node]) -> dict[int, int]:
    """How often each node was visited: its own evaluation and those of all its scored descendants."""
    count = {node.number: int(node.state is NodeState.SCORED) for node in nodes}
    for node in sorted(nodes, key=lambda each: -each.number):
        if node.parent is not None and node.parent in count:
            count[node.parent] += count[node.number]
    return count
