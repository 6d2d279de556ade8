"""From an idea to a started search: describe the task, rate some samples, start."""

from __future__ import annotations

import streamlit as st

from autosynth_core.records import Project
from autosynth_core.views.describe import missing
from pages.parts.describe_step import describe_step
from pages.parts.frame import in_frame
from pages.parts.model_note import warn_if_embedded
from pages.parts.session import choose_project, parameter, set_parameter, switch_project
from pages.parts.start_step import start_step
from pages.parts.text import plain
from pages.parts.try_step import try_step

_STEPS = {"describe": "1 · Describe", "try": "2 · Try samples", "start": "3 · Start the search"}


def _step(project: Project) -> str:
    """The step in the address; else the first one that is not done."""
    wanted = parameter("step")
    if wanted not in _STEPS:
        wanted = "describe" if missing(project.task) else "try"
        set_parameter("step", wanted)  # or the page would turn by itself when the last field is filled in
    key = f"step:{project.id}"
    # The address is what counts: a button that leads to a step only writes the address.
    st.session_state[key] = wanted
    chosen = st.segmented_control(
        "Step",
        list(_STEPS),
        format_func=_STEPS.__getitem__,
        key=key,
        required=True,
        label_visibility="collapsed",
        on_change=lambda: set_parameter("step", st.session_state[key]),
    )
    return chosen or wanted


def _page() -> None:
    project = choose_project()
    if project is None:
        st.title("Describe and try")
        st.info("There is no project yet. Make one first, from an example or from scratch.")
        st.page_link("pages/projects.py", label="Go to Projects", icon=":material/folder:")
        return
    st.title(plain(project.task.title or "Untitled project"), anchor=False)
    switch_project(project)
    match _step(project):
        case "describe":
            describe_step(project)
        case "try":
            try_step(project)
        case _:
            warn_if_embedded()
            start_step(project)


in_frame(_page)
