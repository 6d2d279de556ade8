"""Puts the scripted server on the path, and waits once for all the tests' sandboxes."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox
from autosynth_core.workflow import sandbox as sandbox_module


@pytest.fixture(scope="session", autouse=True)
def _closing_wait() -> Iterator[None]:
    """One wait at the end for all the tests' sandboxes, in place of one each."""
    usual, sandbox_module.CLOSING_WAIT = sandbox_module.CLOSING_WAIT, 0.0
    yield
    time.sleep(usual)
    sandbox_module.CLOSING_WAIT = usual


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processes=2) as opened:
        yield opened


@pytest.fixture
def serve() -> Iterator[Callable[..., OpenAIServer]]:
    """``serve(answer, **server_options)``: a running server that answers so; scripted models unless told."""
    with ExitStack() as stack:

        def start(answer: object = None, **options: object) -> OpenAIServer:
            options.setdefault("models", ["scripted"])
            return stack.enter_context(OpenAIServer(answer or ScriptedModels(), **options))

        yield start


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "autosynth.db") as opened:
        yield opened
