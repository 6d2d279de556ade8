"""The Try step: a round's samples as they arrive, and the educator's word on each, saved at every touch.

Owns the widgets. Making samples is the engine's; what was said is kept by the store as it is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from autosynth_core import engine
from autosynth_core.config import RoundSettings
from autosynth_core.errors import InputError
from autosynth_core.llm.embedded import DEFAULT_MODEL, installed
from autosynth_core.records import Command, Feedback, FieldKind, Project, Rating, RunState, Sample, Task
from autosynth_core.views import RoundView, header, rounds, words
from autosynth_core.views.describe import example_output, missing
from pages.parts.model_note import endpoint, warn_if_embedded
from pages.parts.output import as_typed, show_input, show_output
from pages.parts.session import guarded_call, parameter, set_parameter, store
from pages.parts.text import clean, plain

__all__ = ["try_step"]

_REFRESH_S = 2
_RESUMABLE = (RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


def try_step(project: Project) -> None:
    """The rounds, one of them open; or how to make the first one."""
    found = rounds(store(), project.id)
    if problem := missing(project.task):
        st.warning(f"{plain(problem)} You can add it in step 1.", icon=":material/edit:")
    if not found:
        warn_if_embedded()
        _first(project, ready=problem is None)
        return
    this = _chosen(found)
    if this.number > 1 and this.what_changed:
        st.info(f"**What changed after your feedback:** {plain(this.what_changed)}", icon=":material/auto_fix_high:")
    st.fragment(_progress, run_every=_REFRESH_S if this.active else None)(this)
    _samples(project.task, this)
    _after(project, found, this, ready=problem is None)


def _first(project: Project, *, ready: bool) -> None:
    st.markdown(
        "The app writes a first, plain recipe and makes **6 samples** with it. You say of each whether you would use "
        "it in class. They will not be perfect: what is wrong with them is what the app needs to know.\n\n"
        "It takes about 45 seconds a sample to read and rate."
    )
    if endpoint() is None:
        fetched = "" if installed(DEFAULT_MODEL) else ", and before that it is downloaded once (1.1 GB)"
        st.caption(f"With the built-in model six samples take about 2 to 4 minutes on two processor cores{fetched}.")
    if st.button("Make 6 samples", type="primary", icon=":material/play_arrow:", disabled=not ready):
        _start(project)


def _start(project: Project) -> None:
    run = engine.start_round(store(), project.id, RoundSettings(models=engine.load_models(store())))
    set_parameter("round", run.id)
    set_parameter("at", None)
    st.rerun()


def _chosen(found: list[RoundView]) -> RoundView:
    """The round in the address, else the newest."""
    by_id = {view.run.id: view for view in found}
    wanted = parameter("round")
    if wanted not in by_id:
        wanted = found[-1].run.id
    if len(found) > 1:
        key = "round choice"
        st.session_state[key] = wanted

        def choose() -> None:
            set_parameter("round", st.session_state[key])
            set_parameter("at", None)

        st.segmented_control(
            "Round",
            list(by_id),
            format_func=lambda run_id: f"Round {by_id[run_id].number}",
            key=key,
            required=True,
            on_change=choose,
        )
    return by_id[wanted]


@guarded_call
def _progress(this: RoundView) -> None:
    """How the round is doing; asks for the whole page anew when there is a sample more, or an end."""
    now = header(store(), this.run.id)
    if now.state is not this.run.state or now.done != len(this.samples) + this.failed:
        st.rerun()
    if this.active:
        share = words.fetched(this.latest.message) if this.latest else None
        share = now.done / max(1, now.planned) if share is None else share
        st.progress(min(1.0, share), text=_doing(this, now.done, now.planned))
        ending = now.asked is Command.STOP
        label = "Stopping…" if ending else "Stop"
        st.button(label, key="stop round", icon=":material/stop:", on_click=_stop, args=(this.run.id,), disabled=ending)
        if ending:
            st.caption("Waiting for the model calls already under way, so that nothing paid for is lost.")
    elif this.run.state is RunState.FAILED:
        st.error(plain(this.run.reason), icon=":material/error:")
    elif this.run.state in _RESUMABLE:
        st.warning(plain(this.in_words), icon=":material/pause_circle:")
    if this.run.state in _RESUMABLE:
        st.button("Go on", key="resume round", icon=":material/play_arrow:", on_click=_resume, args=(this.run.id,))
    if this.failed:
        st.caption(f"{words.count(this.failed, 'sample')} could not be made.")


def _doing(this: RoundView, done: int, planned: int) -> str:
    latest = f" {this.latest.message}" if this.latest else ""
    return plain(f"{this.in_words}: {done} of {planned} samples are there.{latest}")


@guarded_call
def _stop(run_id: str) -> None:
    engine.stop(store(), run_id)


@guarded_call
def _resume(run_id: str) -> None:
    engine.resume(store(), run_id)


# --- the samples -----------------------------------------------------------------------------------------------------


def _samples(task: Task, this: RoundView) -> None:
    if not this.samples:
        return
    rated = len(this.feedback)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{rated} of {max(this.wanted, len(this.samples))} rated.** Would you use this in class?")
        one = st.toggle("One at a time", value=True, key="one at a time", width="content")
    if not one:
        for at, sample in enumerate(this.samples):
            _card(task, this, sample, at, lambda: True)
        return
    count = len(this.samples)
    at = _position(count)
    _card(task, this, this.samples[at], at, lambda: _position(count) == at)
    with st.container(horizontal=True):
        _step_button("Back", at - 1, disabled=at == 0, icon=":material/arrow_back:")
        _step_button("Next", at + 1, disabled=at + 1 >= len(this.samples), icon=":material/arrow_forward:")


def _position(count: int) -> int:
    wanted = parameter("at") or "1"
    return min(max(int(wanted) if wanted.isdecimal() and len(wanted) < 6 else 1, 1), count) - 1


def _step_button(label: str, to: int, *, disabled: bool, icon: str) -> None:
    st.button(label, key=f"go {label}", disabled=disabled, icon=icon, on_click=set_parameter, args=("at", str(to + 1)))


def _card(task: Task, this: RoundView, sample: Sample, at: int, is_shown: Callable[[], bool]) -> None:
    said = this.feedback.get(sample.id)
    with st.container(border=True):
        st.caption(f"Sample {at + 1} of {max(this.wanted, len(this.samples))}")
        show_input(sample.seed.values)
        with st.container(border=True):
            show_output(task.output_fields, sample.output or {})
        _rate(task, this.run.id, sample, said, is_shown)


def _rate(task: Task, run_id: str, sample: Sample, said: Feedback | None, is_shown: Callable[[], bool]) -> None:
    keys = {part: f"{part}:{sample.id}" for part in ("rating", "reasons", "comment")}
    st.session_state.setdefault(keys["rating"], said.rating if said else None)
    st.session_state.setdefault(keys["reasons"], [r for r in said.reasons if r in words.REASONS] if said else [])
    st.session_state.setdefault(keys["comment"], clean(said.comment) if said else "")

    @guarded_call
    def save() -> None:
        _save(task, run_id, sample, keys)

    @guarded_call
    def rate() -> None:
        if is_shown():
            _save(task, run_id, sample, keys)
        else:  # the click was meant for the next sample, whose card had not replaced this one yet
            st.session_state[keys["rating"]] = said.rating if said else None

    st.segmented_control(
        "Your verdict",
        list(Rating),
        format_func=words.RATING_WORDS.__getitem__,
        key=keys["rating"],
        required=True,
        on_change=rate,
    )
    rating = st.session_state[keys["rating"]]
    if rating is None:
        return
    if rating is Rating.USE_EDITED:
        _edit_boxes(task, sample, said, save)
    if rating is not Rating.USE:
        st.pills("What is the matter?", words.REASONS, selection_mode="multi", key=keys["reasons"], on_change=save)
    st.text_area("Anything to add? (optional)", key=keys["comment"], on_change=save, height=70, max_chars=2000)
    if problem := st.session_state.get(f"edit problem:{sample.id}"):
        st.error(plain(problem))
    elif said:
        st.caption(":material/check: Saved")


def _edit_boxes(task: Task, sample: Sample, said: Feedback | None, save: Any) -> None:
    start: Mapping[str, Any] = (said.edited if said and said.edited else sample.output) or {}
    for field in task.output_fields:
        key = f"edit:{sample.id}:{field.name}"
        st.session_state.setdefault(key, as_typed(field, start.get(field.name, "")))
        name = words.field_label(field.name) if len(task.output_fields) > 1 else "Change it to what you would use"
        hint = "One turn a line, with who speaks and a colon." if field.kind is FieldKind.TURNS else None
        st.text_area(plain(name), key=key, on_change=save, height=200, help=hint)


def _save(task: Task, run_id: str, sample: Sample, keys: Mapping[str, str]) -> None:
    rating = st.session_state[keys["rating"]]
    st.session_state.pop(f"edit problem:{sample.id}", None)
    edited = None
    if rating is Rating.USE_EDITED:
        try:
            edited = _edited(task, sample)
        except InputError as error:
            st.session_state[f"edit problem:{sample.id}"] = str(error)
    reasons = () if rating is Rating.USE else tuple(st.session_state.get(keys["reasons"], ()))
    comment = clean(st.session_state.get(keys["comment"], "")).strip()
    store().add_feedback(Feedback(run_id, sample.id, rating, reasons, comment, edited, time.time()))


def _edited(task: Task, sample: Sample) -> Mapping[str, Any] | None:
    """What the boxes hold; None while they hold the sample as it was. Raises InputError for what can't be read."""
    boxes = {field.name: st.session_state.get(f"edit:{sample.id}:{field.name}") for field in task.output_fields}
    if any(text is None for text in boxes.values()):
        return None
    before = {field.name: as_typed(field, (sample.output or {}).get(field.name, "")) for field in task.output_fields}
    if boxes == before:
        return None
    return example_output(task.output_fields, {name: clean(text) for name, text in boxes.items()})


# --- and then --------------------------------------------------------------------------------------------------------


def _after(project: Project, found: list[RoundView], this: RoundView, *, ready: bool) -> None:
    """What was heard, and the two ways on; offered from the newest round alone."""
    if not this.feedback:
        return
    st.divider()
    _heard(this)
    if this is not found[-1] and this.run.id != found[-1].run.id:
        st.caption("This is an earlier round; choose the newest one above to go on.")
        return
    if this.good_enough:
        st.success("Most of these are usable: good enough to start the search.", icon=":material/check:")
    with st.container(horizontal=True):
        again = st.button(
            "Make improved samples",
            key=f"improve:{this.run.id}",  # or a click while the page is redrawn in another style is lost
            icon=":material/auto_fix_high:",
            type="secondary" if this.good_enough else "primary",
            disabled=this.active or not ready,
            help="The app changes its recipe by what you said and makes new samples.",
        )
        st.button(
            "Go on to the search",
            key=f"go on:{this.run.id}",
            icon=":material/arrow_forward:",
            type="primary" if this.good_enough else "secondary",
            disabled=not ready,
            on_click=set_parameter,
            args=("step", "start"),
        )
    if again:
        _start(project)


def _heard(this: RoundView) -> None:
    counts = this.ratings
    said = " · ".join(f"{counts[rating]} {label.lower()}" for rating, label in words.RATING_WORDS.items())
    st.markdown(f"**What we heard:** {plain(said)}")
    if this.reasons:
        listed = ", ".join(f"{reason.lower()} ({number})" for reason, number in this.reasons.most_common())
        st.caption(plain(f"Most often: {listed}"))
