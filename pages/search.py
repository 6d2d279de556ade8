"""A search as it runs: how far, how good, at what cost; the tree of recipes, and each recipe up close."""

from __future__ import annotations

import streamlit as st

from autosynth_core.views import header
from pages.parts.choose_run import chosen_run, no_search_yet, run_picker
from pages.parts.frame import in_frame
from pages.parts.model_note import endpoint
from pages.parts.node_view import node_view
from pages.parts.run_view import drawn, live
from pages.parts.session import store, switch_project
from pages.parts.text import plain

_REFRESH_S = 2


def _page() -> None:
    run = chosen_run()
    if run is None:
        no_search_yet("Search")
        return
    project = store().project(run.project_id)
    st.title(plain(project.task.title or "Untitled project"), anchor=False)
    with st.container(horizontal=True):
        switch_project(project)
        run_picker(run)  # before the run is read: one that can't be must not keep anybody from the others
    now = header(store(), run.id)
    note = "Scored by an AI judge, not by your students. A higher score is a reason to look, not a proof."
    if endpoint() is None:
        note += " The small built-in model is in use: it tells sense from nonsense, hardly good from better."
    st.caption(f":material/info: {note}")
    st.fragment(live, run_every=_REFRESH_S if now.active else None)(run.id, drawn(now))
    st.divider()
    node_view(run.id)


in_frame(_page)
