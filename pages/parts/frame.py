"""What every screen has around it: the menu, the engine's start, the guard, the note on the model.

Owns the list of screens and the order in which a run of the app goes. A screen is a file under ``pages`` that ends in
``in_frame(_page)``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from autosynth_core import engine, log
from pages.parts.model_note import model_note
from pages.parts.session import database, guarded

__all__ = ["in_frame", "run_app"]

# Files of our own: for a named icon the browser would ask a server on the internet.
_ICON = Path(__file__).with_name("icon.svg")
_LOGO = Path(__file__).with_name("logo.svg")
_ENTERED = "frame entered"


def run_app() -> None:
    """One run of the app: draw the frame, then the screen that the address asks for."""
    log.set_up("INFO")
    st.set_page_config(page_title="AutoSynth Studio", page_icon=str(_ICON), layout="wide")
    st.logo(str(_LOGO), icon_image=str(_ICON), size="large")
    screen = st.navigation(
        [
            st.Page("pages/projects.py", title="Projects", icon=":material/folder:", default=True),
            st.Page(
                "pages/initialize.py", title="Describe and try", icon=":material/edit_note:", url_path="initialize"
            ),
            st.Page("pages/search.py", title="Search", icon=":material/account_tree:", url_path="search"),
            st.Page("pages/settings.py", title="Settings", icon=":material/settings:", url_path="settings"),
        ]
    )
    with guarded():
        st.secrets.load_if_toml_exists()  # puts a key in secrets.toml into the environment, where the engine looks
        engine.ensure_started(database())
        with st.sidebar:
            model_note()
        st.session_state[_ENTERED] = True
        screen.run()


def in_frame(page: Callable[[], None]) -> None:
    """Run a screen inside the frame; where Streamlit ran its file by itself, run the app around it.

    Until ``st.navigation`` was called once since the server started, Streamlit takes a folder named ``pages`` for its
    older kind of app and runs an addressed page without ``app.py``: a reload after a restart would lose menu, engine
    and guard.
    """
    if st.session_state.pop(_ENTERED, False):
        page()
    else:
        run_app()
