"""Convergence: the bound, the patience, the units."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from search_cases import make_score

from autosynth_core.judging import t_quantile
from autosynth_core.search import TopMean, converged, top_mean
from autosynth_core.search.converge import gain_upper_bound


def moment(*linked: float, workflow: float = 3.0, size: int = 3) -> TopMean:
    return TopMean({f"s{index}": value for index, value in enumerate(linked)}, workflow, size)


def ended(history: Sequence[TopMean], *, epsilon: float = 0.05, patience: int = 5, weight: float = 0.5) -> bool:
    return converged(history, epsilon=epsilon, patience=patience, weight=weight)


FLAT = moment(3.0, 3.5, 4.0, 3.0)


def test_flat_history_converges_once_patience_is_over_and_not_before() -> None:
    assert not ended([FLAT] * 5)
    assert ended([FLAT] * 6)


def test_mean_over_fewer_workflows_is_not_compared_with_the_top_three() -> None:
    growing = [moment(3.0, 3.5, 4.0, 3.0, size=size) for size in (1, 2, 3)]
    assert not ended([*growing, FLAT, FLAT, FLAT])
    assert not ended([*growing, *[FLAT] * 4])
    assert ended([*growing, *[FLAT] * 5])


def test_steady_gain_goes_on() -> None:
    history = [moment(*(3.0 + step / 10 + seed / 10 for seed in range(4))) for step in range(10)]
    assert not ended(history)


def test_noisy_standstill_goes_on_although_its_mean_is_flat() -> None:
    before, now = moment(2.0, 4.0, 3.0, 3.0), moment(4.0, 2.0, 2.4, 3.6)
    assert not ended([before, *[now] * 5])


def test_bound_is_the_upper_end_of_the_paired_interval_in_reward_units() -> None:
    before, now = moment(3.0, 3.0, 3.0, 3.0), moment(3.1, 3.3, 2.9, 3.1, workflow=3.4)
    gains = [0.1, 0.3, -0.1, 0.1]
    mean = sum(gains) / 4
    se = (sum((gain - mean) ** 2 for gain in gains) / 3) ** 0.5 / 2
    upper = mean + t_quantile(3) * se
    assert gain_upper_bound(before, now, 0.5) == pytest.approx((0.5 * upper + 0.5 * 0.4) / 4)
    assert gain_upper_bound(before, now, 0.0) == pytest.approx(upper / 4)
    assert gain_upper_bound(before, now, 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("points", "over"), [(0.19, True), (0.21, False)], ids=["below epsilon", "above epsilon"])
def test_epsilon_is_in_reward_units_of_which_a_point_is_a_quarter(points: float, over: bool) -> None:
    before, now = moment(3.0, 3.0, 3.0), moment(*[3.0 + points] * 3, workflow=3.0 + points)
    assert ended([before, *[now] * 5], epsilon=0.05) is over


def test_one_shared_seed_input_proves_no_standstill() -> None:
    assert not ended([moment(3.0)] * 9)


def test_epsilon_of_zero_never_ends_a_standstill() -> None:
    assert not ended([FLAT] * 20, epsilon=0.0)


def test_top_mean_takes_the_best_three_over_the_seed_inputs_they_share() -> None:
    scores = [
        make_score(1, 0.9, seeds=[4.0, 5.0, 3.0]),
        make_score(2, 0.8, seeds=[3.0, 4.0]),
        make_score(3, 0.7, seeds=[2.0, 3.0, 1.0]),
        make_score(4, 0.1, seeds=[1.0, 1.0, 1.0]),
    ]
    found = top_mean(scores)
    assert found.size == 3
    assert found.linked == {"s0": 3.0, "s1": 4.0}
    assert found.workflow == pytest.approx(1 + 4 * 0.8)


def test_top_mean_of_one_is_that_one() -> None:
    assert top_mean([make_score(0, 0.5, seeds=[2.0, 3.0])]) == TopMean({"s0": 2.0, "s1": 3.0}, 3.0, 1)
