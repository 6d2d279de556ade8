"""The tree of recipes, placed and ready to be drawn.

Owns which nodes are shown when there are too many, and where they stand. Colours and shapes are the page's.
"""

from __future__ import annotations

from dataclasses import dataclass

from autosynth_core.records import Form, NodeState, Reward
from autosynth_core.store import Store
from autosynth_core.views.layout import tidy
from autosynth_core.views.scored import ScoredRun, scored_run

__all__ = ["SHOWN_AT_MOST", "TreeNode", "TreeView", "tree"]

SHOWN_AT_MOST = 150
_TOP_SHOWN = 40


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One recipe in the picture. ``x`` and ``depth`` are in node widths and levels; the root has depth 0."""

    number: int
    parent: int | None
    state: NodeState
    reward: Reward | None
    visits: int
    on_best_path: bool
    form: Form
    operator: str
    modification: str
    reason: str
    duplicate_of: int | None
    x: float
    depth: int


@dataclass(frozen=True, slots=True)
class TreeView:
    """The nodes shown, parents first, the best one's number, and how many are folded away."""

    nodes: tuple[TreeNode, ...]
    best: int | None
    folded: int


def tree(store: Store, run_id: str, *, everything: bool = False) -> TreeView:
    """The run's tree; above 150 nodes the best path and the top few, unless ``everything`` is asked for."""
    scored = scored_run(store, run_id)
    shown = set(scored.nodes) if everything or len(scored.nodes) <= SHOWN_AT_MOST else _worth_showing(scored)
    places = tidy({number: scored.nodes[number].parent for number in shown})
    best_path = set(scored.path(scored.best))
    nodes = tuple(
        TreeNode(
            number=number,
            parent=node.parent,
            state=node.state,
            reward=scored.scores[number].reward if number in scored.scores else None,
            visits=scored.visits.get(number, 0),
            on_best_path=number in best_path,
            form=node.form,
            operator=node.operator,
            modification=node.modification,
            reason=node.reason,
            duplicate_of=node.duplicate_of,
            x=places[number].x,
            depth=places[number].depth,
        )
        for number, node in sorted(scored.nodes.items())
        if number in shown
    )
    return TreeView(nodes, scored.best, len(scored.nodes) - len(nodes))


def _worth_showing(scored: ScoredRun) -> set[int]:
    """The best path, the best few, what is being tried now, and whatever leads there; deepest paths first to go."""
    top = sorted(scored.scores, key=lambda number: (-scored.scores[number].reward.total, number))[:_TOP_SHOWN]
    running = [node.number for node in scored.nodes.values() if node.state is NodeState.RUNNING]
    shown: set[int] = {0} & set(scored.nodes)
    for number in [*scored.path(scored.best), *top, *running]:
        path = set(scored.path(number))
        if len(shown | path) <= SHOWN_AT_MOST:
            shown |= path
    return shown
