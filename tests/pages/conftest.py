"""The app over a database file of the test's own, without engine, key or downloaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.testing.v1 import AppTest

from autosynth_core.records import Project
from autosynth_core.store import Store
from tests.views.plausible_run import example_task

ROOT = Path(__file__).parents[2]

Open = Callable[..., AppTest]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    path = tmp_path / "pages.db"
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("AUTOSYNTH_DB", str(path))
    monkeypatch.setenv("AUTOSYNTH_ENGINE", "off")
    monkeypatch.setenv("AUTOSYNTH_CACHE", str(tmp_path / "cache"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with Store.open(path) as opened:
        yield opened
    st.cache_resource.clear()


@pytest.fixture
def project(store: Store) -> Project:
    return store.add_project(example_task())


@pytest.fixture
def open_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> Open:
    """``open_page("search", run=...)``: the app at that address, as a link or a reload would open it."""

    # Each AppTest reads the metadata of every installed package for components, 0.3 s; the app uses none.
    monkeypatch.setattr(BidiComponentManager, "discover_and_register_components", lambda *_, **__: None)

    def opened(page: str = "", **parameters: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        if page:
            app.switch_page(f"pages/{page}.py")
        for name, value in parameters.items():
            app.query_params[name] = value
        return app.run()

    return opened
