"""The search tree in memory: committed nodes, their scores, and which parents have expansions in flight.

Owns the shape of the tree and its counts. How a parent is picked stands in ``select``, how a result travels up in
``backpropagate``; nothing here knows of models or of the store.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from autosynth_core.records import Node, NodeState
from autosynth_core.search.scores import NodeScore

__all__ = ["Tree"]


class Tree:
    """Nodes by number (the root is 0), each added once, parents before children."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.scores: dict[int, NodeScore] = {}
        self.children: dict[int, list[int]] = {}
        self.visits: Counter[int] = Counter()
        self.value: defaultdict[int, float] = defaultdict(
            float
        )  # sum of the rewards backpropagated through a node, each 0..1
        self.in_flight: dict[int, int] = {}  # iteration -> the parent it expands
        self.options: dict[str, list[tuple[str, str]]] = {}  # program -> what ``expand`` found can be done to it

    def add(self, node: Node) -> None:
        """Commit a finished node; its score comes with the next ``scores``. Raises ValueError when its parent is
        unknown or the number is taken."""
        if node.number in self.nodes or (node.parent is not None and node.parent not in self.nodes):
            raise ValueError(f"node {node.number} can't be added below {node.parent}")
        self.nodes[node.number] = node
        self.in_flight.pop(node.number, None)
        if node.parent is not None:
            self.children.setdefault(node.parent, []).append(node.number)

    @property
    def scored(self) -> list[int]:
        """Numbers of the nodes that can be selected, best reward first, earlier first among equals."""
        return sorted(self.scores, key=lambda number: (-self.scores[number].reward.total, number))

    @property
    def best(self) -> int | None:
        """The node with the highest reward; None while nothing is scored."""
        return next(iter(self.scored), None)

    def pending(self, number: int) -> int:
        """How many expansions of this node itself are in flight."""
        return sum(parent == number for parent in self.in_flight.values())

    def pending_below(self, number: int) -> int:
        """How many expansions are in flight at this node or anywhere below it (the O of WU-UCT)."""
        return sum(number in self.path(parent) for parent in self.in_flight.values())

    def path(self, number: int) -> list[int]:
        """The node and its ancestors, up to the root."""
        return list(self._upwards(number))

    def _upwards(self, number: int | None) -> Iterator[int]:
        while number is not None:
            yield number
            number = self.nodes[number].parent

    def fingerprints(self) -> dict[str, int]:
        """Fingerprint of each known program and the first node that has it.

        An unscored one may be tried again: that it has no score was the endpoint's fault.
        """
        known: dict[str, int] = {}
        for number, node in self.nodes.items():
            if node.fingerprint and node.state not in (NodeState.DUPLICATE, NodeState.UNSCORED):
                known.setdefault(node.fingerprint, number)
        return known
