"""The selection strategies against their formulas."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from search_cases import make_tree

from autosynth_core.config import Strategy
from autosynth_core.search import Tree, strategy
from autosynth_core.search.select import aflow, best_of_n, random_node, soft_top_k, uct

DRAWS = 20_000


def shares(tree: Tree, k: int = 3) -> dict[int, float]:
    random = Random(1)
    count = Counter(soft_top_k(tree, random, k) for _ in range(DRAWS))
    return {number: n / DRAWS for number, n in sorted(count.items())}


def expected(rewards: dict[int, float], pending: dict[int, int]) -> dict[int, float]:
    peak = max(rewards.values())
    soft = {number: math.exp(20 * (reward - peak)) for number, reward in rewards.items()}
    mixed = {
        number: (0.3 / len(soft) + 0.7 * each / sum(soft.values())) / (1 + pending.get(number, 0))
        for number, each in soft.items()
    }
    return {number: each / sum(mixed.values()) for number, each in mixed.items()}


@pytest.mark.parametrize(
    ("in_flight", "pending"),
    [([], {}), ([1], {1: 1}), ([1, 1, 1, 2], {1: 3, 2: 1})],
    ids=["nothing in flight", "one on the best", "many on the best"],
)
def test_soft_top_k_draws_with_its_formula(in_flight: list[int], pending: dict[int, int]) -> None:
    tree = make_tree((0, None, 0.50), (1, 0, 0.62), (2, 0, 0.57), (3, 1, 0.40), in_flight=in_flight)
    wanted = expected({1: 0.62, 2: 0.57, 0: 0.50}, pending)
    found = shares(tree)
    assert set(found) == {0, 1, 2}
    for number, share in wanted.items():
        assert found[number] == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / DRAWS))


def test_gap_of_a_twentieth_gives_odds_of_e_within_the_softmax() -> None:
    found = expected({0: 0.60, 1: 0.55}, {})
    assert (found[0] - 0.15) / (found[1] - 0.15) == pytest.approx(math.e)
    assert shares(make_tree((0, None, 0.60), (1, 0, 0.55)))[0] == pytest.approx(found[0], abs=0.02)


def test_soft_top_k_ignores_all_but_the_best_k() -> None:
    tree = make_tree((0, None, 0.1), *((number, 0, 0.5 + number / 100) for number in range(1, 10)))
    assert set(shares(tree, 2)) == {8, 9}
    assert set(shares(tree, 1)) == {9}


def test_soft_top_k_with_fewer_nodes_than_k_takes_what_is_there() -> None:
    assert shares(make_tree((0, None, 0.5), (1, 0, None)), 50) == {0: 1.0}


def test_far_rewards_do_not_underflow() -> None:
    found = shares(make_tree((0, None, -300.0), (1, 0, 300.0)))
    assert found[1] == pytest.approx(0.85, abs=0.02)


def test_aflow_draws_from_the_first_workflow_and_the_three_best_others_whatever_is_in_flight() -> None:
    rows = [(0, None, 0.10), (1, 0, 0.50), (2, 0, 0.60), (3, 1, 0.55), (4, 1, 0.40), (5, 1, None)]
    tree = make_tree(*rows, in_flight=[2, 2, 2])
    random = Random(1)
    count = Counter(aflow(tree, random) for _ in range(DRAWS))
    wanted = expected({0: 0.10, 1: 0.50, 2: 0.60, 3: 0.55}, {})
    assert set(count) == set(wanted)
    for number, share in wanted.items():
        assert count[number] / DRAWS == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / DRAWS))


def upper_bound(tree: Tree, child: int, seen: int) -> float:
    totals = [score.reward.total for score in tree.scores.values()]
    n = tree.visits[child] + tree.pending_below(child)
    mean = (tree.value[child] / tree.visits[child] - min(totals)) / (max(totals) - min(totals))
    return mean + math.sqrt(2) * math.sqrt(math.log(seen) / n)


def test_uct_widens_before_it_descends() -> None:
    # N = 1: 1.5 sqrt(1) = 1.5 children allowed; N = 3: 2.6; N = 4: 3.0, and three there are
    assert uct(make_tree((0, None, 0.5)), Random(0)) == 0
    assert uct(make_tree((0, None, 0.5), (1, 0, 0.9), (2, 0, 0.1)), Random(0)) == 0
    assert uct(make_tree((0, None, 0.5), (1, 0, 0.9), (2, 0, 0.1), (3, 0, 0.2)), Random(0)) == 1


def test_uct_goes_to_the_child_with_the_highest_bound() -> None:
    rows = [(0, None, 0.5), (1, 0, 0.55), (2, 0, 0.56), (3, 0, 0.50), (4, 2, 0.40), (5, 2, 0.41), (6, 0, None)]
    tree = make_tree(*rows)
    seen = tree.visits[0]
    best = max([1, 2, 3], key=lambda child: upper_bound(tree, child, seen))
    path = tree.path(uct(tree, Random(0)))
    assert best in path


def test_uct_counts_what_is_in_flight_as_width_and_as_visits() -> None:
    idle = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 0, 0.6), (3, 0, 0.2))
    assert uct(idle, Random(0)) in (1, 2)
    # two expansions below 1: its bound sinks beneath its twin's, and the root's N grows to 6: 3.7 children allowed
    busy = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 0, 0.6), (3, 0, 0.2), in_flight=[1, 1])
    assert uct(busy, Random(0)) == 0
    full = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 0, 0.6), (3, 0, 0.2), (4, 0, None), in_flight=[1, 1])
    assert {uct(full, Random(seed)) for seed in range(20)} == {2}


def test_uct_never_descends_into_broken_children() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, None), (2, 0, None), (3, 0, None), (4, 0, None))
    assert uct(tree, Random(0)) == 0


def test_uct_ends_when_all_rewards_are_equal() -> None:
    rows = [(0, None, 0.5), *((number, number - 1, 0.5) for number in range(1, 30))]
    assert uct(make_tree(*rows), Random(3)) in range(30)


def test_best_of_n_is_always_the_first_workflow() -> None:
    tree = make_tree((0, None, 0.1), (1, 0, 0.9), in_flight=[0] * 30)
    assert {best_of_n(tree, Random(seed)) for seed in range(50)} == {0}


def test_random_takes_each_scored_node_as_often() -> None:
    tree = make_tree((0, None, 0.1), (1, 0, 0.9), (2, 0, None), (3, 1, 0.5))
    random = Random(2)
    count = Counter(random_node(tree, random) for _ in range(6000))
    assert set(count) == {0, 1, 3}
    assert all(abs(n - 2000) < 160 for n in count.values())


@pytest.mark.parametrize("name", list(Strategy), ids=str)
def test_same_random_state_selects_the_same_parents(name: Strategy) -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 0, 0.61), (3, 1, 0.4), (4, 2, 0.62), (5, 0, None))
    select = strategy(name, 3)
    runs = [[select(tree, Random(f"7:{number}")) for number in range(30)] for _ in range(2)]
    assert runs[0] == runs[1]
    assert set(runs[0]) <= set(tree.scores)
