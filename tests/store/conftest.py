"""A real store in a temporary folder, with a clock and ids that a test can foresee."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from autosynth_core.records import (
    Example,
    FieldKind,
    OutputField,
    Run,
    RunKind,
    SeedInput,
    Task,
)
from autosynth_core.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "studio.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    seconds = count(1000)
    numbers = count(1)
    with Store.open(path, clock=lambda: float(next(seconds)), token=lambda: f"{next(numbers):04x}") as opened:
        yield opened


@pytest.fixture
def task() -> Task:
    return Task(
        title="Analogies for Science",
        description="Explain \ud800 a concept \x00 by an analogy.",
        audience="grade 7",
        output_fields=(OutputField("analogy", "the text"), OutputField("talk", "a talk", FieldKind.TURNS)),
        must_nevers=("no scolding", "naïve 😀"),
        good_examples=(Example({"concept": "cell"}, {"analogy": "a town", "talk": [{"speaker": "T"}]}, "maps parts"),),
        bad_examples=(Example({"concept": "cell"}, {"analogy": "it is small"}),),
        search_seeds=(SeedInput({"concept": "cell"}), SeedInput({"concept": "atom"})),
        sealed_seeds=(SeedInput({"concept": "tide"}),),
        language="Español",
        expert_workflow="async def generate(seed):\n    return {}\n",
    )


@pytest.fixture
def run(store: Store, task: Task) -> Run:
    return store.add_run(store.add_project(task).id, RunKind.SEARCH, '{"iterations": 3}', brief='{"task": {}}')
