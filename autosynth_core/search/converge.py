"""Convergence: when nothing worth having is left to be gained.

The paper stops when the mean of the top three has not moved by epsilon = 0.05 for some iterations. With a noisy judge
that rule stops early about half of the time, so the bound is put on the gain's upper end instead of on the gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autosynth_core.judging import difference
from autosynth_core.search.scores import NodeScore

__all__ = ["TopMean", "converged", "gain_upper_bound", "top_mean"]


@dataclass(frozen=True, slots=True)
class TopMean:
    """The mean of the best few workflows at one moment: per seed input (score 1..5) and workflow part (1..5)."""

    linked: Mapping[str, float]
    workflow: float
    size: int


def top_mean(scores: Sequence[NodeScore], top: int = 3) -> TopMean:
    """The mean over the ``top`` scores with the highest rewards (fewer where there are fewer; at least one)."""
    best = sorted(scores, key=lambda score: (-score.reward.total, score.node))[:top]
    shared = set.intersection(*(set(score.linked) for score in best))
    linked = {seed: fmean(score.linked[seed] for score in best) for seed in sorted(shared)}
    return TopMean(linked, fmean(score.workflow_score for score in best), len(best))


def gain_upper_bound(before: TopMean, now: TopMean, weight: float) -> float:
    """Upper 95% bound, in reward units, of what the top three gained between two moments.

    The sample part is paired over seed inputs (t interval); the workflow part is taken as exact.
    """
    sample = difference(now.linked, before.linked)
    return ((1 - weight) * sample.high + weight * (now.workflow - before.workflow)) / 4


def converged(history: Sequence[TopMean], *, epsilon: float, patience: int, weight: float) -> bool:
    """Whether the gain over the last ``patience`` scored children is below ``epsilon`` with 95% confidence.

    ``history`` has one entry a scored child, in order. False while fewer than ``patience`` children have followed a
    full top group: a mean over fewer nodes is no mean of the top three.
    """
    if len(history) <= patience or history[-1 - patience].size < history[-1].size:
        return False
    return gain_upper_bound(history[-1 - patience], history[-1], weight) < epsilon
