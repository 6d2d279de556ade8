"""The README's commands, one after the other as a reader would type them, with scripted models behind the endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_reading import ROOT, commands, text_of
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

_SERVES_UNTIL_KILLED = ["python", "-m", "autosynth_core", "models"]
TYPED = [
    words
    for words in commands(text_of("README.md"))
    if words[0] == "python" and words[: len(_SERVES_UNTIL_KILLED)] != _SERVES_UNTIL_KILLED
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[OpenAIServer]:
    with OpenAIServer(ScriptedModels(), models=["gpt-4.1-mini"]) as server:
        yield server


@pytest.fixture(scope="module")
def desk(endpoint: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the checkout to the commands, and takes what they write."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "data").mkdir()
    (folder / "data" / "tasks").symlink_to(ROOT / "data" / "tasks")
    return folder


def typed(words: list[str], desk: Path, endpoint: OpenAIServer) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOSYNTH", "OPENAI"))}
    environment = {**kept, "OPENAI_BASE_URL": endpoint.base_url, "OPENAI_API_KEY": "k", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, *words[1:]]
    return subprocess.run(line, cwd=desk, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_commands_of_the_readme_work_in_their_order(desk: Path, endpoint: OpenAIServer) -> None:
    run_id = "none yet"
    assert len(TYPED) >= 7
    for words in TYPED:
        done = typed([word.replace("RUN_ID", run_id) for word in words], desk, endpoint)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        if words[3:4] == ["search"]:
            run_id = done.stderr.split()[
                1
            ]  # "Run 1f2e... in data/autosynth.db", as the README says the first thing told
    made = json.loads(done.stdout)
    assert set(made["output"]) == {"analogy"}
