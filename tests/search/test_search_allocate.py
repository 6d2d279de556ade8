"""Staged sampling: how many seed inputs a workflow is run on, and who runs in a round of the race."""

from __future__ import annotations

import numpy as np
import pytest
from search_cases import make_scale

from autosynth_core.config import RunSettings, Sampling
from autosynth_core.judging import Scale, Spread
from autosynth_core.search.allocate import chance_to_beat, first_look, leaders, parent_look


def settings(seed_inputs: int, sampling: Sampling = Sampling.STAGED) -> RunSettings:
    return RunSettings(seed_inputs=seed_inputs, sampling=sampling)


@pytest.mark.parametrize("whole", [2, 3, 4, 5, 6, 8, 9, 20, 200])
def test_first_look_is_half_at_most_and_enough_for_a_comparison(whole: int) -> None:
    first = first_look(settings(whole))
    assert min(whole, 3) <= first <= max(3, (whole + 1) // 2)


@pytest.mark.parametrize("whole", range(2, 201))
def test_no_workflow_is_run_on_more_than_a_full_look_before_the_race(whole: int) -> None:
    assert first_look(settings(whole)) <= parent_look(settings(whole)) <= whole


def test_workflow_that_is_built_upon_is_looked_at_more_closely() -> None:
    assert (first_look(settings(8)), parent_look(settings(8))) == (3, 5)


def test_fixed_sampling_looks_once_at_everything() -> None:
    fixed = settings(7, Sampling.FIXED)
    assert (first_look(fixed), parent_look(fixed)) == (7, 7)


# --- who runs in a round ------------------------------------------------------------------------------------------


def running(*rewards: float, most: int = 4, sd: float = 0.4, among: tuple[int, ...] = ()) -> tuple[int, ...]:
    numbers = among or tuple(range(len(rewards)))
    return leaders(make_scale(*rewards, sd=sd), dict.fromkeys(range(len(rewards)), 0.5), numbers, most, 0.5)


def test_best_comes_first_and_then_who_is_most_likely_to_beat_it() -> None:
    assert running(0.3, 0.62, 0.6, 0.5) == (1, 2, 3, 0)


def test_no_more_than_asked_for_run_at_once() -> None:
    assert running(0.3, 0.62, 0.6, 0.5, most=2) == (1, 2)
    assert running(0.3, 0.62, 0.6, 0.5, most=1) == (1,)


def test_earlier_leads_among_equals() -> None:
    assert running(0.6, 0.6, 0.6, most=2) == (0, 1)


def test_node_without_a_chance_does_not_run() -> None:
    assert running(0.1, 0.2, 0.9, sd=0.05) == (2,)


def test_only_those_given_run() -> None:
    assert running(0.3, 0.62, 0.6, among=(0, 2)) == (2, 0)
    assert running(0.5) == (0,)


def test_challenger_is_who_is_most_likely_to_beat_the_leader_and_not_who_is_second() -> None:
    """Node 0 is close but known, node 1 is further away and hardly known."""
    means, sds = np.array([3.30, 3.0, 3.4]), np.array([0.01, 2.0, 0.01])
    scale = Scale((0, 1, 2), means, np.diag(sds**2), {}, {}, Spread(0.4, 0.2), 0.2, 0.0)
    assert leaders(scale, dict.fromkeys(range(3), 0.0), (0, 1, 2), 2, 0.0) == (2, 1)


def test_program_counts_by_its_share() -> None:
    scale, programs = make_scale(0.5, 0.6, sd=0.1), {0: 0.9, 1: 0.5}
    assert leaders(scale, programs, (0, 1), 1, 0.0) == (1,)
    assert leaders(scale, programs, (0, 1), 1, 0.5) == (0,)


# --- the chance ---------------------------------------------------------------------------------------------------

EVEN = {0: 0.5, 1: 0.5}


def test_chances_of_two_add_up_to_one() -> None:
    scale = make_scale(0.5, 0.6, sd=0.3)
    one, other = (chance_to_beat(scale, EVEN, *order, 0.5) for order in ((0, 1), (1, 0)))
    assert one + other == pytest.approx(1.0)
    assert one < 0.5 < other


def test_chance_is_the_normal_one() -> None:
    scale = make_scale(0.5, 0.6, sd=0.4 / 2**0.5 / 1.644854)
    assert chance_to_beat(scale, EVEN, 1, 0, 0.0) == pytest.approx(0.95, abs=1e-6)


def test_program_moves_the_chance_by_its_share() -> None:
    scale = make_scale(0.5, 0.5, sd=0.3)
    chances = [chance_to_beat(scale, {0: 0.5, 1: 0.625}, 1, 0, weight) for weight in (0.0, 0.3, 0.6)]
    assert chances[0] == pytest.approx(0.5)
    assert chances == sorted(set(chances))


@pytest.mark.parametrize(("rewards", "chance"), [((0.5, 0.5), 0.5), ((0.5, 0.6), 1.0), ((0.6, 0.5), 0.0)], ids=str)
def test_chance_without_any_doubt_is_none_or_all(rewards: tuple[float, float], chance: float) -> None:
    assert chance_to_beat(make_scale(*rewards), EVEN, 1, 0, 0.5) == chance


def test_with_the_program_alone_no_sample_matters() -> None:
    scale = make_scale(0.9, 0.1, sd=0.4)
    assert chance_to_beat(scale, {0: 0.5, 1: 0.6}, 1, 0, 1.0) == 1.0
