"""One recipe up close, in tabs from what a teacher asks first to what an engineer asks last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import streamlit as st

from autosynth_core.errors import InputError
from autosynth_core.records import Node, NodeState, SampleState, Task, Verdict
from autosynth_core.store import CallRow
from autosynth_core.views import NodeView, SampleView, node, tree, words
from autosynth_core.views.settings import task_of
from autosynth_core.workflow import export_script, why_not_exported
from pages.parts.output import input_line, show_input, show_output
from pages.parts.session import parameter, store
from pages.parts.text import clean, plain, prose, short

__all__ = ["node_view"]

_CALLS_SHOWN = 200
_ROW_PX = 76  # a row has room for three lines


def node_view(run_id: str) -> None:
    """The recipe in the address, else the best one, else the first."""
    number = _number(run_id)
    if number is None:
        return
    seen = node(store(), run_id, number)
    task = task_of(store(), store().run(run_id))
    _heading(seen, task, run_id)
    made, called = len(seen.samples), len(seen.calls)
    changed, inside, samples, verdicts, calls = st.tabs(
        [
            "What changed",
            "Prompts and code",
            f"Samples ({made})",
            "Scores",
            f"Model calls ({called})",
        ]
    )
    with changed:
        _what_changed(seen)
    with inside:
        _inside(seen)
    with samples:
        _samples(seen, task)
    with verdicts:
        _verdicts(seen)
    with calls:
        _calls(seen.calls)


def _number(run_id: str) -> int | None:
    wanted = parameter("node")
    if wanted is not None:
        if not wanted.isdecimal() or len(wanted) > 6:
            raise InputError("The address names no recipe; choose one in the list.")
        return int(wanted)
    view = tree(store(), run_id)
    if view.best is not None:
        return view.best
    return view.nodes[0].number if view.nodes else None


def _heading(seen: NodeView, task: Task, run_id: str) -> None:
    this = seen.node
    best = " · the best so far" if seen.is_best else ""
    st.subheader(f"Recipe {this.number}{best}", anchor=False)
    if seen.score:
        worth = seen.score.reward
        st.caption(
            f"Reward {worth.total:.2f} (95% range {worth.low:.2f} to {worth.high:.2f}): samples "
            f"{seen.score.sample_score:.2f} and recipe {seen.score.workflow_score:.2f} out of 5, on "
            f"{words.count(worth.n, 'input')}."
        )
        _own_yardstick(seen)
    else:
        st.caption(plain(words.node_state(this.state).capitalize()))
    if this.source and this.fingerprint:
        _download(this, task, run_id)


def _download(this: Node, task: Task, run_id: str) -> None:
    if reason := why_not_exported(this.source):
        st.caption(plain(f"This recipe {reason}; choose another to download."))
        return
    st.download_button(
        "Download this recipe",
        data=lambda: export_script(this.source, task),
        file_name=f"recipe-{this.number}-{run_id}.py",
        mime="text/x-python",
        icon=":material/download:",
        on_click="ignore",
        help="A Python program that writes material with this recipe, with any OpenAI-compatible model.",
    )


def _own_yardstick(seen: NodeView) -> None:
    """Why the tabs below may show another mean than the line above."""
    if seen.score is None or seen.own_score is None or f"{seen.own_score:.2f}" == f"{seen.score.sample_score:.2f}":
        return
    st.caption(
        f"{seen.score.sample_score:.2f} is the estimate by which recipes are compared: on one scale whatever the "
        f"criteria, with its relatives weighed in. Its own samples, which the tabs below show, average "
        f"{seen.own_score:.2f}."
    )


def _what_changed(seen: NodeView) -> None:
    this = seen.node
    if seen.stages:
        steps = " → ".join(stage.description for stage in seen.stages)
        st.markdown(f"**The recipe in short:** {plain(steps)}")
    if this.modification:
        st.markdown("**What was changed**")
        prose(this.modification)
    if this.weakness:
        st.markdown("**The weakness it aims at**")
        prose(this.weakness)
    if this.reason:
        st.warning(plain(this.reason), icon=":material/report:")
    if this.state is NodeState.DUPLICATE and this.duplicate_of is not None:
        st.caption(f"It is the same program as recipe {this.duplicate_of}; nothing was run.")
    if this.repairs:
        st.caption(f"Sent back to the model {words.count(this.repairs, 'time')} before it worked.")
    if seen.against_parent:
        st.markdown(f"**Result:** {plain(seen.against_parent)}")
    if seen.diff:
        with st.expander(f"Line by line against recipe {this.parent}"):
            st.code(clean(seen.diff), language="diff", wrap_lines=True)


def _inside(seen: NodeView) -> None:
    for name, text in seen.prompts.items():
        st.markdown(f"**{plain(words.field_label(name.lower()))}**")
        st.code(clean(text), language=None, wrap_lines=True)
    if not seen.node.source:
        st.caption("There is no program: the model gave none.")
        return
    with st.expander("The whole program", expanded=not seen.prompts):
        st.code(clean(seen.node.source), language="python", line_numbers=True)


def _samples(seen: NodeView, task: Task) -> None:
    if not seen.samples:
        st.caption("No samples were made with this recipe.")
    for view in seen.samples:
        score = f" · {view.mean:.2f} of 5" if view.mean is not None else ""
        title = plain(short(input_line(view.sample.seed.values), 100) + _which(view) + score)
        with st.expander(title, expanded=len(seen.samples) <= 2):
            show_input(view.sample.seed.values)
            if view.sample.state is SampleState.OK:
                show_output(task.output_fields, view.sample.output or {})
            else:
                st.warning(plain(f"Not made: {view.sample.reason}"))
            _scores_line(view)


def _which(view: SampleView) -> str:
    """What tells a sample from another one on the same input, or from those of the search."""
    again = " · tried again" if view.sample.replicate else ""
    return again + (" · from the race" if view.from_race else "")


def _scores_line(view: SampleView) -> None:
    if view.verdicts:
        st.caption(plain(" · ".join(f"{verdict.metric}: {_score(verdict)}" for verdict in view.verdicts)))


def _score(verdict: Verdict) -> str:
    return f"{verdict.score:.2f}" if verdict.score is not None else "could not be read"


def _verdicts(seen: NodeView) -> None:
    if seen.metrics is None:
        st.caption("This recipe was not judged.")
        return
    st.markdown("**What the judge looked at** (1 is worst, 5 is best)")
    for metric in seen.metrics.metrics:
        with st.expander(plain(f"{metric.name} · {_mean_of(seen, metric.name)}")):
            prose(metric.description)
            st.caption(f"1: {plain(metric.low)}")
            st.caption(f"5: {plain(metric.high)}")
    headings = _headings(seen)
    st.markdown("**Sample by sample**")
    _table([_verdict_row(view, headings) for view in seen.samples])
    if others := [row for view in seen.samples for row in _other_rows(view, headings)]:
        st.markdown("**Another judge on the same samples** (not in the scores)")
        _table(others)
    if seen.workflow_verdicts:
        st.markdown("**The recipe itself**")
        rows = [
            {"Criterion": clean(v.metric), "Score": v.score, "Judge": clean(v.judge)} for v in seen.workflow_verdicts
        ]
        st.dataframe(
            pd.DataFrame(rows), hide_index=True, column_config={"Score": st.column_config.NumberColumn(format="%.2f")}
        )
    methods = sorted({verdict.method for view in seen.samples for verdict in view.verdicts})
    judges = sorted({clean(verdict.judge) for view in seen.samples for verdict in view.verdicts})  # of the scores
    if judges:
        st.caption(plain(f"Judge: {', '.join(judges)}. Each score is {'; or '.join(map(words.method, methods))}."))


def _table(rows: list[dict[str, object]]) -> None:
    """Scores with the means first: at the right end many criteria would push them out of sight."""
    names = [name for name in rows[0] if name not in ("Mean", "Input", "Judge")] if rows else []
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        row_height=_ROW_PX,
        column_config={
            "Mean": st.column_config.NumberColumn(format="%.2f", width=70),
            "Input": st.column_config.TextColumn(width=180),
            **{name: st.column_config.NumberColumn(width=135, help=name) for name in names},
        },
    )


def _mean_of(seen: NodeView, metric: str) -> str:
    scores = [v.score for view in seen.samples for v in view.verdicts if v.metric == metric and v.score is not None]
    return f"{sum(scores) / len(scores):.2f} on average" if scores else "not scored"


def _headings(seen: NodeView) -> dict[str, str]:
    """A column for each criterion, by its name; none is like another, or like the tables' own columns."""
    given = (verdict.metric for view in seen.samples for verdict in (*view.verdicts, *view.others))
    names = dict.fromkeys([*(metric.name for metric in (seen.metrics.metrics if seen.metrics else ())), *given])
    taken = {"Input", "Mean", "Judge"}
    headings = {}
    for name in names:
        heading = clean(name)
        while heading in taken or not heading:
            heading = f"{heading} (criterion)".strip()
        taken.add(heading)
        headings[name] = heading
    return headings


def _verdict_row(view: SampleView, headings: Mapping[str, str]) -> dict[str, object]:
    first = {"Mean": _rounded(view.mean), "Input": clean(input_line(view.sample.seed.values))}
    return first | _score_columns(view.verdicts, headings)


def _other_rows(view: SampleView, headings: Mapping[str, str]) -> list[dict[str, object]]:
    """A row for each judge that is not the run's own."""
    return [
        {"Input": clean(input_line(view.sample.seed.values)), "Judge": clean(judge)}
        | _score_columns([verdict for verdict in view.others if verdict.judge == judge], headings)
        for judge in sorted({verdict.judge for verdict in view.others})
    ]


def _score_columns(verdicts: Iterable[Verdict], headings: Mapping[str, str]) -> dict[str, object]:
    return {headings[verdict.metric]: _rounded(verdict.score) for verdict in verdicts}


def _rounded(score: float | None) -> float | None:
    return round(score, 2) if score is not None else None


def _calls(calls: tuple[CallRow, ...]) -> None:
    if not calls:
        st.caption("No model was called for this recipe.")
        return
    shown = calls[:_CALLS_SHOWN]
    table = pd.DataFrame([_call_row(call) for call in shown])
    picked = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key="calls",
        row_height=_ROW_PX,
        column_config={
            "What for": st.column_config.TextColumn(width=130),
            "Answer": st.column_config.TextColumn(width=220),
            "Tokens": st.column_config.NumberColumn(width=65),
            "Seconds": st.column_config.NumberColumn(width=70),
            "Cost": st.column_config.TextColumn(width=80),
            "How it ended": st.column_config.TextColumn(width=100),
            "Model": st.column_config.TextColumn(width=110),
        },
    )
    if len(calls) > len(shown):
        st.caption(f"The first {len(shown)} of {len(calls)} calls.")
    rows = picked["selection"]["rows"]
    if not rows or rows[0] >= len(shown):
        st.caption("Choose a call to see what was asked and answered.")
        return
    call = shown[rows[0]]
    for role, content in call.request.messages:
        st.caption(plain(role))
        st.code(clean(content), language=None, wrap_lines=True)
    st.caption("answer")
    st.code(clean(call.answer.text), language=None, wrap_lines=True)


def _call_row(call: CallRow) -> dict[str, object]:
    answer = call.answer
    tokens = (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
    return {
        "What for": clean(words.purpose(call.purpose)),
        "Answer": clean(short(answer.text, 60)),
        "Tokens": tokens,
        "Seconds": round(answer.ms / 1000, 1),
        "Cost": "reused" if not call.paid else words.money(answer.usd) if answer.usd is not None else "price unknown",
        "How it ended": clean(words.how_ended(answer.status)),
        "Model": clean(answer.model),
    }
