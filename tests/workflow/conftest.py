"""Tasks, and an open sandbox."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from workflow_cases import make_task

from autosynth_core.records import FieldKind, OutputField, Task
from autosynth_core.workflow import Sandbox
from autosynth_core.workflow import sandbox as sandbox_module


@pytest.fixture
def task() -> Task:
    return make_task()


@pytest.fixture
def dialogue_task() -> Task:
    return make_task(OutputField("title", "a title"), OutputField("dialogue", "the talk", FieldKind.TURNS))


@pytest.fixture(scope="session", autouse=True)
def _closing_wait() -> Iterator[None]:
    """One wait at the end for all the tests' sandboxes, in place of one each."""
    usual, sandbox_module.CLOSING_WAIT = sandbox_module.CLOSING_WAIT, 0.0
    yield
    time.sleep(usual)
    sandbox_module.CLOSING_WAIT = usual


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processes=4) as opened:
        yield opened
