"""A task to judge by, and a fixture that starts scripted models."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from autosynth_core.records import Example, Metric, MetricSet, OutputField, Sample, Scope, SeedInput, Task

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from judging_script import Script, make_sample, start


@pytest.fixture
async def scripted() -> AsyncIterator[Script]:
    """``await scripted(answer, logprobs=True, json_schema=True, **server_options)``: a model that answers so."""
    async with AsyncExitStack() as stack:
        yield partial(start, stack)


@pytest.fixture
def task() -> Task:
    return Task(
        title="Science analogies",
        description="Explain a science concept by an analogy from everyday life.",
        audience="students of 11 to 13",
        output_fields=(OutputField("analogy", "the analogy, 60 to 120 words"),),
        must_nevers=("states a wrong fact",),
        good_examples=(Example({"concept": "osmosis"}, {"analogy": "Raisins swell in water."}, "shows the direction"),),
        bad_examples=(Example({"concept": "osmosis"}, {"analogy": "Osmosis is like magic."}, "maps nothing"),),
        search_seeds=(SeedInput({"concept": "cell membrane"}),),
        sealed_seeds=(SeedInput({"concept": "voltage"}),),
    )


@pytest.fixture
def sample() -> Sample:
    return make_sample("A membrane is like the door of a club with a careful doorman.")


@pytest.fixture
def metrics() -> MetricSet:
    return MetricSet(
        (
            Metric("Parts mapped", "Each part of the concept has its counterpart.", "Nothing is mapped.", "All is."),
            Metric("Limits named", "It says where the analogy ends.", "Taken literally.", "The limit is explained.", 2),
            Metric("Vivid", "The picture is easy to see.", "Abstract words.", "A scene from a student's day."),
        )
    )


@pytest.fixture
def scope() -> Scope:
    return Scope("run", "verdict", 3)
