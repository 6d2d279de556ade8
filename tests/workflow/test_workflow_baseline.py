from __future__ import annotations

import ast

import pytest
from workflow_cases import make_task

from autosynth_core.records import FieldKind, OutputField, SeedInput, Task
from autosynth_core.workflow import Sandbox, contract_text, export_script, plain_workflow, preflight
from autosynth_core.workflow.baseline import prompt_literal

NASTY = '{x} {{y}} {0} { """ \'\'\' \\ \\n \\" \r\n\t %s $key ${key} é 漢字 \U0001f600 \u2028 \x00 \ud800 """"'


def _seeds(*names: str) -> tuple[SeedInput, ...]:
    return tuple(SeedInput(dict.fromkeys(names, f"value {number}")) for number in range(2))


TASKS = {
    "plain": make_task(),
    "two fields": make_task(OutputField("question", "a question"), OutputField("answer", "its answer")),
    "dialogue": make_task(OutputField("dialogue", "a talk", FieldKind.TURNS)),
    "dialogue and text": make_task(OutputField("t", "{a}"), OutputField("d", "\\", FieldKind.TURNS)),
    "nasty words": make_task(
        OutputField("text", NASTY),
        title=NASTY,
        description=NASTY,
        audience=NASTY,
        must_nevers=(NASTY, "a"),
        language=NASTY,
    ),
    "nasty words in many fields": make_task(
        OutputField("a", NASTY), OutputField("b", NASTY, FieldKind.TURNS), description=NASTY, must_nevers=(NASTY,)
    ),
    "no words at all": make_task(OutputField("text", ""), title="", description="", audience="", must_nevers=()),
    "endless words": make_task(
        title="漢" * 50_000, description="{" * 50_000, audience="\\" * 50_000, must_nevers=("\U0001f600" * 5000,) * 90
    ),
    "fields that are no names": make_task(
        OutputField("the text: true, {x}", ""),
        search_seeds=_seeds("class", "grade level", "grade_level", "1st", "self", "ü"),
    ),
    "fields that collide with names": make_task(search_seeds=_seeds("seed", "llm", "PROMPT", "prompt", "generate")),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
async def test_first_workflow_passes_for_any_task(task: Task, sandbox: Sandbox) -> None:
    result = await preflight(plain_workflow(task), task, sandbox)
    assert (result.gate, result.reason) == (None, "")


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_any_task_can_be_told_and_exported(task: Task) -> None:
    assert all(field.name in contract_text(task) for field in task.output_fields)
    ast.parse(export_script(plain_workflow(task), task))


@pytest.mark.parametrize("text", ["", '"', '""', '"""', 'a"', "\\", '\\"', "a\rb", "\n", "'\"'", "{}"])
def test_literal_reads_back_as_its_text(text: str) -> None:
    assert ast.literal_eval(prompt_literal(text)) == text


def test_prompt_stays_readable() -> None:
    lines = plain_workflow(make_task()).splitlines()
    assert "concept: {concept}" in lines
    assert "- a wrong fact" in lines
