"""AutoSynth Studio: the app's frame. Navigation, the engine's start, and the note on which model is in use.

Owns what every screen has around it. Each screen is a file under ``pages``; shared parts are in ``pages/parts``.
Start it with ``streamlit run app.py``.
"""

from __future__ import annotations

import streamlit as st

from autosynth_core import engine
from pages.parts.model_note import model_note
from pages.parts.session import database, guarded

st.set_page_config(page_title="AutoSynth Studio", page_icon=":material/science:", layout="wide")

screen = st.navigation(
    [
        st.Page("pages/projects.py", title="Projects", icon=":material/folder:", default=True),
        st.Page("pages/initialize.py", title="Describe and try", icon=":material/edit_note:", url_path="initialize"),
        st.Page("pages/search.py", title="Search", icon=":material/account_tree:", url_path="search"),
        st.Page("pages/settings.py", title="Settings", icon=":material/settings:", url_path="settings"),
    ]
)

with guarded():
    st.secrets.load_if_toml_exists()  # puts OPENAI_API_KEY of secrets.toml into the environment, where the engine looks
    engine.ensure_started(database())
    with st.sidebar:
        model_note()
    screen.run()
