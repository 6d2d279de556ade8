"""Drift: whether a new metric set still measures what the one before it measured, and whether the judge is being gamed.

Owns the figures and the rules that turn them into an alarm in words. Leaves to the search which samples are looked at
and what is done about an alarm. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autosynth_core.judging.fitness import Fitness, FitnessVerdict
from autosynth_core.judging.metrics import similarity
from autosynth_core.judging.reward import Z95
from autosynth_core.judging.scale import Spread
from autosynth_core.records import MetricSet

__all__ = [
    "ENOUGH_PAIRS",
    "LengthBias",
    "PanelDrift",
    "length_bias",
    "panel_drift",
    "quarantine_reason",
    "rank_correlation",
    "word_distance",
]

ENOUGH_PAIRS = 8  # below this a rank correlation says nothing
_LEAST_AGREEMENT = 0.5  # of the correlation that verdict noise alone would leave
_LENGTH_ALARM = 0.6  # rank correlation of score and length that is surely exceeded


class PanelDrift(NamedTuple):
    """The anchor panel's samples under a new version against the version before."""

    shift: float  # mean of new less old, points; a mild or a strict version, taken out by the linking
    se: float  # of that mean
    agreement: float | None  # Spearman's rank correlation over samples; None with fewer than eight
    highest: float  # upper 95% bound of the agreement (Fisher's z); 1 where it is None
    expected: float  # what noise of the verdicts alone would leave of a perfect agreement
    n: int  # samples

    @property
    def shift_in_se(self) -> float:
        return self.shift / self.se if self.se > 0 else 0.0


class LengthBias(NamedTuple):
    """Rank correlation of scores with the length of the text."""

    correlation: float
    low: float  # lower 95% bound
    n: int


def panel_drift(
    old: Mapping[tuple[int, str], float], new: Mapping[tuple[int, str], float], spread: Spread
) -> PanelDrift:
    """Compare the scores (1..5) of the same samples, keyed by (node, seed input), under two versions."""
    keys = sorted(old.keys() & new.keys())
    before, after = np.array([old[key] for key in keys]), np.array([new[key] for key in keys])
    apart = after - before
    se = float(apart.std(ddof=1)) / math.sqrt(len(keys)) if len(keys) > 1 else math.inf
    agreement = rank_correlation(before, after) if len(keys) >= ENOUGH_PAIRS else None
    variance = float(before.var(ddof=1)) if len(keys) > 1 else 0.0
    expected = max(0.0, 1.0 - spread.judge**2 / variance) if variance > 0 else 0.0
    highest = 1.0 if agreement is None else _fisher(agreement, len(keys), 1)
    return PanelDrift(float(apart.mean()) if keys else 0.0, se, agreement, highest, expected, len(keys))


def quarantine_reason(found: PanelDrift | None, fitness: Fitness | None, before: Fitness | None) -> str:
    """Why a new metric set is not to be used until a person has looked at it; "" when nothing speaks against it.

    A set that does not tell known good work from bad is kept out, unless the one in force can't either. So is one that
    orders the panel's samples surely less than half as much like the set before as the verdicts' noise would allow.
    """
    unfit = fitness is not None and fitness.verdict is FitnessVerdict.UNFIT
    if unfit and (before is None or before.verdict is not FitnessVerdict.UNFIT):
        return "they do not tell work you called good from work you called bad, or from spoiled copies"
    if found is None or found.agreement is None:
        return ""
    if found.highest < _LEAST_AGREEMENT * found.expected:
        return (
            f"they put the same {found.n} samples in another order than the criteria before "
            f"(rank correlation {found.agreement:.2f}, where {found.expected:.2f} was to be expected)"
        )
    return ""


def word_distance(metrics: MetricSet, anchor: MetricSet) -> float:
    """How far the words of a metric set are from those of another, 0..1; see ``metrics.agreements``."""
    return 1.0 - similarity(metrics, anchor)


def length_bias(scores: Sequence[float], lengths: Sequence[float]) -> LengthBias | None:
    """Whether long samples get the high scores; None with fewer than eight samples."""
    if len(scores) < ENOUGH_PAIRS:
        return None
    found = rank_correlation(np.array(scores, dtype=float), np.array(lengths, dtype=float))
    return LengthBias(found, _fisher(found, len(scores), -1), len(scores))


def is_gamed_by_length(found: LengthBias | None) -> bool:
    """Whether score and length surely go together more than 0.6."""
    return found is not None and found.low > _LENGTH_ALARM


def rank_correlation(
    one: np.ndarray[tuple[int], np.dtype[np.float64]], other: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    """Spearman's; 0 where one of the two does not vary."""
    a, b = _ranks(one), _ranks(other)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ranks from 1, ties share their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def _fisher(correlation: float, n: int, sign: int) -> float:
    """A one-sided 97.5% bound of a rank correlation, by Fisher's z with the variance 1.06 / (n - 3)."""
    held = min(max(correlation, -0.999999), 0.999999)
    return math.tanh(math.atanh(held) + sign * Z95 * math.sqrt(1.06 / max(1, n - 3)))
