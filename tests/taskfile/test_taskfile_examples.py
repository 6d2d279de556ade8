"""The tasks that come with the product are fit to be a first impression."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import pytest_asyncio

from autosynth_core.config import SampleLimits
from autosynth_core.records import Example, FieldKind, Task
from autosynth_core.taskfile import dump_task, examples, load_task, parse_task
from autosynth_core.workflow import Sandbox, plain_workflow, preflight

SLUGS = ["misconception-feedback", "reading-hooks", "science-analogies", "socratic-dialogue"]
TASKS = {example.slug: load_task(example.path) for example in examples()}

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


def texts(example: Example) -> Iterator[str]:
    """Every text of an example's output."""
    for value in example.output.values():
        if isinstance(value, str):
            yield value
        else:
            yield from (turn["text"] for turn in value)


def words(example: Example, field: str) -> int:
    return len(str(example.output[field]).split())


def test_the_four_examples_are_found_by_slug() -> None:
    assert [example.slug for example in examples()] == SLUGS
    assert all(example.path.name == f"{example.slug}.json" for example in examples())


@every_task
def test_a_task_is_complete(task: Task) -> None:
    assert len(task.search_seeds) >= 45
    assert len(task.sealed_seeds) >= 20
    assert 4 <= len(task.must_nevers) <= 7
    assert len(task.good_examples) in (2, 3)
    assert len(task.bad_examples) in (2, 3)
    assert task.expert_workflow
    assert all(example.why for example in (*task.good_examples, *task.bad_examples))


@every_task
def test_a_task_survives_a_round_trip(task: Task) -> None:
    assert parse_task(dump_task(task).encode(), "again.json") == task


def content_words(values: Mapping[str, str]) -> set[str]:
    """A seed's words, numbers and signs, without the class and the commonest words."""
    text = " ".join(value for name, value in values.items() if name != "grade").lower()
    return set(re.findall(r"\w+|[^\w\s.,?]", text)) - {"the", "a", "of", "is", "what", "in", "to", "and", "it"}


@every_task
def test_no_two_seeds_are_nearly_the_same(task: Task) -> None:
    seeds = [content_words(seed.values) for seed in (*task.search_seeds, *task.sealed_seeds)]
    for at, one in enumerate(seeds):
        for other in seeds[at + 1 :]:
            assert len(one & other) <= 0.6 * max(1, len(one | other)), (one, other)


@every_task
def test_seeds_are_shorter_than_a_screen(task: Task) -> None:
    for seed in (*task.search_seeds, *task.sealed_seeds):
        assert sum(map(len, seed.values.values())) < 400


@every_task
def test_examples_are_typed_in_plain_english(task: Task) -> None:
    for example in (*task.good_examples, *task.bad_examples):
        for text in (*texts(example), example.why):
            assert text == text.strip()
            assert "  " not in text
            assert not re.search(r"[\u2018\u2019\u201c\u201d\u00a0]", text)


LENGTHS = [
    ("science-analogies", "analogy", 120, 220),
    ("misconception-feedback", "feedback", 70, 130),
    ("reading-hooks", "hook", 70, 130),
]


@pytest.mark.parametrize(("slug", "field", "low", "high"), LENGTHS, ids=[case[0] for case in LENGTHS])
def test_good_examples_keep_to_the_length_that_the_task_asks_for(slug: str, field: str, low: int, high: int) -> None:
    assert all(low <= words(example, field) <= high for example in TASKS[slug].good_examples)


def test_good_dialogues_keep_to_the_rules_that_can_be_counted() -> None:
    for example in TASKS["socratic-dialogue"].good_examples:
        turns = example.output["dialogue"]
        assert 10 <= len(turns) <= 16
        assert [turn["speaker"] for turn in turns] == ["Tutor", "Student"] * (len(turns) // 2)
        assert all(turn["text"].count("?") == 1 for turn in turns if turn["speaker"] == "Tutor")


@every_task
def test_good_examples_fit_the_limits_of_a_sample(task: Task) -> None:
    limit = SampleLimits().output_chars
    assert all(sum(map(len, texts(example))) < limit for example in task.good_examples)


@every_task
def test_an_experts_workflow_is_a_pipeline_of_stages(task: Task) -> None:
    tree = ast.parse(task.expert_workflow or "")
    functions = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    assert "generate" in functions
    assert len(functions) >= 3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@every_task
@pytest.mark.asyncio(loop_scope="module")
async def test_an_experts_workflow_passes_preflight(task: Task, sandbox: Sandbox) -> None:
    result = await preflight(task.expert_workflow or "", task, sandbox)
    assert (result.gate, result.reason) == (None, "")


@every_task
@pytest.mark.asyncio(loop_scope="module")
async def test_a_plain_workflow_can_be_made_for_every_task(task: Task, sandbox: Sandbox) -> None:
    result = await preflight(plain_workflow(task), task, sandbox)
    assert (result.gate, result.reason) == (None, "")


def test_dialogues_are_the_one_task_of_turns() -> None:
    kinds = {slug: {field.kind for field in task.output_fields} for slug, task in TASKS.items()}
    assert [slug for slug, found in kinds.items() if FieldKind.TURNS in found] == ["socratic-dialogue"]
