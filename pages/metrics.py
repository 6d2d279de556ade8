"""Criteria: what the judge looks at, whether it can be trusted, how much is chance, what was set aside, a race."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from autosynth_core import engine
from autosynth_core.judging import Fitness, FitnessVerdict
from autosynth_core.records import Event, Metric
from autosynth_core.views import NoiseView, VersionView, Yardstick, header, measures, words, yardstick
from autosynth_core.views.yardstick import METRICS_ALARM
from pages.parts.choose_run import chosen_run, no_search_yet, run_picker
from pages.parts.frame import in_frame
from pages.parts.race_card import race_card
from pages.parts.session import guarded_call, store, switch_project
from pages.parts.text import clean, plain, prose

_REFRESH_S = 5
_ALARMS_SHOWN = 3
_VERDICT_BOXES = {
    FitnessVerdict.FIT: (st.success, ":material/check_circle:"),
    FitnessVerdict.WEAK: (st.warning, ":material/help:"),
    FitnessVerdict.UNFIT: (st.error, ":material/cancel:"),
    FitnessVerdict.UNKNOWN: (st.info, ":material/help:"),
}
_HOW = {
    "bad example": "examples you called bad",
    "cut": "good ones cut short",
    "shuffled": "good ones in another order",
    "off-topic": "good ones given to another input",
    "rule broken": "a good one made to break a rule",
}


# --- criteria as text -------------------------------------------------------------------------------------------------


def _criterion(version: VersionView, metric: Metric) -> None:
    own = " :green-badge[yours]" if metric.anchor else ""
    st.markdown(f"**{plain(metric.name)}**{own} · {100 * version.share(metric):.0f}% of a sample's score")
    prose(metric.description)
    st.caption(f"1: {plain(metric.low)}")
    st.caption(f"5: {plain(metric.high)}")


def _criteria(version: VersionView) -> None:
    for metric in version.ordered:
        with st.container(border=True):
            _criterion(version, metric)


def _now(version: VersionView) -> None:
    st.subheader("What counts now", anchor=False)
    own = sum(metric.anchor for metric in version.metrics.metrics)
    said = "The judge scores every sample from 1 to 5 on each of these."
    if own:
        said += " Yours stay the same for the whole search; the others are thought over as the samples get better."
    else:
        said += " You can approve criteria of your own before a search: Describe and try, step 3."
    st.caption(said)
    columns = st.columns(2)
    for at, metric in enumerate(version.ordered):
        with columns[at % 2].container(border=True):
            _criterion(version, metric)


# --- what waits for a decision ----------------------------------------------------------------------------------------


def _waiting(found: Yardstick, run_id: str, *, active: bool) -> None:
    for version in found.waiting:
        with st.container(border=True):
            st.markdown(f"**New criteria were set aside at recipe {version.iteration}. Do you want them?**")
            st.markdown(plain(f"Why: {version.reason}. Until you decide, the old ones stay in use."))
            with st.container(horizontal=True):
                st.button(
                    "Take the new ones",
                    key=f"take:{version.metrics.version}",
                    icon=":material/check:",
                    on_click=_decide,
                    args=(run_id, version.metrics.version, True),
                )
                st.button(
                    "Leave them out",
                    key=f"leave:{version.metrics.version}",
                    icon=":material/close:",
                    on_click=_decide,
                    args=(run_id, version.metrics.version, False),
                )
            if not active:
                st.caption("The search has ended: what you take counts when it goes on with more recipes.")
            _side_by_side(found.current, version)


@guarded_call
def _decide(run_id: str, version: str, take: bool) -> None:
    engine.decide_on_metrics(store(), run_id, version, take=take)


def _side_by_side(old: VersionView | None, new: VersionView) -> None:
    with st.expander("Compare the two"):
        left, right = st.columns(2)
        for column, title, version in ((left, "In use now", old), (right, "Set aside", new)):
            if version is None:
                continue
            with column:
                st.markdown(f"**{title}**")
                if version.fitness is not None:
                    st.caption(plain(f"Tells good from bad in {measures.auc(version.fitness.overall)} pairs."))
                _criteria(version)


# --- the judge --------------------------------------------------------------------------------------------------------


def _judge(found: Yardstick, version: VersionView) -> None:
    st.subheader("Can the judge tell good from bad?", anchor=False)
    fitness = version.fitness
    if fitness is None:
        st.caption(
            "It was not tried. A search tries its judge on your good and bad examples before anything else, unless "
            "that is switched off or there are no examples."
        )
        return
    box, icon = _VERDICT_BOXES[fitness.verdict]
    box(f"**{measures.fitness_verdict(fitness.verdict)}.** {plain(fitness.sentence)}", icon=icon)
    st.caption(
        plain(
            "Tried on your good and bad examples and on good ones that were spoiled on purpose. A pair is a good and a "
            "worse one; guessing gets 50 of 100 right. In brackets: where the truth lies with 95% certainty."
        )
    )
    _power(version, fitness)
    _levels(fitness)
    if found.judge:
        st.caption(plain(f"Judge: {found.judge}"))


def _power(version: VersionView, fitness: Fitness) -> None:
    share = {metric.name: version.share(metric) for metric in version.metrics.metrics}
    rows = [
        {
            "Criterion": clean(each.name),
            "Pairs told apart": measures.auc(each.overall),
            "Weight": f"{100 * share.get(each.name, 0.0):.0f}%",
        }
        for each in fitness.metrics
    ]
    rows.append({"Criterion": "All together", "Pairs told apart": measures.auc(fitness.overall), "Weight": ""})
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "Criterion": st.column_config.TextColumn(width=230),
            "Pairs told apart": st.column_config.TextColumn(width=145),
            "Weight": st.column_config.TextColumn(width=65),
        },
        key=f"power:{version.metrics.version}",
    )
    if any(each.weight == 0 for each in fitness.metrics):
        st.caption("A criterion that tells nothing apart gets no weight; yours keep the share that you gave them.")


def _levels(fitness: Fitness) -> None:
    parts = [
        f"{name} {value:.2f}"
        for name, value in (
            ("good examples", fitness.scale.good),
            ("bad ones", fitness.scale.bad),
            ("spoiled ones", fitness.scale.spoiled),
        )
        if value is not None
    ]
    if parts:
        st.caption(plain(f"What this judge gives on average, of 5: {', '.join(parts)}."))
    if fitness.by_how:
        told = "; ".join(f"{_HOW.get(how, how)} {measures.auc(found)}" for how, found in fitness.by_how.items())
        st.caption(plain(f"Pairs told apart, by what the worse one was: {told}."))


def _chance(view: NoiseView | None) -> None:
    st.subheader("How much is chance?", anchor=False)
    if view is None:
        st.caption("Not measured: that is done with the first recipe of a search, unless it is switched off.")
        return
    st.markdown(plain(view.in_words))
    if more := measures.planned(view):
        st.markdown(plain(more))


# --- history ----------------------------------------------------------------------------------------------------------


def _history(versions: Sequence[VersionView]) -> None:
    st.subheader("How the criteria changed", anchor=False)
    for version in reversed(versions):
        title = f"{version.number} · from recipe {version.iteration} on · {measures.standing(version)}"
        with st.expander(plain(title)):
            st.caption(plain(f"{version.provenance.capitalize()}."))
            if version.reason:
                st.caption(plain(f"Set aside, because: {version.reason}."))
            st.markdown(plain(measures.changed(version.changes)))
            st.caption(plain(f"Compared with the first criteria: {measures.milder(version.shift)}."))
            if version.fitness is not None:
                st.caption(plain(f"The judge with these: {version.fitness.sentence}"))
            _criteria(version)


def _alarms(alarms: Sequence[Event]) -> None:
    for event in alarms[:_ALARMS_SHOWN]:
        st.warning(plain(event.message), icon=":material/notification_important:")
    if len(alarms) > _ALARMS_SHOWN:
        with st.expander(words.count(len(alarms) - _ALARMS_SHOWN, "earlier alarm")):
            for event in alarms[_ALARMS_SHOWN:]:
                st.markdown(plain(event.message))


# --- the screen -------------------------------------------------------------------------------------------------------


@guarded_call
def _live(run_id: str, active: bool) -> None:
    """``active`` is how the search stood when the page was drawn: whether this is drawn again by itself."""
    found, now = yardstick(store(), run_id), header(store(), run_id)
    if now.active != active:
        st.rerun()
    others = [event for event in found.alarms if event.kind != METRICS_ALARM]
    _alarms(others)
    _waiting(found, run_id, active=now.active)
    if found.current is None:
        st.info("The criteria appear here with the first recipe's score.")
        return
    _now(found.current)
    _judge(found, found.current)
    _chance(found.noise)
    race_card(now)
    _history(found.versions)


def _page() -> None:
    run = chosen_run()
    if run is None:
        no_search_yet("Criteria")
        return
    project = store().project(run.project_id)
    st.title(plain(project.task.title or "Untitled project"), anchor=False)
    with st.container(horizontal=True):
        switch_project(project)
        run_picker(run)
    now = header(store(), run.id)
    st.fragment(_live, run_every=_REFRESH_S if now.active else None)(run.id, now.active)


in_frame(_page)
