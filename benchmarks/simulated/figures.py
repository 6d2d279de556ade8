"""From facts to figures: means with intervals, rows, the table and the plot.

Owns the arithmetic over repeats. Intervals are 95% bootstrap intervals over repeats, with draws that are the same each
time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from benchmarks.simulated.runs import Facts

__all__ = ["COLUMNS", "Column", "Mean", "Row", "as_json", "mean_of", "plot", "row_of", "table"]

_RESAMPLES = 500


class Mean(NamedTuple):
    """A mean over repeats with its 95% interval; ``n`` repeats."""

    mean: float
    low: float
    high: float
    n: int


class Column(NamedTuple):
    """A figure of a run: its name, how it is read (None: this run has none), and its decimals."""

    name: str
    of: Callable[[Facts], float | None]
    decimals: int = 3


class Row(NamedTuple):
    """One landscape and one arm."""

    landscape: str
    arm: str
    figures: dict[str, Mean | None]
    missing: tuple[str, ...]  # settings of the arm that this engine does not have


COLUMNS = (
    Column("regret", lambda facts: facts.regret),
    Column("gain", lambda facts: facts.gain),
    Column("bias", lambda facts: facts.error),
    Column("coverage", lambda facts: float(facts.covered), 2),
    Column("tau", lambda facts: facts.tau, 2),
    Column("raw_tau", lambda facts: facts.tau_raw, 2),
    Column("iterations", lambda facts: facts.iterations, 1),
    Column("judge_calls", lambda facts: facts.judge_calls, 0),
    Column("calls", lambda facts: sum(facts.calls.values()), 0),
    Column("seconds", lambda facts: facts.seconds, 2),
)


def mean_of(values: Sequence[float]) -> Mean | None:
    """The mean and the middle 95% of the means of resamples; None of nothing."""
    if not values:
        return None
    random = Random(len(values))
    means = sorted(fmean(random.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return Mean(fmean(values), means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES)], len(values))


def row_of(
    landscape: str, arm: str, facts: Sequence[Facts], early: Sequence[float] | None, missing: tuple[str, ...]
) -> Row:
    """``early`` says of each run whether it stopped too early (1 or 0); None where no run could."""
    figures: dict[str, Mean | None] = {
        column.name: mean_of([value for each in facts if (value := column.of(each)) is not None]) for column in COLUMNS
    }
    return Row(landscape, arm, {**figures, "early_stops": mean_of(early or ())}, missing)


def table(rows: Sequence[Row], chosen: Sequence[str]) -> str:
    """The rows as text: for each figure the mean and half the width of its interval."""
    decimals = {column.name: column.decimals for column in COLUMNS}
    lines = [["landscape", "arm", *chosen]]
    for row in rows:
        star = "*" if row.missing else ""
        cells = [_cell(row.figures[name], decimals.get(name, 2)) for name in chosen]
        lines.append([row.landscape, row.arm + star, *cells])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = sorted({f"* {row.arm}: this engine has no setting {', '.join(row.missing)}" for row in rows if row.missing})
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], *notes])


def _cell(figure: Mean | None, decimals: int) -> str:
    if figure is None:
        return "-"
    return f"{figure.mean:.{decimals}f} ±{(figure.high - figure.low) / 2:.{decimals}f}"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "landscape": row.landscape,
            "arm": row.arm,
            "not_in_this_engine": list(row.missing),
            **{
                name: None if figure is None else {key: round(value, 6) for key, value in figure._asdict().items()}
                for name, figure in row.figures.items()
            },
        }
        for row in rows
    ]


def plot(rows: Sequence[Row], path: Path) -> None:
    """Regret, gain and bias by landscape and arm, as a page that opens in a browser."""
    from plotly.graph_objects import Bar, Figure
    from plotly.subplots import make_subplots

    names = ("regret", "gain", "bias")
    figure: Figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, subplot_titles=names)
    for number, arm in enumerate(dict.fromkeys(row.arm for row in rows)):
        mine = [row for row in rows if row.arm == arm]
        for at, name in enumerate(names, 1):
            means = [row.figures[name] or Mean(0.0, 0.0, 0.0, 0) for row in mine]
            bars = Bar(
                name=arm,
                x=[row.landscape for row in mine],
                y=[each.mean for each in means],
                error_y={
                    "array": [each.high - each.mean for each in means],
                    "arrayminus": [each.mean - each.low for each in means],
                },
                legendgroup=arm,
                showlegend=at == 1,
                marker_color=_COLOURS[number % len(_COLOURS)],
            )
            figure.add_trace(bars, row=at, col=1)
    figure.update_layout(barmode="group", height=900, title="Simulated searches: reward units, mean and 95% interval")
    figure.write_html(path, include_plotlyjs=True)


_COLOURS = ("#1b6ca8", "#59a14f", "#d1495b", "#edae49", "#8d99ae", "#6d597a")
