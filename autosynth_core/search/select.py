"""Selection: which workflow is changed next.

Five strategies behind one Protocol. All of them look only at committed results and at what is in flight, and draw
from the ``Random`` they are given, so that a run with the same seed and answers takes the same path.
"""

from __future__ import annotations

import math
from random import Random
from typing import Protocol

from autosynth_core.config import Strategy
from autosynth_core.search.tree import Tree

__all__ = ["Select", "aflow", "best_of_n", "random_node", "soft_top_k", "strategy", "uct"]

_UNIFORM_SHARE = 0.3  # of the probability, spread evenly (AFlow's mix)
_SHARPNESS = 20.0  # per reward unit: a gap of 0.05 gives odds of e to 1 within the softmax
_AFLOW_POOL = 4
_EXPLORATION = math.sqrt(2)
_WIDENING_FACTOR, _WIDENING_EXPONENT = 1.5, 0.5


class Select(Protocol):
    """Picks the parent of the next child among the scored nodes."""

    def __call__(self, tree: Tree, random: Random) -> int: ...


def strategy(name: Strategy, top_k: int) -> Select:
    """The strategy by its name; ``top_k`` is used by ``soft_top_k`` alone."""
    match name:
        case Strategy.SOFT_TOP_K:
            return lambda tree, random: soft_top_k(tree, random, top_k)
        case Strategy.UCT:
            return uct
        case Strategy.BEST_OF_N:
            return best_of_n
        case Strategy.RANDOM:
            return random_node
        case Strategy.AFLOW:
            return aflow


def soft_top_k(tree: Tree, random: Random, k: int = 3) -> int:
    """The paper's rule: one of the best ``k`` workflows, drawn with a softmax over their rewards.

    Probabilities are AFlow's mix, ``0.3/n + 0.7 softmax(20 (reward - best))``. Each is divided by one plus the
    number of expansions of that node in flight, so that parallel workers do not all pile on the same parent.
    """
    top = tree.scored[:k]
    mixed = _mix([tree.scores[number].reward.total for number in top])
    weights = [weight / (1 + tree.pending(number)) for number, weight in zip(top, mixed, strict=True)]
    return random.choices(top, weights)[0]


def _mix(rewards: list[float]) -> list[float]:
    """AFlow's probabilities: part uniform, part softmax."""
    peak = max(rewards)
    soft = [math.exp(_SHARPNESS * (reward - peak)) for reward in rewards]
    return [_UNIFORM_SHARE / len(rewards) + (1 - _UNIFORM_SHARE) * share / sum(soft) for share in soft]


def aflow(tree: Tree, random: Random) -> int:
    """AFlow's rule: the first workflow and the best others, four at most, drawn as in ``soft_top_k``.

    What is in flight does not count, and neither do visits.
    """
    pool = [0, *(number for number in tree.scored if number != 0)][:_AFLOW_POOL]
    return random.choices(pool, _mix([tree.scores[number].reward.total for number in pool]))[0]


def uct(tree: Tree, random: Random) -> int:
    """UCT with progressive widening, counting what is in flight (WU-UCT, arXiv 1810.11755).

    Going down from the root, a node gets a new child while it has fewer than ``1.5 N^0.5`` (N: its visits, those in
    flight included); otherwise the walk goes on to the scored child with the highest
    ``mean + sqrt(2) sqrt(ln N_parent / N_child)``, means rescaled to 0..1 over the tree so that the exploration term
    means the same whatever part of the scale the judge uses.
    """
    number = 0
    while True:
        children = [child for child in tree.children.get(number, []) if child in tree.scores]
        width = len(tree.children.get(number, [])) + tree.pending(number)
        seen = tree.visits[number] + tree.pending_below(number)
        if not children or width < _WIDENING_FACTOR * max(seen, 1) ** _WIDENING_EXPONENT:
            return number
        number = max(children, key=lambda child: (_upper_bound(tree, child, seen), random.random()))


def best_of_n(tree: Tree, random: Random) -> int:
    """Always the first workflow: plain resampling, the honest baseline."""
    return 0


def random_node(tree: Tree, random: Random) -> int:
    """Any scored workflow, each as likely."""
    return random.choice(sorted(tree.scores))


def _upper_bound(tree: Tree, child: int, parent_visits: int) -> float:
    totals = [score.reward.total for score in tree.scores.values()]
    low, span = min(totals), max(max(totals) - min(totals), 1e-9)
    visits = tree.visits[child] + tree.pending_below(child)
    mean = (tree.value[child] / tree.visits[child] - low) / span
    return mean + _EXPLORATION * math.sqrt(math.log(max(parent_visits, 1)) / visits)
