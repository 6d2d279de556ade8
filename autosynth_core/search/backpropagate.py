"""Backpropagation: a new node's reward counts for every workflow on its path to the root."""

from __future__ import annotations

from autosynth_core.search.tree import Tree

__all__ = ["backpropagate"]


def backpropagate(tree: Tree, number: int) -> None:
    """Add one visit, and the node's reward (0..1), to the node and all its ancestors.

    A node without a score (broken, duplicate, unscored) changes nothing: it was never evaluated.
    """
    score = tree.scores.get(number)
    if score is None:
        return
    for ancestor in tree.path(number):
        tree.visits[ancestor] += 1
        tree.value[ancestor] += score.reward.total
