"""A search as it runs: how far, how good, at what cost; the tree of recipes, and each recipe up close."""

from __future__ import annotations

import streamlit as st

from autosynth_core.records import Run, RunKind
from autosynth_core.views import header, in_words, searches
from pages.parts.frame import in_frame
from pages.parts.model_note import endpoint
from pages.parts.node_view import node_view
from pages.parts.run_view import drawn, live
from pages.parts.session import choose_project, parameter, remember, set_parameter, store, switch_project
from pages.parts.text import plain

_REFRESH_S = 2


def _run() -> Run | None:
    """The run in the address, else the project's newest search."""
    wanted = parameter("run")
    if wanted is not None:
        run = store().run(wanted)
        if run.kind is RunKind.SEARCH:
            remember(run.project_id)
            return run
    project = choose_project()
    found = searches(store(), project.id) if project else []
    if found:
        set_parameter("run", found[0].id)
    return found[0] if found else None


def _picker(run: Run) -> None:
    """Other searches of the project, named by when they were started."""
    found = {each.id: each for each in searches(store(), run.project_id)}
    if len(found) < 2:
        return
    numbers = {run_id: len(found) - at for at, run_id in enumerate(found)}
    key = f"run:{run.id}"

    def choose() -> None:
        set_parameter("run", st.session_state[key])
        set_parameter("node", None)

    st.selectbox(
        "Search",
        list(found),
        list(found).index(run.id),
        format_func=lambda run_id: f"Search {numbers[run_id]}: {in_words(found[run_id])}",
        key=key,
        on_change=choose,
        width=420,
    )


def _nothing_yet() -> None:
    st.title("Search")
    project = choose_project()
    if project is None:
        st.info("There is no project yet. Make one first, from an example or from scratch.")
        st.page_link("pages/projects.py", label="Go to Projects", icon=":material/folder:")
        return
    switch_project(project)
    st.info(f"No search of {plain(project.task.title or 'this project')} has been started yet.")
    st.page_link(
        "pages/initialize.py",
        label="Describe, try samples and start a search",
        icon=":material/edit_note:",
        query_params={"project": project.id},
    )


def _page() -> None:
    run = _run()
    if run is None:
        _nothing_yet()
        return
    project = store().project(run.project_id)
    st.title(plain(project.task.title or "Untitled project"), anchor=False)
    with st.container(horizontal=True):
        switch_project(project)
        _picker(run)  # before the run is read: one that can't be must not keep anybody from the others
    now = header(store(), run.id)
    note = "Scored by an AI judge, not by your students. A higher score is a reason to look, not a proof."
    if endpoint() is None:
        note += " The small built-in model is in use: it tells sense from nonsense, hardly good from better."
    st.caption(f":material/info: {note}")
    st.fragment(live, run_every=_REFRESH_S if now.active else None)(run.id, drawn(now))
    st.divider()
    node_view(run.id)


in_frame(_page)
