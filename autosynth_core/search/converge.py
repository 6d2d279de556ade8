"""Convergence: when nothing worth having is left to be gained.

The paper stops when the mean of the top three has not moved by epsilon = 0.05 for some iterations. With a noisy judge
that rule stops early about half of the time, so the default puts the bound on the gain's upper end instead of on the
gain, and looks back as far as there are iterations left: what was not gained in twenty iterations is not expected of
the next twenty, but five without a gain say little about them. All figures are in reward units (0..1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from autosynth_core.config import Convergence
from autosynth_core.judging import Scale
from autosynth_core.judging.reward import Z95
from autosynth_core.search.scores import NodeScore

__all__ = ["TOP", "converged", "gain_upper_bound", "top"]

TOP = 3


def top(scores: Mapping[int, NodeScore]) -> tuple[int, ...]:
    """The three nodes with the highest rewards, fewer where there are fewer, best first."""
    return tuple(sorted(scores, key=lambda number: (-scores[number].reward.total, number))[:TOP])


def gain_upper_bound(
    before: Sequence[int], now: Sequence[int], scores: Mapping[int, NodeScore], scale: Scale, weight: float
) -> float:
    """Upper 95% bound of what the mean reward of the top three gained between two moments.

    Both means are taken on today's scale: what was learned since about the earlier top counts. What is uncertain about
    nodes in both cancels. The workflow part is taken as exact.
    """
    contrast = np.zeros(len(scale.nodes))
    for group, sign in ((now, 1.0), (before, -1.0)):
        for number in group:
            contrast[scale.nodes.index(number)] += sign / len(group)
    sd = math.sqrt(max(0.0, float(contrast @ scale.covariance @ contrast)))
    gain = _mean(now, scores) - _mean(before, scores)
    return gain + (1 - weight) * Z95 * sd / 4


def converged(
    history: Sequence[tuple[int, ...]],
    scores: Mapping[int, NodeScore],
    scale: Scale,
    rule: Convergence,
    *,
    epsilon: float,
    patience: int,
    left: int,
    weight: float,
) -> bool:
    """Whether the search may stop. ``history`` holds the top three after each scored child, in order.

    ``bound``: the gain over the last ``patience`` scored children, or over as many as there are iterations ``left``
    where these are more, is below ``epsilon`` with 95% confidence. ``paper``:
    the mean of the top three moved by less than ``epsilon`` over them. ``unchanged``: the top three are the same ones
    throughout (AFlow with z = 0). False while fewer than ``patience`` children have followed a full top group.
    """
    if rule is Convergence.BOUND:
        patience = max(patience, left)
    if rule is Convergence.NEVER or len(history) <= patience or len(history[-1 - patience]) < len(history[-1]):
        return False
    before, now = history[-1 - patience], history[-1]
    if rule is Convergence.UNCHANGED:
        return all(set(each) == set(now) for each in history[-1 - patience :])
    if rule is Convergence.PAPER:
        return abs(_mean(now, scores) - _mean(before, scores)) < epsilon
    return gain_upper_bound(before, now, scores, scale, weight) < epsilon


def _mean(group: Sequence[int], scores: Mapping[int, NodeScore]) -> float:
    return sum(scores[number].reward.total for number in group) / len(group)
