"""AutoSynth Studio: the app's frame. Navigation, the engine's start, and the note on which model is in use.

Owns what every screen has around it. Each screen is a file under ``pages``; shared parts are in ``pages/parts``.
Start it with ``streamlit run app.py``.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from autosynth_core import engine
from pages.parts.model_note import model_note
from pages.parts.session import SCREEN, database, enter_frame, guarded

# A file of our own: for a named icon the browser would ask a server on the internet.
_ICON = Path(__file__).parent / "pages" / "parts" / "icon.svg"
_LOGO = _ICON.with_name("logo.svg")

st.set_page_config(page_title="AutoSynth Studio", page_icon=str(_ICON), layout="wide")

st.logo(str(_LOGO), icon_image=str(_ICON), size="large")

_SCREENS = {
    "projects": st.Page("pages/projects.py", title="Projects", icon=":material/folder:", default=True),
    "initialize": st.Page(
        "pages/initialize.py", title="Describe and try", icon=":material/edit_note:", url_path="initialize"
    ),
    "search": st.Page("pages/search.py", title="Search", icon=":material/account_tree:", url_path="search"),
    "settings": st.Page("pages/settings.py", title="Settings", icon=":material/settings:", url_path="settings"),
}
screen = st.navigation(list(_SCREENS.values()))

if (wanted := st.query_params.get(SCREEN)) in _SCREENS:
    others = {name: value for name, value in st.query_params.to_dict().items() if name != SCREEN}
    st.switch_page(_SCREENS[wanted], query_params=others)

with guarded():
    st.secrets.load_if_toml_exists()  # puts OPENAI_API_KEY of secrets.toml into the environment, where the engine looks
    engine.ensure_started(database())
    with st.sidebar:
        model_note()
    enter_frame()
    screen.run()
