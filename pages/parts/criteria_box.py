"""What counts for the educator: criteria to approve before a search, saved as they are touched.

Owns the widgets. What is proposed and what may be typed is ``initialization.criteria``'s, keeping it the store's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from autosynth_core.config import RunSettings
from autosynth_core.initialization import MOST_CRITERIA, checked, criterion, proposed_criteria
from autosynth_core.records import Metric, Project
from autosynth_core.views import rounds, words
from pages.parts.session import guarded_call, store
from pages.parts.text import clean, plain

__all__ = ["anchor_share", "approved", "criteria_box"]

_BLANK = Metric("", "", "Nothing of it.", "All of it.")
_CHANGED = "criteria were changed"  # counts saves, so that boxes show what is saved and not what was typed


def approved(project: Project) -> tuple[Metric, ...]:
    """The criteria that the educator ticked."""
    return tuple(each for each in store().anchors(project.id) or () if each.anchor)


def anchor_share(suggested: RunSettings) -> float:
    """How much the approved criteria count, 0..1, chosen with a slider."""
    percent = st.slider(
        "How much your criteria count",
        5,
        100,
        round(100 * suggested.anchor_share),
        5,
        format="%d%%",
        key="anchor share",
        help="The rest of a sample's score goes to criteria that the judge finds by itself and thinks over as the "
        "samples get better.",
    )
    return percent / 100


def criteria_box(project: Project) -> None:
    """The criteria proposed or saved, each with a tick and a way to change it."""
    shown = _shown(project)
    ticked = sum(each.anchor for each in shown)
    with st.container(border=True):
        st.markdown("**What counts for you**")
        st.caption(
            "Tick what every sample is to be judged by, in your words. These stay the same for the whole search, so "
            "you always know what a score means. You may leave all of them: the judge then finds its own."
        )
        for at, each in enumerate(shown):
            _row(project, shown, at, each)
        with st.container(horizontal=True):
            if len(shown) < MOST_CRITERIA:
                with st.popover("Add your own", icon=":material/add:"):
                    _form(project, shown, None, _BLANK)
            if store().anchors(project.id) is not None and _missing(project, shown):
                st.button(
                    "Propose again",
                    icon=":material/lightbulb:",
                    key="propose criteria",
                    on_click=_propose,
                    args=(project,),
                    help="From your description and the reasons you gave for samples.",
                )
        if ticked:
            st.caption(f":material/check: {words.count(ticked, 'criterion', 'criteria')} approved and saved.")


def _shown(project: Project) -> tuple[Metric, ...]:
    saved = store().anchors(project.id)
    return _proposed(project) if saved is None else saved


def _proposed(project: Project) -> tuple[Metric, ...]:
    reasons: Counter[str] = Counter()
    for this in rounds(store(), project.id):
        reasons += this.reasons
    return proposed_criteria(project.task, reasons)


def _missing(project: Project, shown: Sequence[Metric]) -> tuple[Metric, ...]:
    """What would be proposed now and is not there."""
    names = {each.name.casefold() for each in shown}
    fresh = tuple(each for each in _proposed(project) if each.name.casefold() not in names)
    return fresh[: max(0, MOST_CRITERIA - len(shown))]


def _row(project: Project, shown: Sequence[Metric], at: int, each: Metric) -> None:
    key = f"criterion:{project.id}:{st.session_state.get(_CHANGED, 0)}:{at}"
    weight = "" if each.weight == 1 else f" · counts {each.weight:g}×"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.checkbox(
            f"**{plain(each.name)}**{weight}",
            each.anchor,
            key=key,
            on_change=_tick,
            args=(project, tuple(shown), at, key),
            width="stretch",
        )
        with st.popover("Change", width="content"):
            _form(project, shown, at, each)
    st.caption(plain(each.description))


def _form(project: Project, shown: Sequence[Metric], at: int | None, each: Metric) -> None:
    """The parts of a criterion; ``at`` None makes a new one."""
    name = "new" if at is None else str(at)
    key = f"{project.id}:{name}:{st.session_state.get(_CHANGED, 0)}"
    with st.form(f"criterion form:{key}", border=False):
        st.text_input("Name", clean(each.name), max_chars=60, key=f"name:{key}")
        st.text_area("What it means", clean(each.description), max_chars=600, key=f"description:{key}")
        st.text_input("What a 1 looks like", clean(each.low), max_chars=300, key=f"low:{key}")
        st.text_input("What a 5 looks like", clean(each.high), max_chars=300, key=f"high:{key}")
        st.number_input("How much it counts", 0.1, 100.0, float(each.weight), 0.5, key=f"weight:{key}")
        st.form_submit_button("Save", type="primary", on_click=_save, args=(project, tuple(shown), at, key))
    if at is not None:
        st.button(
            "Remove", key=f"remove:{key}", icon=":material/delete:", on_click=_remove, args=(project, tuple(shown), at)
        )


@guarded_call
def _tick(project: Project, shown: tuple[Metric, ...], at: int, key: str) -> None:
    _keep(project, [replace(each, anchor=st.session_state[key]) if n == at else each for n, each in enumerate(shown)])


@guarded_call
def _save(project: Project, shown: tuple[Metric, ...], at: int | None, key: str) -> None:
    """A criterion that somebody wrote is one that counts for them: saving approves it."""
    typed = {part: st.session_state[f"{part}:{key}"] for part in ("name", "description", "low", "high", "weight")}
    made = criterion(typed)
    _keep(project, [*shown, made] if at is None else [made if n == at else each for n, each in enumerate(shown)])
    st.session_state[_CHANGED] = st.session_state.get(_CHANGED, 0) + 1


@guarded_call
def _remove(project: Project, shown: tuple[Metric, ...], at: int) -> None:
    _keep(project, [each for n, each in enumerate(shown) if n != at])
    st.session_state[_CHANGED] = st.session_state.get(_CHANGED, 0) + 1


@guarded_call
def _propose(project: Project) -> None:
    shown = _shown(project)
    _keep(project, [*shown, *_missing(project, shown)])


def _keep(project: Project, criteria: Sequence[Metric]) -> None:
    store().put_anchors(project.id, checked(criteria))
