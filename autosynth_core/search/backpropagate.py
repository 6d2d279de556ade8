"""Backpropagation: every node's reward counts for every workflow on its path to the root."""

from __future__ import annotations

from autosynth_core.search.tree import Tree

__all__ = ["backpropagate"]


def backpropagate(tree: Tree) -> None:
    """Add up visits and rewards (0..1) along the paths, anew for the whole tree.

    Anew, because a new look at any node moves the estimates of its relatives too. A node without a score (broken,
    duplicate, unscored) changes nothing: it was never evaluated.
    """
    tree.visits.clear()
    tree.value.clear()
    for number, score in tree.scores.items():
        for ancestor in tree.path(number):
            tree.visits[ancestor] += 1
            tree.value[ancestor] += score.reward.total
