"""A real store for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autosynth_core.records import Project
from autosynth_core.store import Store
from tests.views.plausible_run import example_task


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "views.db") as opened:
        yield opened


@pytest.fixture
def project(store: Store) -> Project:
    return store.add_project(example_task())
