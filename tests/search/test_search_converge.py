"""Convergence: the rules, the patience, the units."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from search_cases import make_scale, make_score, make_scores

from autosynth_core.config import Convergence
from autosynth_core.judging import Scale
from autosynth_core.search import NodeScore, converged
from autosynth_core.search.converge import gain_upper_bound, top

TOP = (2, 1, 0)


def ended(
    history: Sequence[tuple[int, ...]],
    scores: dict[int, NodeScore],
    scale: Scale,
    rule: Convergence = Convergence.BOUND,
    *,
    epsilon: float = 0.05,
    patience: int = 5,
    left: int = 0,
    weight: float = 0.5,
) -> bool:
    return converged(history, scores, scale, rule, epsilon=epsilon, patience=patience, left=left, weight=weight)


REWARDS = (0.5, 0.55, 0.6, 0.61, 0.62, 0.63)
SCORES, SCALE = make_scores(*REWARDS), make_scale(*REWARDS, sd=0.01)
LATE = (5, 4, 3)
RULES = [Convergence.BOUND, Convergence.PAPER, Convergence.UNCHANGED]


def test_top_are_the_three_best_and_the_earlier_among_equals() -> None:
    assert top(make_scores(0.5, 0.9, 0.7, 0.9, 0.7)) == (1, 3, 2)
    assert top(make_scores(0.5)) == (0,)
    assert top({}) == ()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_standstill_converges_once_patience_is_over_and_not_before(rule: Convergence) -> None:
    assert not ended([TOP] * 5, SCORES, SCALE, rule)
    assert ended([TOP] * 6, SCORES, SCALE, rule)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_fewer_workflows_than_three_are_not_compared_with_the_top_three(rule: Convergence) -> None:
    growing: list[tuple[int, ...]] = [(0,), (1, 0)]
    assert not ended([*growing, *[TOP] * 5], SCORES, SCALE, rule)
    assert ended([*growing, *[TOP] * 6], SCORES, SCALE, rule)


@pytest.mark.parametrize("rule", list(Convergence), ids=str)
def test_sure_and_large_gain_goes_on_whatever_the_rule(rule: Convergence) -> None:
    rewards = (0.2, 0.2, 0.2, 0.6, 0.6, 0.6)
    assert not ended([TOP, *[LATE] * 5], make_scores(*rewards), make_scale(*rewards), rule)


def test_never_means_never() -> None:
    assert not ended([TOP] * 500, SCORES, SCALE, Convergence.NEVER, epsilon=1.0)


def test_small_gain_that_may_be_a_large_one_goes_on() -> None:
    rewards = (0.5, 0.5, 0.5, 0.51, 0.51, 0.51)
    scores, history = make_scores(*rewards), [TOP, *[LATE] * 5]
    assert ended(history, scores, make_scale(*rewards, sd=0.01))
    assert not ended(history, scores, make_scale(*rewards, sd=0.5))
    assert ended(history, scores, make_scale(*rewards, sd=0.5), Convergence.PAPER)


def test_what_is_uncertain_about_all_alike_keeps_no_search_going() -> None:
    rewards = (0.5, 0.5, 0.5, 0.51, 0.51, 0.51)
    assert ended([TOP, *[LATE] * 5], make_scores(*rewards), make_scale(*rewards, sd=0.01, shared=5.0))


def test_bound_is_the_upper_end_of_the_gain_in_reward_units() -> None:
    """Node 2 is in both tops and cancels: three against three, two of each different."""
    rewards = (0.5, 0.5, 0.5, 0.53, 0.56)
    scores, scale = make_scores(*rewards), make_scale(*rewards, sd=0.3)
    upper = 1.959964 * (4 * (0.3 / 3) ** 2) ** 0.5 / 4
    for weight in (0.0, 0.5, 1.0):
        found = gain_upper_bound((2, 1, 0), (4, 3, 2), scores, scale, weight)
        assert found == pytest.approx(0.03 + (1 - weight) * upper)


def test_bound_of_the_same_three_is_zero_however_little_is_known_of_them() -> None:
    assert gain_upper_bound(TOP, (0, 2, 1), SCORES, make_scale(*REWARDS, sd=9.0), 0.5) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("rule", [Convergence.BOUND, Convergence.PAPER], ids=str)
@pytest.mark.parametrize(("gain", "over"), [(0.049, True), (0.051, False)], ids=["below epsilon", "above epsilon"])
def test_epsilon_is_in_reward_units(rule: Convergence, gain: float, over: bool) -> None:
    rewards = (0.5, 0.5, 0.5, *[0.5 + gain] * 3)
    assert ended([TOP, *[LATE] * 5], make_scores(*rewards), make_scale(*rewards), rule) is over


@pytest.mark.parametrize("rule", [Convergence.BOUND, Convergence.PAPER], ids=str)
def test_epsilon_of_zero_never_ends_a_standstill(rule: Convergence) -> None:
    assert not ended([TOP] * 20, SCORES, SCALE, rule, epsilon=0.0)


def test_paper_rule_takes_a_fall_for_a_move() -> None:
    rewards = (0.6, 0.6, 0.6, 0.5, 0.5, 0.5)
    assert not ended([TOP, *[LATE] * 5], make_scores(*rewards), make_scale(*rewards), Convergence.PAPER)


def test_unchanged_rule_goes_by_who_they_are_and_looks_at_the_whole_window() -> None:
    away_and_back = [TOP, TOP, LATE, TOP, TOP, TOP]
    assert not ended(away_and_back, SCORES, SCALE, Convergence.UNCHANGED)
    assert ended([*away_and_back, TOP, TOP, TOP], SCORES, SCALE, Convergence.UNCHANGED)
    assert ended([TOP] * 5 + [(1, 2, 0)], SCORES, SCALE, Convergence.UNCHANGED)


def test_window_is_the_last_patience_children_and_nothing_before() -> None:
    rewards = (0.2, 0.2, 0.2, 0.6, 0.6, 0.6)
    scores, scale = make_scores(*rewards), make_scale(*rewards)
    assert not ended([TOP, LATE, LATE], scores, scale, patience=2)
    assert ended([TOP, LATE, LATE, LATE], scores, scale, patience=2)


def test_bound_looks_back_as_far_as_there_is_left_to_go_and_the_rules_of_others_do_not() -> None:
    rewards = (0.2, 0.2, 0.2, 0.6, 0.6, 0.6)
    scores, scale = make_scores(*rewards), make_scale(*rewards)
    history = [*[TOP] * 3, *[LATE] * 10]
    assert ended(history, scores, scale, left=9)
    assert not ended(history, scores, scale, left=10)
    assert not ended(history, scores, scale, left=500)
    for rule in (Convergence.PAPER, Convergence.UNCHANGED):
        assert ended(history, scores, scale, rule, left=500)


def test_both_tops_are_taken_on_todays_scale() -> None:
    """The earlier top turned out to be worse than it looked: the gain is against what is known of it today."""
    scores = {**make_scores(0.5, 0.5, 0.5), **{number: make_score(number, 0.6) for number in (3, 4, 5)}}
    assert gain_upper_bound(TOP, LATE, scores, make_scale(*[0.5] * 3, *[0.6] * 3), 0.5) == pytest.approx(0.1)
