"""Bounds on a mean that hold at every look, however often one looks and whenever one stops.

Owns the normal-mixture confidence sequence: pure arithmetic on a mean, a count and a known spread. Leaves to others
where the spread comes from (``noise``), and who is raced against whom and when to stop (the search).

Source: Robbins 1970, "Statistical methods related to the law of the iterated logarithm"; Howard, Ramdas, McAuliffe
and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences", the two-sided normal mixture.

Assumes independent values of one mean, normal or sub-Gaussian with variance proxy ``sd ** 2``, and that ``sd`` is
known: measured beforehand, not from the values themselves. Differences of scores on 1..5 lie in -4..4, so ``sd = 4``
holds whatever their distribution (Hoeffding), at the price of width.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from scipy.special import lambertw

__all__ = ["SequenceInterval", "radius", "sequence_interval"]

_ALPHA = 0.05
_TIGHTEST_AT = 8


class SequenceInterval(NamedTuple):
    """Where the mean may lie, at this look and at all others together."""

    low: float
    high: float


def radius(n: int, sd: float, *, alpha: float = _ALPHA, tightest_at: int = _TIGHTEST_AT) -> float:
    """Half the width after ``n`` values, in the units of ``sd``.

    ``r(n) = sd * sqrt((n + rho) / n**2 * log((n + rho) / (rho * alpha**2)))``. The mean of the first n values is
    further than r(n) from the truth for any n at all, in 1, 2, 3, ..., with probability at most ``alpha``. For k
    sequences that must all hold give ``alpha / k``. ``tightest_at`` is the n at which no other rho does better; it
    is fixed before the first look. A ``sd`` of 0 gives 0: it claims that every value is the truth.
    """
    if n < 1 or tightest_at < 1:
        raise ValueError(f"a bound needs at least one value and one planned value, not {n} and {tightest_at}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"the chance of error must be between 0 and 1, not {alpha}")
    if not 0.0 <= sd < math.inf:
        raise ValueError(f"the spread must be a number from 0 on, not {sd}")
    rho = _rho(tightest_at, alpha)
    return sd * math.sqrt((n + rho) * math.log((n + rho) / (rho * alpha**2))) / n


def sequence_interval(
    mean: float, n: int, sd: float, *, alpha: float = _ALPHA, tightest_at: int = _TIGHTEST_AT
) -> SequenceInterval:
    """``mean -+ radius(n, sd)``: the interval after ``n`` values with that mean."""
    half = radius(n, sd, alpha=alpha, tightest_at=tightest_at)
    return SequenceInterval(mean - half, mean + half)


@lru_cache(maxsize=256)
def _rho(tightest_at: int, alpha: float) -> float:
    """The rho that makes the radius least at n = ``tightest_at``: ``n / (-W(-alpha**2 / e) - 1)``.

    Setting the derivative of the radius by rho to 0 gives ``x - log x = 1 - 2 log alpha`` for ``x = (n + rho) / rho``;
    W is the branch -1 of Lambert's function, which gives the solution above 1.
    """
    return tightest_at / (-float(lambertw(-(alpha**2) / math.e, k=-1).real) - 1)
