from __future__ import annotations

import importlib

import pydantic_monty
import pytest
from workflow_cases import generate_body, make_task

import autosynth_core.workflow as workflow
from autosynth_core.config import SampleLimits
from autosynth_core.records import FieldKind, OutputField, Task
from autosynth_core.workflow import ALLOWED_MODULES, HOST_FUNCTIONS, Sandbox, contract_text, preflight
from autosynth_core.workflow.dryrun import fill_schema
from autosynth_core.workflow.hostcall import read_call
from autosynth_core.workflow.reach import LENT


def test_public_surface_is_this() -> None:
    assert workflow.__all__ == [
        "ALLOWED_MODULES",
        "HOST_FUNCTIONS",
        "SCRIPT_MARK",
        "Host",
        "Job",
        "Outcome",
        "Output",
        "Sandbox",
        "check_output",
        "contract_text",
        "export_script",
        "fingerprint",
        "output_schema",
        "plain_workflow",
        "preflight",
        "why_not_exported",
    ]


def test_contract_tells_fields_functions_and_limits() -> None:
    text = contract_text(make_task(OutputField("talk", "a talk {x} $y", FieldKind.TURNS)))
    limits = SampleLimits()
    told = ['seed["concept"]', 'seed["grade"]', '"talk"', '"speaker"', "a talk {x} $y"]
    told += [f"async def {name}(" for name in HOST_FUNCTIONS]
    told += [f"At most {limits.host_calls} calls", f"{limits.tokens} answer tokens"]
    assert [part for part in told if part not in text] == []


MODULES = sorted(ALLOWED_MODULES - {"__future__"})


@pytest.mark.parametrize("module", MODULES)
async def test_whatever_is_lent_of_a_module_is_there(module: str, task: Task, sandbox: Sandbox) -> None:
    lent = ", ".join(f"lent.{name}" for name in sorted(LENT[module]))
    source = generate_body(
        f"import {module} as lent", "answer = await llm(prompt)", f'return {{"text": answer + str([{lent}])[:1]}}'
    )
    assert (await preflight(source, task, sandbox)).reason == ""


@pytest.mark.parametrize("module", [module for module in MODULES if module != "random"])  # a sample has its own
async def test_what_is_not_lent_of_a_module_is_not_there(module: str) -> None:
    others = [name for name in dir(importlib.import_module(module)) if name[0] != "_" and name not in LENT[module]]
    tried = "\n".join(
        f"try:\n    {module}.{name}\n    found.append('{name}')\nexcept AttributeError:\n    pass" for name in others
    )
    async with pydantic_monty.AsyncMonty(max_processes=1) as pool, pool.checkout(script_name="tried.py") as session:
        assert await session.feed_run(f"import {module}\nfound = []\n{tried}\nfound") == []


async def test_future_import_is_let_through(task: Task, sandbox: Sandbox) -> None:
    source = "from __future__ import annotations\n" + generate_body(
        "answer = await llm(prompt)", 'return {"text": answer}'
    )
    assert (await preflight(source, task, sandbox)).reason == ""


CALLS = {
    "deep arguments": ("llm", '{"prompt": ' + "[" * 100_000),
    "an empty chat": ("chat", '{"messages": [], "temperature": 1, "max_tokens": 5}'),
    "a foreign role": ("chat", '{"messages": [{"role": "tool", "content": "x"}], "temperature": 1, "max_tokens": 5}'),
    "a message with more": (
        "chat",
        '{"messages": [{"role": "user", "content": "x", "n": 1}], "temperature": 1, "max_tokens": 5}',
    ),
    "pictures": ("chat", '{"messages": [{"role": "user", "content": []}], "temperature": 1, "max_tokens": 5}'),
    "a role that is a list": (
        "chat",
        '{"messages": [{"role": [], "content": "x"}], "temperature": 1, "max_tokens": 5}',
    ),
    "an array schema": (
        "llm_json",
        '{"prompt": "x", "system": null, "schema": {"type": "array"}, "temperature": 1, "max_tokens": 5}',
    ),
    "no schema": ("llm_json", '{"prompt": "x", "system": null, "schema": {}, "temperature": 1, "max_tokens": 5}'),
    "true for a temperature": ("llm", '{"prompt": "x", "system": null, "temperature": true, "max_tokens": 5}'),
    "a fraction of a token": ("llm", '{"prompt": "x", "system": null, "temperature": 1, "max_tokens": 5.5}'),
    "no tokens": ("llm", '{"prompt": "x", "system": null, "temperature": 1, "max_tokens": 0}'),
    "too many tokens": ("llm", '{"prompt": "x", "system": null, "temperature": 1, "max_tokens": 8193}'),
    "infinite heat": ("llm", '{"prompt": "x", "system": null, "temperature": Infinity, "max_tokens": 5}'),
}


@pytest.mark.parametrize(("function", "arguments"), CALLS.values(), ids=CALLS)
def test_call_out_of_bounds_is_refused_in_words(function: str, arguments: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refusal:
        read_call(function, arguments)
    assert str(refusal.value).startswith(f"{function}: ")


SCHEMAS = {
    "recursive": {"$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"},
    "dangling": {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
    "absurd lengths": {"type": "object", "properties": {"a": {"type": "string", "minLength": 10**12, "maxLength": -4}}},
    "absurd counts": {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
    "wrong kinds": {"type": "object", "properties": [1], "required": 3, "enum": "x", "anyOf": {}},
    "nothing": True,
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_stub_answers_any_schema_within_bounds(schema: object) -> None:
    assert len(str(fill_schema(schema, "text"))) < 200_000


def test_stub_fills_what_the_schema_asks_for() -> None:
    schema = {
        "type": "object",
        "properties": {
            "choice": {"enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 3, "maximum": 5},
            "fine": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 3},
            "none": {"type": ["null", "string"]},
        },
    }
    assert fill_schema(schema, "some text") == {
        "choice": "a",
        "count": 3,
        "fine": True,
        "words": ["some"] * 3,
        "none": "some text",
    }
    assert fill_schema(schema, "some text", yes=False) == {
        "choice": "b",
        "count": 5,
        "fine": False,
        "words": ["some"] * 3,
        "none": "some text",
    }
