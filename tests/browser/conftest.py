"""The app, a Chromium to use it with, and scripted models, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from app_process import ROOT, App
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=30_000)  # a loaded machine redraws slowly

SCRIPTED = ROOT / "tests" / "support" / "scripted_models.py"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module's tests; while it is there its event loop keeps other modules' from running."""
    path = browser.find()
    assert path is not None, "no browser: run `make browser`"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=browser.ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh window; anything the page itself throws fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert not errors


@pytest.fixture
def scripted_url() -> Iterator[str]:
    """The base URL of scripted models which take a moment for each answer."""
    process = subprocess.Popen([sys.executable, str(SCRIPTED), "--delay", "0.3"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", line)
    yield line
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def app(tmp_path: Path, scripted_url: str) -> Iterator[App]:
    started = App(tmp_path / "walk.db", {"OPENAI_BASE_URL": scripted_url, "OPENAI_API_KEY": "sk-walkthrough-secret"})
    yield started.start()
    started.kill()


@pytest.fixture(scope="module")
def quiet_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app without an engine, for what is refused before anything runs."""
    started = App(tmp_path_factory.mktemp("quiet") / "quiet.db", {"AUTOSYNTH_ENGINE": "off"})
    yield started.start()
    started.kill()
