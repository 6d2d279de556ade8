"""What a screen stands on: the database, the ids in the address, and the guard that keeps tracebacks off the page.

Owns the connection between a browser session and the store. Ids live in the query parameters, so that a link or a
reload opens the same view; the last project is remembered for the menu, which clears them.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import streamlit as st

from autosynth_core.errors import AutoSynthError
from autosynth_core.records import Project
from autosynth_core.store import Store
from pages.parts.text import clean, plain

__all__ = [
    "choose_project",
    "database",
    "guarded",
    "guarded_call",
    "parameter",
    "remember",
    "set_parameter",
    "store",
    "switch_project",
]

P = ParamSpec("P")
logger = logging.getLogger("autosynth.pages")


def database() -> Path:
    """The database file: ``AUTOSYNTH_DB``, or ``data/autosynth.db`` beside the app."""
    return Path(os.environ.get("AUTOSYNTH_DB") or Path(__file__).parents[2] / "data" / "autosynth.db")


@st.cache_resource(show_spinner=False)
def _opened(path: str) -> Store:
    return Store.open(Path(path))


def store() -> Store:
    """The store of this process, opened once a database file."""
    return _opened(str(database()))


@contextmanager
def guarded() -> Iterator[None]:
    """Turn an error into one sentence on the page; what nobody foresaw goes to the log with its traceback."""
    try:
        yield
    except AutoSynthError as error:
        st.error(plain(error), icon=":material/error:")
    except Exception:  # a page must never show a traceback; st.stop and st.rerun are no Exceptions and pass
        logger.exception("a page failed")
        st.error(
            "Something went wrong on this page. Reload it; if it happens again, "
            "the terminal in which the app was started says more.",
            icon=":material/error:",
        )


def guarded_call(function: Callable[P, None]) -> Callable[P, None]:
    """``guarded`` for callbacks and fragments, which Streamlit runs outside the page."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        with guarded():
            function(*args, **kwargs)

    return call


def parameter(name: str) -> str | None:
    """A query parameter, or None."""
    return st.query_params.get(name) or None


def set_parameter(name: str, value: str | None) -> None:
    """Set or, with None, remove a query parameter; the address changes, the page does not reload."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def remember(project_id: str) -> None:
    """Keep the project for the next screen and put it into the address."""
    st.session_state["project"] = project_id
    set_parameter("project", project_id)


def choose_project() -> Project | None:
    """The project in the address, else the last one used, else a choice; None while there is none to choose."""
    wanted = parameter("project")
    if wanted is not None:
        project = store().project(wanted)
        remember(project.id)
        return project
    projects = {project.id: project for project in store().projects()}
    if not projects:
        return None
    last = st.session_state.get("project")
    if last not in projects:
        last = next(iter(projects))
    remember(last)
    return projects[last]


def _titles() -> dict[str, str]:
    """Titles by id, the newest project first; what has the same title is numbered in the order it was made."""
    titles: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for project in reversed(store().projects()):
        title = clean(project.task.title) or "Untitled"
        seen[title] += 1
        titles[project.id] = title if seen[title] == 1 else f"{title} ({seen[title]})"
    return dict(reversed(titles.items()))


def switch_project(project: Project) -> None:
    """A small choice of another project, shown where there are several."""
    titles = _titles()
    if len(titles) < 2:
        return
    key = f"switch:{project.id}"

    def go() -> None:
        remember(st.session_state[key])
        for name in ("round", "at", "run", "node", "step"):
            set_parameter(name, None)

    ids = list(titles)
    st.selectbox(
        "Project", ids, ids.index(project.id), format_func=titles.__getitem__, key=key, on_change=go, width=420
    )
