"""The search's two pictures as Plotly figures.

Owns colours, sizes and hover texts. A figure is a pure function of the view it shows: Streamlit tells charts apart by
their content, so the same view must give the same figure or a selection would be lost with every refresh.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from autosynth_core.records import NodeState
from autosynth_core.views import BestPoint, TreeNode, TreeView, words
from pages.parts.text import hover

__all__ = ["best_line", "tree_figure"]

_ACCENT, _BAND, _QUIET, _DIM = "#0b7285", "rgba(11,114,133,0.18)", "rgba(134,142,150,0.6)", "rgba(134,142,150,0.45)"
_SCALE = "Viridis"
_LEVEL_PX, _SMALLEST, _LARGEST = 70, 20, 36
_MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}


def best_line(points: Sequence[BestPoint], planned: int) -> go.Figure:
    """The best reward (0..1) after each recipe, with its 95% band."""
    numbers = [point.iteration for point in points]
    figure = go.Figure()
    edge = {"x": numbers, "mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
    figure.add_scatter(**edge, y=[point.low for point in points])
    figure.add_scatter(**edge, y=[point.high for point in points], fill="tonexty", fillcolor=_BAND)
    figure.add_scatter(
        x=numbers,
        y=[point.reward for point in points],
        mode="lines+markers",
        line={"color": _ACCENT, "width": 3, "shape": "hv"},
        marker={"size": [8 if point.iteration == point.node else 0 for point in points], "opacity": 1},
        customdata=[[point.node, point.low, point.high] for point in points],
        hovertemplate="After recipe %{x}: best is recipe %{customdata[0]}<br>reward %{y:.2f} "
        "(95% range %{customdata[1]:.2f} to %{customdata[2]:.2f})<extra></extra>",
    )
    figure.update_layout(
        height=260,
        margin=_MARGIN,
        showlegend=False,
        hovermode="x",
        xaxis={"title": "Recipes tried", "range": [-0.5, max(planned, 1) + 0.5], "fixedrange": True},
        yaxis={"title": "Best reward (0 to 1)", "rangemode": "normal", "fixedrange": True},
    )
    return figure


def tree_figure(view: TreeView) -> go.Figure:
    """The tree: colour is reward, size is visits, the best path is bold; what broke or repeats another is dim."""
    figure = go.Figure()
    places = {node.number: node for node in view.nodes}
    for bold in (False, True):
        figure.add_scatter(**_edges(view.nodes, places, bold=bold))
    scored = [node for node in view.nodes if node.reward is not None]
    figure.add_scatter(**_dim_nodes([node for node in view.nodes if node.reward is None]))
    figure.add_scatter(**_scored_nodes(scored))
    depth = max((node.depth for node in view.nodes), default=0)
    figure.update_layout(
        height=max(220, 90 + _LEVEL_PX * depth),
        margin=_MARGIN,
        showlegend=False,
        dragmode="pan",
        clickmode="event+select",
        hoverlabel={"align": "left"},
        xaxis={"visible": False},
        yaxis={"visible": False, "autorange": "reversed"},
    )
    return figure


def _edges(nodes: Sequence[TreeNode], places: dict[int, TreeNode], *, bold: bool) -> dict[str, object]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in nodes:
        parent = places.get(node.parent) if node.parent is not None else None
        if parent is not None and (node.on_best_path and parent.on_best_path) is bold:
            xs += [parent.x, node.x, None]
            ys += [parent.depth, node.depth, None]
    line = {"color": _ACCENT, "width": 4} if bold else {"color": _QUIET, "width": 1.2}
    return {"x": xs, "y": ys, "mode": "lines", "line": line, "hoverinfo": "skip"}


def _scored_nodes(nodes: Sequence[TreeNode]) -> dict[str, object]:
    rewards = [node.reward.total for node in nodes if node.reward]
    return _places(nodes) | {
        "marker": {
            "size": [_size(node.visits) for node in nodes],
            "opacity": 1,
            "color": rewards,
            "colorscale": _SCALE,
            "cmin": min(rewards, default=0.0),
            "cmax": max(max(rewards, default=1.0), min(rewards, default=0.0) + 0.01),
            # thin, and without a title: beside it the circles need the room, and the caption names what colour is
            "colorbar": {"thickness": 8, "len": 0.9, "tickformat": ".2f", "nticks": 4, "outlinewidth": 0, "xpad": 2},
            "line": {
                "color": [_ACCENT if node.on_best_path else "rgba(255,255,255,0.9)" for node in nodes],
                "width": [3 if node.on_best_path else 1 for node in nodes],
            },
        },
        # Viridis runs from dark to light: the number must be read on either end.
        "textfont": {"color": [_ink(reward, rewards) for reward in rewards], "size": 11},
    }


def _dim_nodes(nodes: Sequence[TreeNode]) -> dict[str, object]:
    symbols = {NodeState.RUNNING: "circle-open-dot", NodeState.DUPLICATE: "diamond-open"}
    return _places(nodes) | {
        "marker": {
            "size": _SMALLEST,
            "color": [_ACCENT if node.state is NodeState.RUNNING else _DIM for node in nodes],
            "symbol": [symbols.get(node.state, "x-thin-open") for node in nodes],
            "line": {"width": 2},
        },
        "textposition": "bottom center",
        "textfont": {"color": _QUIET, "size": 10},
    }


def _places(nodes: Sequence[TreeNode]) -> dict[str, object]:
    return {
        "x": [node.x for node in nodes],
        "y": [node.depth for node in nodes],
        "mode": "markers+text",
        "text": [str(node.number) for node in nodes],
        "customdata": [node.number for node in nodes],
        "hovertext": [_said(node) for node in nodes],
        "hoverinfo": "text",
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 1}},
    }


def _size(visits: int) -> float:
    return float(min(_LARGEST, _SMALLEST + 4 * max(0, visits - 1) ** 0.5))


def _ink(reward: float, rewards: Sequence[float]) -> str:
    span = max(max(rewards) - min(rewards), 0.01)
    return "#111111" if (reward - min(rewards)) / span > 0.6 else "#ffffff"


def _said(node: TreeNode) -> str:
    lines = [f"<b>Recipe {node.number}</b> {words.node_state(node.state)}"]
    if node.reward is not None:
        lines.append(f"Reward {node.reward.total:.2f} ({node.reward.low:.2f} to {node.reward.high:.2f})")
        lines.append(f"Tried {words.count(node.visits, 'time')} with what came of it")
    lines.append(hover(node.modification or ("The first recipe" if node.parent is None else "")))
    if node.reward is None and node.reason:
        lines.append(hover(node.reason, lines=3))
    return "<br>".join(filter(None, lines))
