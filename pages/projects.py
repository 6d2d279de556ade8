"""Projects: begin one from an example, a title or a file; open, export or delete the ones there are."""

from __future__ import annotations

import time
from typing import NoReturn

import streamlit as st

from autosynth_core.errors import AutoSynthError
from autosynth_core.records import Project
from autosynth_core.store.archive import export_project, import_project
from autosynth_core.taskfile import ExampleTask, dump_task, examples, load_task, parse_task
from autosynth_core.views import ProjectCard, projects, words
from autosynth_core.views.describe import blank_task
from pages.parts.frame import in_frame
from pages.parts.model_note import warn_if_embedded
from pages.parts.session import guarded, remember, store
from pages.parts.text import plain, prose, short

_CARDS_A_ROW = 2
_PROBLEM = "why a project was not deleted"


def _open(project_id: str, page: str = "pages/initialize.py") -> NoReturn:
    remember(project_id)
    st.switch_page(page, query_params={"project": project_id})


def _welcome() -> None:
    st.subheader("Start here")
    st.markdown(
        "AutoSynth finds a good **recipe** for writing study material with an AI model, when you have no collection "
        "of good material to copy from. It takes about half an hour of your time:\n\n"
        "1. **Describe** what you want, for whom, and what must never happen.\n"
        "2. **Try it**: look at a few samples and say which you would use in class.\n"
        "3. **Search**: the app tries many recipes by itself, you watch, and the best one is yours to keep.\n\n"
        "The quickest way to see it: use one of the examples below."
    )


def _example_cards(tasks: list[ExampleTask]) -> None:
    columns = st.columns(_CARDS_A_ROW)
    for at, example in enumerate(tasks):
        with columns[at % _CARDS_A_ROW].container(border=True), guarded():
            _example_card(example)


def _example_card(example: ExampleTask) -> None:
    task = load_task(example.path)
    st.markdown(f"**{plain(task.title)}**")
    prose(short(task.description, 220))
    st.caption(f"For: {plain(short(task.audience, 100))}")
    if st.button("Use this example", key=f"example:{example.slug}", icon=":material/add:"):
        _open(store().add_project(task).id)


def _new_by_title() -> None:
    with st.form("new project", border=False, clear_on_submit=True):
        title = st.text_input(
            "What do you want to make?", placeholder="Exit tickets for grade 6 fractions", max_chars=200
        )
        made = st.form_submit_button("Create project", icon=":material/add:")
    if made and not title.strip():
        st.error("Give the project a title first.")
    elif made:
        _open(store().add_project(blank_task(title)).id)


def _new_from_file() -> None:
    uploaded = st.file_uploader(
        "A task file (JSON) or a project that was exported here",
        type=["json", "gz", "autosynth"],
        help="A task file describes what you want. An exported project also holds its rounds and searches.",
    )
    if uploaded is None:
        return
    if st.button("Create project from this file", icon=":material/upload_file:"):
        data = uploaded.getvalue()
        project = import_project(store(), data) if data[:2] == b"\x1f\x8b" else _project_of(data, uploaded.name)
        _open(project.id)


def _project_of(data: bytes, name: str) -> Project:
    return store().add_project(parse_task(data, name))


def _project_row(card: ProjectCard) -> None:
    with st.container(border=True):
        about, actions = st.columns([4, 3], vertical_alignment="center")
        with about:
            st.markdown(f"**{plain(card.title or 'Untitled')}**")
            st.caption(plain(_history(card)))
            if card.missing:
                st.caption(f":material/edit: {plain(card.missing)}")
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            _actions(card)


def _history(card: ProjectCard) -> str:
    parts = [f"Made {words.ago(card.created, time.time())}"]
    if card.rounds:
        parts.append(words.count(card.rounds, "round of samples", "rounds of samples"))
    if card.rated:
        parts.append(f"{words.count(card.rated, 'sample')} rated")
    if card.searches:
        parts.append(words.count(card.searches, "search", "searches"))
    if card.latest:
        parts.append(card.latest)
    return " · ".join(parts)


def _actions(card: ProjectCard) -> None:
    if st.button("Open", key=f"open:{card.id}", type="primary"):
        _open(card.id)
    if card.searches and st.button("Searches", key=f"searches:{card.id}", icon=":material/account_tree:"):
        _open(card.id, "pages/search.py")
    with st.popover("More", icon=":material/more_horiz:"):
        st.download_button(
            "Export the whole project",
            data=lambda: export_project(store(), card.id),
            file_name=f"{card.id}.autosynth.gz",
            mime="application/gzip",
            key=f"export:{card.id}",
            icon=":material/download:",
            on_click="ignore",
            help="One file with everything: task, rounds, feedback, searches, answers. No keys are in it.",
        )
        st.download_button(
            "Only the task file",
            data=lambda: dump_task(store().project(card.id).task),
            file_name=f"{card.id}.json",
            mime="application/json",
            key=f"task:{card.id}",
            icon=":material/description:",
            on_click="ignore",
        )
        if st.button("Delete…", key=f"delete:{card.id}", icon=":material/delete:"):
            _confirm_delete(card.id, card.title)


@st.dialog("Delete this project?")
def _confirm_delete(project_id: str, title: str) -> None:
    st.markdown(
        f"**{plain(title or 'Untitled')}** will be deleted with all its samples, feedback and searches. "
        "This can't be undone. Export it first if you may want it again."
    )
    with st.container(horizontal=True):
        deleted = st.button(
            "Delete it",
            type="primary",
            icon=":material/delete:",
            key="really delete",
            on_click=_delete,
            args=(project_id,),
        )
        if st.button("Keep it", key="keep") or deleted:
            st.rerun()


def _delete(project_id: str) -> None:
    try:
        store().delete_project(project_id)
    except AutoSynthError as error:
        st.session_state[_PROBLEM] = str(error)  # shown on the page below, as the question closes
    if st.session_state.get("project") == project_id:
        del st.session_state["project"]


def _page() -> None:
    st.title("Projects")
    warn_if_embedded()
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error(plain(problem), icon=":material/error:")
    cards = projects(store())
    if cards:
        for card in cards:
            _project_row(card)
    else:
        _welcome()
    st.subheader("New project")
    examples_tab, title_tab, file_tab = st.tabs(["From an example", "From scratch", "From a file"])
    with examples_tab:
        _example_cards(examples())
    with title_tab:
        _new_by_title()
    with file_tab, guarded():
        _new_from_file()


in_frame(_page)
