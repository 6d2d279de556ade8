"""The live part of the search screen: figures, buttons, the two pictures and the feed.

Owns drawing and the choice of a recipe; the choice itself is kept in the address, so that the picture, which loses its
selection when it changes, need not remember it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import pandas as pd
import streamlit as st

from autosynth_core import engine
from autosynth_core.records import Command, Comparison, NodeState, RunState
from autosynth_core.views import RunHeader, TreeNode, TreeView, best_so_far, feed, header, tree, words
from pages.parts.charts import best_line, tree_figure
from pages.parts.race_card import alarm_notes, race_card
from pages.parts.session import guarded_call, parameter, set_parameter, store
from pages.parts.text import plain, short

__all__ = ["Drawn", "drawn", "live"]

_PLAY = ":material/play_arrow:"
_CHANGED = "node was chosen"
_MOST_RECIPES = 10_000  # as in RunSettings
_ROW_PX, _LIST_PX = 76, 460  # a row has room for three lines
_FEED_PX = 200  # below the line of rewards, not beside it: two columns would be squeezed on a narrow screen
_QUIET_BAR = {"displayModeBar": False}
_TREE_BAR = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
_ASKED = {Command.PAUSE: "Pausing…", Command.STOP: "Stopping…", Command.RESUME: "Going on…", Command.RACE: "Racing…"}


class Drawn(NamedTuple):
    """What the rest of the page rests on: when one of these changes, the whole page is drawn anew."""

    state: RunState
    best: int | None
    chosen: NodeState | None  # of the recipe in the address


def drawn(now: RunHeader) -> Drawn:
    """As things stand now."""
    number = parameter("node") or ""
    chosen = store().node(now.run_id, int(number)) if number.isdecimal() and len(number) < 7 else None
    return Drawn(now.state, now.best.node if now.best else None, chosen.state if chosen else None)


@guarded_call
def live(run_id: str, before: Drawn) -> None:
    """Everything that changes while a search runs. ``before`` is how things stood when the page was drawn."""
    now = header(store(), run_id)
    if drawn(now) != before or st.session_state.pop(_CHANGED, False):
        st.rerun()
    _state(now)
    alarm_notes(run_id)
    _figures(now)
    race_card(now)
    if now.gain is not None:
        st.caption(plain(f"The best against the first recipe: {now.gain.in_words}."))
    _failures(now)
    view = tree(store(), run_id)
    points = best_so_far(store(), run_id)
    if not points:
        st.info(
            "The first recipe is being tried. Its score appears here as soon as it has one."
            if now.active
            else "No recipe has a score yet."
        )
    if points:
        st.markdown("**Best so far**")
        st.plotly_chart(
            best_line(points, now.planned),
            key=f"line:{run_id}",
            config=_QUIET_BAR,
            alt="Best reward after each recipe",
        )
    _feed(run_id)
    if view.nodes:
        _recipes(run_id, view, active=now.active)


# --- the header ------------------------------------------------------------------------------------------------------


def _state(now: RunHeader) -> None:
    said, buttons = st.columns([3, 2], vertical_alignment="center")
    with said:
        asked = f" ({_ASKED[now.asked]})" if now.asked else ""
        st.markdown(f"**{plain(now.in_words + asked)}**")
        if now.reason:
            st.error(plain(now.reason), icon=":material/error:")
        _bar(now)
    with buttons, st.container(horizontal=True, horizontal_alignment="right"):
        _buttons(now)


def _bar(now: RunHeader) -> None:
    """Recipes tried; before the first of them, how much of the model has been fetched."""
    latest = next(iter(feed(store(), now.run_id, 1)), None) if now.active and not now.done else None
    fetched = words.fetched(latest.message) if latest else None
    if latest is None or fetched is None:
        st.progress(min(1.0, now.done / max(1, now.planned)))
    else:
        st.progress(min(1.0, fetched), text=plain(latest.message))


def _buttons(now: RunHeader) -> None:
    if now.state in (RunState.RUNNING, RunState.QUEUED):
        waiting = now.state is RunState.QUEUED or now.asked is not None
        st.button("Pause", icon=":material/pause:", key="pause", on_click=_pause, args=(now.run_id,), disabled=waiting)
    if now.active:
        ending = now.asked is Command.STOP
        label = "Stopping…" if ending else "Stop"
        st.button(label, icon=":material/stop:", key="stop", on_click=_stop, args=(now.run_id,), disabled=ending)
    if now.state not in (RunState.RUNNING, RunState.QUEUED, RunState.FINISHED):
        st.button("Resume", icon=_PLAY, key="resume", type="primary", on_click=_resume, args=(now.run_id,))
    if not now.active:
        _going_on(now)


def _going_on(now: RunHeader) -> None:
    """Go on beyond what was planned, with more recipes or a larger budget."""
    with st.popover("Try more recipes", icon=":material/add:"):
        if now.done < _MOST_RECIPES:
            suggested = min(_MOST_RECIPES, max(now.planned, now.done) + 10)
            st.number_input("Recipes in all", now.done + 1, _MOST_RECIPES, suggested, key=_total(now.run_id))
        else:
            st.caption(f"{_MOST_RECIPES:,} recipes are the most that one search can try.")
        if now.budget_usd is not None:
            least = min(0.01, now.budget_usd)
            st.number_input("Spend at most (US dollars)", least, None, now.budget_usd, step=1.0, key=_cap(now.run_id))
        st.button("Go on", type="primary", key="extend", on_click=_extend, args=(now.run_id,))


def _total(run_id: str) -> str:
    return f"total:{run_id}"


def _cap(run_id: str) -> str:
    return f"cap:{run_id}"


@guarded_call
def _pause(run_id: str) -> None:
    engine.pause(store(), run_id)


@guarded_call
def _stop(run_id: str) -> None:
    engine.stop(store(), run_id)


@guarded_call
def _resume(run_id: str) -> None:
    engine.resume(store(), run_id)


@guarded_call
def _extend(run_id: str) -> None:
    # Read now: a number typed just before the click is not in what the button was drawn with.
    total, cap = st.session_state.get(_total(run_id)), st.session_state.get(_cap(run_id))
    engine.resume(store(), run_id, iterations=total, budget_usd=cap)


def _figures(now: RunHeader) -> None:
    with st.container(horizontal=True):  # wraps where four in a row would cut their numbers off
        _figure("Recipes tried", f"{now.done} / {now.planned}")
        _figure(
            "Best reward (0 to 1)",
            f"{now.best.reward.total:.2f}" if now.best else "–",
            _gain(now),
            quiet=now.gain is None or now.gain.verdict is not Comparison.BETTER,  # green is for what the judge can tell
            help_text=_best_help(now),
        )
        label = "Spent" if now.usage.usd or now.budget_usd else "Tokens used"
        _figure(label, *_cost(now))
        _figure("Time left", _left(now), now.left_basis or None)


def _figure(
    label: str, value: str, below: str | None = None, *, quiet: bool = True, help_text: str | None = None
) -> None:
    st.metric(
        label,
        value,
        below,
        delta_color="off" if quiet else "normal",
        delta_arrow="off" if quiet else "auto",
        help=help_text,
        border=True,
        width=192,  # four in a row beside the sidebar at 1280 pixels
        height="stretch",
    )


def _left(now: RunHeader) -> str:
    """The time left in so few letters that a figure does not cut them off."""
    if now.state is not RunState.RUNNING:
        return "–"
    if now.seconds_left is None:
        return "unknown"
    return words.duration(now.seconds_left).removeprefix("about ").replace("less than a minute", "< 1 min")


def _gain(now: RunHeader) -> str | None:
    if now.gain is None:
        return None
    chance = ", may be chance" if now.gain.verdict is Comparison.CANT_TELL else " over the first"
    return f"{now.gain.reward:+.2f}{chance}"


def _best_help(now: RunHeader) -> str | None:
    if now.best is None:
        return None
    worth = now.best.reward
    return (
        f"Recipe {now.best.node}. With 95% confidence between {worth.low:.2f} and {worth.high:.2f}, over "
        f"{words.count(worth.n, 'input')}. Samples {now.best.sample_score:.2f} and recipe "
        f"{now.best.workflow_score:.2f} on the judge's scale from 1 to 5."
    )


def _cost(now: RunHeader) -> tuple[str, str | None]:
    """What was used, and against which cap."""
    tokens = now.usage.prompt_tokens + now.usage.completion_tokens
    used = f"{tokens:,} tokens"
    if now.budget_tokens:
        used += f" of {now.budget_tokens:,}"
    if not now.usage.usd and now.budget_usd is None:
        return _thousands(tokens), f"of {_thousands(now.budget_tokens)}" if now.budget_tokens else _worth(now)
    unknown = f", {words.count(now.usage.unpriced, 'call')} without a known price" if now.usage.unpriced else ""
    cap = f"of {words.money(now.budget_usd)}, " if now.budget_usd else ""
    return words.money(now.usage.usd), cap + used + unknown


def _worth(now: RunHeader) -> str:
    """What tokens without a sum in dollars cost: a model of this computer is free, an unknown price is not."""
    if now.usage.unpriced:
        return "price not known"
    return "free: on this computer" if now.usage.calls else "nothing yet"


def _thousands(tokens: int) -> str:
    if tokens < 10_000:
        return f"{tokens:,}"
    return f"{tokens / 1e3:,.0f}k" if tokens < 10_000_000 else f"{tokens / 1e6:,.1f}M"


def _failures(now: RunHeader) -> None:
    """What went wrong, counted: nothing is hidden, and nothing of it is a low score."""
    parts = []
    if now.broken:
        parts.append(f"{words.count(now.broken, 'recipe')} did not work and cost no judging")
    if now.duplicates:
        parts.append(f"{words.count(now.duplicates, 'repeat')} of an earlier recipe skipped")
    if now.unscored:
        parts.append(f"{words.count(now.unscored, 'recipe')} could not be scored")
    if now.failures:
        parts.append(f"{words.count(_failed(now), 'model call')} failed at first")
    if now.metric_versions > 1:
        parts.append(f"the judge's criteria were renewed {words.count(now.metric_versions - 1, 'time')}")
    if now.usage.cached:
        parts.append(f"{words.count(now.usage.cached, 'answer')} reused at no cost")
    if parts:
        st.caption(plain("; ".join(parts).capitalize() + "."))
    if now.failures:
        with st.expander(f"Why {words.count(_failed(now), 'model call')} failed"):
            st.table(pd.DataFrame([_failure_row(kind, number) for kind, number in now.failures]).set_index("Times"))


def _failed(now: RunHeader) -> int:
    return sum(number for _, number in now.failures)


def _failure_row(kind: str, number: int) -> dict[str, object]:
    """What it means to a teacher; the kind's own name, for whoever looks after the models, comes last."""
    known = words.failure(kind)
    return {
        "Times": number,
        "What happened, and what to do": plain(f"{known.happened} {known.advice}"),
        "Kind": plain(short(kind, 40)),
    }


def _feed(run_id: str) -> None:
    st.markdown("**What is happening**")
    now = time.time()
    with st.container(height=_FEED_PX, border=True):
        for event in feed(store(), run_id):
            st.caption(f"{plain(words.ago(event.at, now))}: {plain(short(words.told(event), 300))}")


# --- the recipes -----------------------------------------------------------------------------------------------------


def _recipes(run_id: str, view: TreeView, *, active: bool) -> None:
    st.markdown("**Recipes** · choose one in the picture or in the list to see it below")
    key = f"tree:{run_id}"
    st.plotly_chart(
        tree_figure(view),
        key=key,
        on_select=lambda: _choose_point(key),
        selection_mode="points",
        config=_TREE_BAR,
        alt="Tree of recipes; the list below it holds the same",
    )
    st.caption(
        "Each circle is a recipe, below the one it was made from. Colour: reward. Size: how often it was built on. "
        "Thick line: the way to the best. Cross: did not work. Diamond: repeats another."
    )
    if view.folded:
        st.caption(f"Not drawn, but in the list: {words.count(view.folded, 'recipe')} away from the best.")
    _list(run_id, tree(store(), run_id, everything=True), best_first=not active)


def _choose_point(key: str) -> None:
    points = st.session_state[key]["selection"]["points"]
    number = points[0].get("customdata") if points else None
    _choose(number[0] if isinstance(number, list) else number)


def _choose(number: object) -> None:
    if isinstance(number, int) and not isinstance(number, bool):
        set_parameter("node", str(number))
        st.session_state[_CHANGED] = True


def _list(run_id: str, view: TreeView, *, best_first: bool) -> None:
    """All recipes. While a search runs in the order of their numbers: Streamlit keeps a choice by the row's place."""
    ordered = list(view.nodes)
    if best_first:
        ordered.sort(key=lambda node: (-(node.reward.total if node.reward else -1.0), node.number))
    table = pd.DataFrame([_row(node, view.best) for node in ordered])
    key = f"list:{run_id}:{best_first}"
    st.dataframe(
        table,
        key=key,
        on_select=lambda: _choose_row(key, [node.number for node in ordered]),
        selection_mode="single-row",
        hide_index=True,
        height=min(_LIST_PX, 40 + _ROW_PX * len(table)),
        row_height=_ROW_PX,
        column_config={
            # together as wide as a narrow screen; on a wide one all grow
            "Recipe": st.column_config.TextColumn(width=60),
            "Reward": st.column_config.NumberColumn(format="%.2f", width=65),
            "95% range": st.column_config.TextColumn(width=90),
            "What changed": st.column_config.TextColumn(width=215),
        },
    )


def _row(node: TreeNode, best: int | None) -> dict[str, object]:
    state = "" if node.state is NodeState.SCORED else f"{words.node_state(node.state).capitalize()}. "
    changed = node.modification or ("The first recipe" if node.parent is None else node.reason)
    return {
        "Recipe": f"{node.number}{' ★' if node.number == best else ''}",
        "Reward": node.reward.total if node.reward else None,
        "95% range": f"{node.reward.low:.2f}–{node.reward.high:.2f}" if node.reward else "",
        "What changed": short(f"{state}{changed}", 90),
    }


def _choose_row(key: str, numbers: list[int]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(numbers):
        _choose(numbers[rows[0]])
