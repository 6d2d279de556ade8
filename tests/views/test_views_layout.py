"""The tidy layout: no overlap, parents over their children, any shape, any depth."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from itertools import pairwise

import pytest

from autosynth_core.views.layout import tidy

SHAPES = {
    "one": {0: None},
    "chain": {n: n - 1 if n else None for n in range(50)},
    "star": {n: 0 if n else None for n in range(50)},
    "binary": {n: (n - 1) // 2 if n else None for n in range(63)},
    "random": {n: random.Random(n).randrange(n) if n else None for n in range(200)},
    "lost parent": {0: None, 5: 99, 6: 5},
}


@pytest.mark.parametrize("parents", SHAPES.values(), ids=SHAPES.keys())
def test_no_two_nodes_of_a_level_come_closer_than_a_node_width(parents: dict[int, int | None]) -> None:
    levels = defaultdict(list)
    for place in tidy(parents).values():
        levels[place.depth].append(place.x)
    for xs in levels.values():
        xs.sort()
        assert all(after - before >= 1 - 1e-9 for before, after in pairwise(xs))


@pytest.mark.parametrize("parents", SHAPES.values(), ids=SHAPES.keys())
def test_a_parent_stands_over_the_middle_of_its_children(parents: dict[int, int | None]) -> None:
    places = tidy(parents)
    for number, place in places.items():
        below = [places[child] for child, parent in parents.items() if parent == number]
        if below:
            xs = [child.x for child in below]
            assert place.x == pytest.approx((min(xs) + max(xs)) / 2)
            assert {child.depth for child in below} == {place.depth + 1}
    assert min(place.x for place in places.values()) == pytest.approx(0)


def test_no_nodes_have_no_places() -> None:
    assert tidy({}) == {}


def test_the_order_of_the_nodes_changes_nothing() -> None:
    shape = SHAPES["random"]
    assert tidy(shape) == tidy(dict(reversed(shape.items())))


def test_a_chain_of_thousands_does_not_hit_the_recursion_limit() -> None:
    places = tidy({n: n - 1 if n else None for n in range(5_000)})
    assert places[4_999].depth == 4_999


def test_a_thousand_nodes_are_placed_at_once() -> None:
    dice = random.Random(1)
    began = time.perf_counter()
    tidy({n: dice.randrange(n) if n else None for n in range(1_000)})
    assert time.perf_counter() - began < 0.5
