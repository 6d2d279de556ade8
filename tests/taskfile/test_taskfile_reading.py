"""What a task file gives when it is sound: a task, the same task again, and a fair split."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import autosynth_core.taskfile as taskfile
from autosynth_core.records import FieldKind, SeedInput, Task
from autosynth_core.taskfile import dump_task, json_schema, load_task, parse_task

SCHEMA = Path(__file__).parents[2] / "data" / "tasks" / "task.schema.json"


def minimal(count: int, **more: Any) -> dict[str, Any]:
    """The least that makes a task, with ``count`` seeds in one list."""
    return {
        "title": "T",
        "description": "D",
        "audience": "A",
        "output_fields": [{"name": "line", "description": "one line"}],
        "seeds": [{"topic": f"topic {n}"} for n in range(count)],
    } | more


def parsed(raw: dict[str, Any]) -> Task:
    return parse_task(json.dumps(raw).encode(), "mine.json")


def test_what_may_be_left_out_has_a_sensible_value() -> None:
    task = parsed(minimal(12))
    assert (task.language, task.must_nevers, task.good_examples, task.expert_workflow) == ("English", (), (), None)
    assert task.output_fields[0].kind is FieldKind.TEXT
    assert task.seed_fields == ("topic",)


@pytest.mark.parametrize(("count", "sealed"), [(8, 4), (12, 4), (30, 10), (100, 33), (20_000, 6_666)])
def test_one_list_is_split_two_thirds_to_one(count: int, sealed: int) -> None:
    task = parsed(minimal(count))
    assert (len(task.search_seeds), len(task.sealed_seeds)) == (count - sealed, sealed)


def test_the_split_depends_on_the_seeds_and_not_on_their_order() -> None:
    raw = minimal(60)
    first = parsed(raw)
    random.Random(1).shuffle(raw["seeds"])
    again = parsed(raw)
    assert {seed.id for seed in first.sealed_seeds} == {seed.id for seed in again.sealed_seeds}


def test_a_split_keeps_every_seed_once_and_in_order() -> None:
    raw = minimal(60)
    task = parsed(raw)
    order = [seed["topic"] for seed in raw["seeds"]]
    for side in (task.search_seeds, task.sealed_seeds):
        found = [order.index(seed.values["topic"]) for seed in side]
        assert found == sorted(found)
    assert sorted(s.values["topic"] for s in (*task.search_seeds, *task.sealed_seeds)) == sorted(order)


def test_a_seed_that_an_example_shows_is_never_sealed() -> None:
    plain = parsed(minimal(30))
    shown = [dict(seed.values) for seed in plain.sealed_seeds]
    examples = [{"seed": seed, "output": {"line": "x"}} for seed in shown]
    task = parsed(minimal(30, good_examples=examples[:5], bad_examples=examples[5:]))
    assert not {seed.id for seed in task.sealed_seeds} & {seed.id for seed in plain.sealed_seeds}
    assert len(task.sealed_seeds) == 10


def test_examples_may_show_seeds_of_their_own() -> None:
    task = parsed(minimal(12, good_examples=[{"seed": {"topic": "elsewhere"}, "output": {"line": "x"}}]))
    assert task.good_examples[0].seed == {"topic": "elsewhere"}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_text_in_any_script_survives(mark: bytes) -> None:
    raw = minimal(12, title="Zażółć 🦊 日本語 مرحبا", must_nevers=['{braces}, $dollars, \\ and "quotes"\n'])
    task = parse_task(mark + json.dumps(raw, ensure_ascii=False).encode(), "mine.json")
    assert task.title == raw["title"]
    assert task.must_nevers == tuple(raw["must_nevers"])


def test_a_task_written_and_read_again_is_equal() -> None:
    raw = minimal(12, title="A {title} \U0001f98a", expert_workflow="async def generate(seed):\n    return {}\n")
    turns = [{"speaker": "Tutor", "text": "Why?"}, {"speaker": "Student", "text": "\u2028 Because.\n"}]
    raw["output_fields"].append({"name": "dialogue", "description": "a talk", "kind": "turns"})
    raw["bad_examples"] = [{"seed": raw["seeds"][0], "output": {"line": " x ", "dialogue": turns}, "why": "flat"}]
    task = parsed(raw)
    assert parse_task(dump_task(task).encode(), "again.json") == task
    assert dump_task(parse_task(dump_task(task).encode(), "again.json")) == dump_task(task)


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(minimal(12)), encoding="utf-8")
    assert load_task(path) == load_task(str(path)) == parsed(minimal(12))


def test_seeds_of_a_task_keep_their_ids() -> None:
    task = parsed(minimal(12))
    assert all(seed.id == SeedInput(dict(seed.values)).id for seed in task.search_seeds)


def test_the_published_schema_is_the_one_in_force() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()


def test_every_setting_of_the_schema_is_documented() -> None:
    page = (SCHEMA.parents[2] / "docs" / "task-files.md").read_text(encoding="utf-8")
    undocumented = [name for name in json_schema()["properties"] if f"`{name}`" not in page]
    assert undocumented == []


def test_the_example_in_the_documentation_is_a_task() -> None:
    page = (SCHEMA.parents[2] / "docs" / "task-files.md").read_text(encoding="utf-8")
    sample = page.split("```json\n", 1)[1].split("```", 1)[0]
    assert parse_task(sample.encode(), "task-files.md").title


def test_the_public_surface_is_deliberate() -> None:
    assert taskfile.__all__ == ["ExampleTask", "dump_task", "examples", "json_schema", "load_task", "parse_task"]
