"""Scores as queries: what each node is worth, computed from the looks that iterations took, never stored.

A look says which samples were judged under which metric set; its verdicts become observations, all observations
together one scale (``judging.scale``), and that scale the rewards, so that nodes judged under different metric sets
stay comparable. Pure: rows in, values out; the engine, the pages and the commands all read the same numbers from here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from autosynth_core.config import Scoring
from autosynth_core.judging import (
    Difference,
    Observation,
    Quality,
    Scale,
    Spread,
    difference,
    estimate_spread,
    fit_scale,
    hybrid_reward,
    raw_scale,
    replicate_scores,
)
from autosynth_core.records import Look, MetricSet, Node, NodeState, Reward, ScoreRow

__all__ = ["DEFAULT_SPREAD", "Board", "NodeScore", "best", "observe", "score_nodes", "visits", "with_failures"]

# Before anything is known of a judge: about what an A/A stage finds with a capable one.
DEFAULT_SPREAD = Spread(sample=0.4, judge=0.2)


@dataclass(frozen=True, slots=True)
class NodeScore:
    """What a node is worth.

    ``quality`` is the linked sample score (about 1..5, not clipped) and ``workflow_score`` the mean of the workflow
    verdicts, 1..5. ``against_parent`` is the paired comparison on the seed inputs that both were judged on under the
    same version; None for the root.
    """

    node: int
    reward: Reward
    quality: Quality
    workflow_score: float
    against_parent: Difference | None

    @property
    def sample_score(self) -> float:
        """The linked sample score, 1..5."""
        return self.quality.mean


class Board(NamedTuple):
    """All scores of a run at one moment, and the scale they stand on."""

    scores: Mapping[int, NodeScore]
    scale: Scale | None  # None while nothing is scored


def observe(
    looks: Iterable[Look],
    nodes: Mapping[int, Node],
    rows: Iterable[ScoreRow],
    metric_sets: Mapping[str, MetricSet],
    failed: Mapping[str, Collection[tuple[str, int]]],
) -> list[Observation]:
    """The observations behind these looks, each (node, version, seed input) once.

    ``rows`` are one judge's verdicts on samples of the run; ``failed`` maps fingerprints to the samples (seed input's
    id, replicate) that the workflow's own code failed to make: they count as the lowest score.
    """
    by_pair: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row in rows:
        by_pair[row.fingerprint, row.version].append(row)
    wanted: dict[tuple[int, str], set[str]] = defaultdict(set)
    for look in looks:
        if look.node in nodes and look.version in metric_sets:
            wanted[look.node, look.version].update(look.seeds)
    found = []
    for (node, version), seeds in sorted(wanted.items()):
        fingerprint = nodes[node].fingerprint
        read = replicate_scores(by_pair[fingerprint, version], metric_sets[version])
        scores = with_failures(read, failed.get(fingerprint, ()))
        found += [
            Observation(node, version, seed, fmean(scores[seed]), len(scores[seed]))
            for seed in sorted(seeds & scores.keys())
        ]
    return found


def score_nodes(
    nodes: Iterable[Node],
    observations: Sequence[Observation],
    workflow_scores: Mapping[str, Sequence[float]],
    *,
    weight: float,
    scoring: Scoring = Scoring.LINKED,
    before: Spread = DEFAULT_SPREAD,
) -> Board:
    """The scores of all scored nodes, from one fit.

    ``workflow_scores`` maps fingerprints to the scores (1..5) of the program itself; ``weight`` is its share of the
    reward; ``before`` is the spread measured at the start of the run. ``scoring`` raw leaves scores as they come.
    """
    scored = {node.number: node for node in nodes if node.state is NodeState.SCORED}
    used = [each for each in observations if each.node in scored]
    if not any(each.node == 0 for each in used):
        return Board({}, None)
    parents = {number: node.parent for number, node in scored.items()}
    spread = estimate_spread(used, before)
    if scoring is Scoring.RAW:
        scale = raw_scale(used, {number: node.metric_version for number, node in scored.items()}, spread)
    else:
        scale = fit_scale(used, parents, spread, scored[0].metric_version)
    paired = _by_version(used)
    seen = _seen(used)
    scores = {}
    for number in scale.nodes:
        node = scored[number]
        given = workflow_scores.get(node.fingerprint, ())
        if given or weight == 0:
            against = None if node.parent is None else _against(paired, node, node.parent)
            scores[number] = _score(
                scale, number, fmean(given) if given else math.nan, weight, len(seen[number]), against
            )
    return Board(scores, scale)


def _score(scale: Scale, number: int, workflow: float, weight: float, n: int, against: Difference | None) -> NodeScore:
    quality = scale.quality(number)
    worth = hybrid_reward(quality.mean, quality.low, quality.high, workflow, weight, n)
    return NodeScore(number, worth, quality, workflow, against)


def _seen(observations: Iterable[Observation]) -> dict[int, set[str]]:
    """The seed inputs each node was looked at on."""
    seen: dict[int, set[str]] = defaultdict(set)
    for each in observations:
        seen[each.node].add(each.seed)
    return seen


def _by_version(observations: Iterable[Observation]) -> dict[int, dict[str, dict[str, float]]]:
    """Scores by node, version and seed input."""
    found: dict[int, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for each in observations:
        found[each.node][each.version][each.seed] = each.score
    return found


def _against(paired: Mapping[int, Mapping[str, Mapping[str, float]]], node: Node, parent: int) -> Difference:
    """The paired comparison under the version that both have the most seed inputs in common."""
    own, others = paired[node.number], paired.get(parent, {})
    pairs = [(own[version], others.get(version, {})) for version in sorted(own)]
    child, other = max(pairs, key=lambda pair: len(pair[0].keys() & pair[1].keys()), default=({}, {}))
    return difference(child, other)


def with_failures(scores: Mapping[str, Sequence[float]], failed: Collection[tuple[str, int]]) -> dict[str, list[float]]:
    """Each seed input's replicate scores, with the lowest, 1, for each sample that the workflow failed to make.

    Left out, a workflow would gain by failing on the hardest inputs. What an endpoint or a judge failed to give is
    left out all the same: that is no fault of the workflow's.
    """
    whole = {seed: list(values) for seed, values in scores.items()}
    for seed, _ in sorted(failed):
        whole.setdefault(seed, []).append(1.0)
    return whole


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
