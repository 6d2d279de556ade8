"""Staged sampling: how many seed inputs at first, and who gets another look."""

from __future__ import annotations

import math

import numpy as np
import pytest
from search_cases import make_scale, make_score, make_scores

from autosynth_core.config import RunSettings, Sampling
from autosynth_core.judging import Scale, Spread
from autosynth_core.search.allocate import chance_to_beat, first_look, further_look, top_two
from autosynth_core.search.scores import NodeScore


def settings(seed_inputs: int, sampling: Sampling = Sampling.STAGED) -> RunSettings:
    return RunSettings(seed_inputs=seed_inputs, sampling=sampling)


@pytest.mark.parametrize("whole", [2, 3, 4, 5, 6, 8, 9, 20, 200])
def test_first_look_is_half_at_most_and_enough_for_a_comparison(whole: int) -> None:
    first = first_look(settings(whole))
    assert min(whole, 3) <= first <= max(3, (whole + 1) // 2)
    assert further_look(settings(whole)) >= 1


@pytest.mark.parametrize("whole", range(4, 201))
def test_staged_sampling_never_makes_more_samples_than_fixed(whole: int) -> None:
    assert first_look(settings(whole)) + further_look(settings(whole)) <= whole


def test_fixed_sampling_looks_once_at_everything() -> None:
    fixed = settings(7, Sampling.FIXED)
    assert (first_look(fixed), further_look(fixed)) == (7, 0)


# --- who is looked at again ---------------------------------------------------------------------------------------


def again(rewards: tuple[float, ...], looks: dict[int, int], sd: float = 0.4, weight: float = 0.5) -> int | None:
    return top_two(make_scale(*rewards, sd=sd), make_scores(*rewards), looks, weight)


def test_of_leader_and_challenger_the_one_with_fewer_looks_is_next() -> None:
    assert again((0.3, 0.6, 0.62), {1: 3, 2: 4}) == 1
    assert again((0.3, 0.6, 0.62), {1: 5, 2: 4}) == 2


def test_leader_is_next_among_equals() -> None:
    assert again((0.3, 0.6, 0.62), {1: 4, 2: 4}) == 2
    assert again((0.3, 0.62, 0.6), {}) == 1


def test_node_without_a_chance_gets_no_look_however_few_it_had() -> None:
    assert again((0.3, 0.6, 0.62), {0: 0, 1: 9, 2: 10}) == 1


def test_nothing_is_spent_when_nobody_can_beat_the_leader() -> None:
    assert again((0.1, 0.2, 0.9), {}, sd=0.05) is None


def test_nothing_is_spent_on_a_single_workflow() -> None:
    assert again((0.5,), {}) is None
    assert top_two(make_scale(0.5), {}, {}, 0.5) is None


def test_challenger_is_who_is_most_likely_to_beat_the_leader_and_not_who_is_second() -> None:
    """Node 0 is close but known, node 1 is further away and hardly known."""
    means, sds = np.array([3.30, 3.0, 3.4]), np.array([0.01, 2.0, 0.01])
    scale = Scale((0, 1, 2), means, np.diag(sds**2), {}, {}, Spread(0.4, 0.2), 0.2, 0.0)
    scores = {number: make_score(number, (mean - 1) / 4) for number, mean in enumerate(means)}
    assert top_two(scale, scores, {0: 3, 1: 3, 2: 10}, 0.0) == 1


def test_looks_under_way_count_so_that_parallel_iterations_share_them_out() -> None:
    looks = {0: 3, 1: 3}
    chosen = []
    for _ in range(4):
        node = again((0.60, 0.61), looks)
        assert node is not None
        chosen.append(node)
        looks[node] += 1
    assert chosen == [1, 0, 1, 0]


# --- the chance ---------------------------------------------------------------------------------------------------


def pair(sample: float, workflow: float) -> dict[int, NodeScore]:
    """Two nodes, the second better by so many points of the sample and the workflow score."""
    low, high = make_score(0, 0.5), make_score(1, 0.5)
    reward = high.reward.__class__(0.5, 0.5 + sample / 4, 0.5 + workflow / 4, 0.0, 1.0, 3)
    return {0: low, 1: high.__class__(1, reward, high.quality, 3 + workflow, None)}


def test_chances_of_two_add_up_to_one() -> None:
    scale, scores = make_scale(0.5, 0.6, sd=0.3), make_scores(0.5, 0.6)
    one, other = (chance_to_beat(scale, scores, *order, 0.5) for order in ((0, 1), (1, 0)))
    assert one + other == pytest.approx(1.0)
    assert one < 0.5 < other


def test_chance_is_the_normal_one() -> None:
    scale = make_scale(0.5, 0.6, sd=0.4 / 2**0.5 / 1.644854)
    assert chance_to_beat(scale, pair(0.4, 0.0), 1, 0, 0.0) == pytest.approx(0.95, abs=1e-6)


def test_program_moves_the_chance_by_its_share() -> None:
    scale = make_scale(0.5, 0.5, sd=0.3)
    chances = [chance_to_beat(scale, pair(0.0, 0.5), 1, 0, weight) for weight in (0.0, 0.3, 0.6)]
    assert chances[0] == pytest.approx(0.5)
    assert chances == sorted(set(chances))


@pytest.mark.parametrize(("rewards", "chance"), [((0.5, 0.5), 0.5), ((0.5, 0.6), 1.0), ((0.6, 0.5), 0.0)], ids=str)
def test_chance_without_any_doubt_is_none_or_all(rewards: tuple[float, float], chance: float) -> None:
    assert chance_to_beat(make_scale(*rewards), make_scores(*rewards), 1, 0, 0.5) == chance


def test_with_the_program_alone_no_sample_matters() -> None:
    scale = make_scale(0.9, 0.1, sd=0.4)
    assert chance_to_beat(scale, pair(-3.2, 0.1), 1, 0, 1.0) == 1.0


def test_program_that_could_not_be_read_leaves_the_chance_alone_where_it_has_no_share() -> None:
    scale = make_scale(0.5, 0.6, sd=0.3)
    assert chance_to_beat(scale, pair(0.4, math.nan), 1, 0, 0.0) == chance_to_beat(scale, pair(0.4, 0.0), 1, 0, 0.0)
