"""Bounds that hold at every look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autosynth_core.judging.sequential import radius, sequence_interval

PATHS, LOOKS = 4000, 200
COUNTS = np.arange(1, LOOKS + 1)


def left_ever(values: np.ndarray, sd: float, alpha: float, tightest_at: int) -> float:
    """The share of paths whose running mean is ever further from 0 than the radius."""
    means = np.cumsum(values, axis=1) / COUNTS
    radii = np.array([radius(int(n), sd, alpha=alpha, tightest_at=tightest_at) for n in COUNTS])
    return float((np.abs(means) > radii).any(axis=1).mean())


@pytest.mark.parametrize("tightest_at", [1, 8, 50])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_no_more_paths_ever_leave_than_promised(alpha: float, tightest_at: int) -> None:
    values = np.random.default_rng(7).normal(0, 0.6, (PATHS, LOOKS))
    slack = 3 * math.sqrt(alpha * (1 - alpha) / PATHS)
    assert left_ever(values, 0.6, alpha, tightest_at) <= alpha + slack


def test_coarse_digits_leave_no_more_often_than_promised() -> None:
    values = np.random.default_rng(8).choice([-1.0, 0.0, 1.0], size=(PATHS, LOOKS), p=[0.25, 0.5, 0.25])
    assert left_ever(values, 1.0, 0.05, 8) <= 0.05


def test_a_bound_for_one_look_would_leave_far_more_often() -> None:
    values = np.random.default_rng(9).normal(0, 1, (PATHS, LOOKS))
    means = np.cumsum(values, axis=1) / COUNTS
    assert (np.abs(means) > 1.96 / np.sqrt(COUNTS)).any(axis=1).mean() > 0.3


@pytest.mark.parametrize("n", [1, 3, 8, 40])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_nothing_is_tighter_where_it_is_meant_to_be_tightest(n: int, alpha: float) -> None:
    planned = radius(n, 1.0, alpha=alpha, tightest_at=n)
    assert all(radius(n, 1.0, alpha=alpha, tightest_at=other) >= planned for other in range(1, 100))


def test_radius_is_the_formula() -> None:
    # x - log x = 1 - 2 log 0.05 has the root 9.2120 above 1, so rho = 8 / 8.2120.
    low, high = 1.0, 20.0
    for _ in range(80):
        x = (low + high) / 2
        low, high = (x, high) if x - math.log(x) < 1 - 2 * math.log(0.05) else (low, x)
    rho = 8 / (low - 1)
    assert radius(20, 0.5) == pytest.approx(0.5 * math.sqrt((20 + rho) / 400 * math.log((20 + rho) / (rho * 0.0025))))


def test_radius_shrinks_with_every_value() -> None:
    radii = [radius(n, 1.0) for n in range(1, 500)]
    assert radii == sorted(radii, reverse=True)


def test_radius_is_wider_than_for_a_single_look_and_not_absurdly() -> None:
    assert 1.96 / math.sqrt(8) < radius(8, 1.0) < 1.7 * 1.96 / math.sqrt(8)


def test_interval_stands_around_the_mean() -> None:
    low, high = sequence_interval(0.4, 10, 0.5)
    assert (low + high) / 2 == pytest.approx(0.4)
    assert high - low == pytest.approx(2 * radius(10, 0.5))


def test_without_spread_the_interval_is_the_mean() -> None:
    assert sequence_interval(0.3, 1, 0.0) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("n", "sd", "alpha", "tightest_at"),
    [(0, 1, 0.05, 8), (-2, 1, 0.05, 8), (3, -1, 0.05, 8), (3, math.nan, 0.05, 8), (3, math.inf, 0.05, 8),
     (3, 1, 0, 8), (3, 1, 1, 8), (3, 1, math.nan, 8), (3, 1, 0.05, 0)],
)  # fmt: skip
def test_what_has_no_bound_is_refused(n: int, sd: float, alpha: float, tightest_at: int) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        radius(n, sd, alpha=alpha, tightest_at=tightest_at)
