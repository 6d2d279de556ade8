"""Where a tree's nodes stand on the page.

Reingold and Tilford's tidy layout (IEEE TSE 1981): children under their parent, subtrees as close as they can be
without touching, the same subtree always drawn the same. Pure, no recursion, so that a chain of any length works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import networkx as nx

__all__ = ["Place", "tidy"]


class Place(NamedTuple):
    """``x`` in node widths from the leftmost node (>= 0), ``depth`` from the root (0)."""

    x: float
    depth: int


class _Outline(NamedTuple):
    """A subtree's leftmost and rightmost x at each depth, relative to its own root."""

    left: list[float]
    right: list[float]


def tidy(parents: Mapping[int, int | None]) -> dict[int, Place]:
    """Places for nodes given by number with their parent. A parent that is not among them makes its child a root."""
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(parents))
    graph.add_edges_from((parent, number) for number, parent in sorted(parents.items()) if parent in parents)
    order = list(nx.topological_sort(graph))  # parents first
    offsets: dict[int, float] = {}  # of a node from its parent
    outlines: dict[int, _Outline] = {}
    for number in reversed(order):
        children = list(graph.successors(number))
        shifts, outlines[number] = _joined([outlines.pop(child) for child in children])
        offsets.update(zip(children, shifts, strict=True))
    roots = [number for number in graph if graph.in_degree(number) == 0]
    shifts, _ = _joined([outlines[root] for root in roots])
    offsets.update(zip(roots, shifts, strict=True))
    return _absolute(order, parents, offsets)


def _joined(outlines: list[_Outline]) -> tuple[list[float], _Outline]:
    """Subtrees set side by side below one node: each one's shift from that node, and the whole outline."""
    shifts: list[float] = []
    left: list[float] = []
    right: list[float] = []
    for outline in outlines:
        gap = (1 + edge - own for edge, own in zip(right, outline.left, strict=False))
        shift = max(gap, default=0.0)
        shifts.append(shift)
        left += [shift + x for x in outline.left[len(left) :]]
        right[: len(outline.right)] = [shift + x for x in outline.right]
    centre = (shifts[0] + shifts[-1]) / 2 if shifts else 0.0
    whole = _Outline([0.0, *(x - centre for x in left)], [0.0, *(x - centre for x in right)])
    return [shift - centre for shift in shifts], whole


def _absolute(order: list[int], parents: Mapping[int, int | None], offsets: Mapping[int, float]) -> dict[int, Place]:
    places: dict[int, Place] = {}
    for number in order:
        parent = parents[number]
        above = places.get(parent) if parent is not None else None
        places[number] = Place(offsets[number] + (above.x if above else 0.0), above.depth + 1 if above else 0)
    leftmost = min((place.x for place in places.values()), default=0.0)
    return {number: Place(place.x - leftmost, place.depth) for number, place in places.items()}
