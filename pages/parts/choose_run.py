"""Which search a screen is about, and what it shows where there is none.

Owns the choice among a project's searches; the choice itself is in the address.
"""

from __future__ import annotations

import streamlit as st

from autosynth_core.records import Run, RunKind
from autosynth_core.views import in_words, searches
from pages.parts.session import choose_project, parameter, remember, set_parameter, store, switch_project
from pages.parts.text import plain

__all__ = ["chosen_run", "no_search_yet", "run_picker"]


def chosen_run() -> Run | None:
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


def run_picker(run: Run) -> None:
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


def no_search_yet(title: str) -> None:
    """What a screen shows while its project has no search."""
    st.title(title)
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
