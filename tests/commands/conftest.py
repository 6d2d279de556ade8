"""Puts the scripted server on the path, clears the environment, and gives a server, a task file and a database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from openai_server import OpenAIServer
from scripted_models import ScriptedModels


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AUTOSYNTH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # no model installed here


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as running:
        yield running


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "autosynth.db"


@pytest.fixture
def task_file() -> Path:
    return Path(__file__).parents[2] / "data" / "tasks" / "science-analogies.json"
