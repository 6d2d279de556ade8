"""The app as a user starts it, a Chromium to use it with, and scripted models in a process of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import browser
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=30_000)  # a loaded machine redraws slowly

ROOT = Path(__file__).parents[2]
SCRIPTED = ROOT / "tests" / "support" / "scripted_models.py"


class App:
    """``streamlit run app.py`` in a process of its own, over one database. May be killed and started again."""

    def __init__(self, database: Path, environment: dict[str, str]) -> None:
        self.database = database
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.log = database.with_suffix(".log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)],
                cwd=ROOT,
                env={**os.environ, "AUTOSYNTH_DB": str(self.database), **self._environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                    return self
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"the app did not come up: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """``kill -9``, to the app and everything it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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
