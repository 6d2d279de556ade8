"""A key for runs in this process, and none of the machine's own settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_runs import KEY, end_commands


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AUTOSYNTH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def no_command_left_behind() -> Iterator[None]:
    yield
    end_commands()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "search.db"
