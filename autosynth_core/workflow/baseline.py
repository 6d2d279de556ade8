"""The plainest workflow for a task: one prompt made of the task's own words.

It is where a search starts when nothing better is there, and what everything is compared with. Its text is composed,
not generated, so it passes preflight whatever a task says.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Iterable, Mapping
from pprint import pformat
from typing import Any

from autosynth_core.records import FieldKind, OutputField, Task
from autosynth_core.workflow.output import clean
from autosynth_core.workflow.syntax import MAX_BYTES, size

_LENGTHS = (6_000, 2_000, 500, 100, 16)  # characters kept of each of the task's texts; the first that fits is taken
_MOST_RULES = 40
_UNCOUNTED_BYTES = 4_000
_MOST_NESTING = 150  # Monty's parser gives up at 200
_PREFIX = re.compile(r"(?<![\w)\]}])\s*[-+*~]")
_MAX_TOKENS = 2048


def plain_workflow(task: Task) -> str:
    """A workflow of one prompt and one call: ``llm`` for a single text, ``llm_json`` for anything else."""
    sources = (_workflow(task, longest) for longest in _LENGTHS)
    return next(filter(_fits, sources), _workflow(task, _LENGTHS[-1]))


def _workflow(task: Task, longest: int) -> str:
    names = _placeholders(task.seed_fields)
    filled = ", ".join(f"{name}=seed[{_quoted(field)}]" for field, name in names.items())
    body = (_text_body if _is_one_text(task) else _json_body)(task, filled)
    return f"PROMPT = {prompt_literal(_prompt(task, names, longest))}\n\n{body}"


def _fits(source: str) -> bool:
    return size(source) <= MAX_BYTES and (size(source) <= _UNCOUNTED_BYTES or _nesting(source) <= _MOST_NESTING)


def _nesting(source: str) -> int:
    """About how deeply nested Monty's parser takes a text to be.

    Above 4 kB it counts, in prompts too, brackets that are not closed, and the dashes, stars and the like that don't
    follow a word; a comma starts the latter count anew.
    """
    unclosed = sum(map(source.count, "([{")) - sum(map(source.count, ")]}"))
    return max(unclosed, 0) + max(len(_PREFIX.findall(part)) for part in source.split(","))


def prompt_literal(text: str) -> str:
    """``text`` as a readable triple-quoted literal of Python, equal to it once read."""
    text = clean(text)
    escaped = text.replace("\\", "\\\\").replace("\r", "\\r")
    escaped = re.sub(r'"{3,}|"+\Z', lambda quotes: '\\"' * len(quotes[0]), escaped)
    literal = f'"""{escaped}"""'
    return literal if ast.literal_eval(literal) == text else repr(text)


def _prompt(task: Task, names: Mapping[str, str], longest: int) -> str:
    """The prompt as a ``.format`` template: the task's words with their braces doubled, and a line a seed field."""
    parts = [
        _template(task.title, longest),
        _template(task.description, longest),
        f"Audience: {_template(task.audience, longest)}" if task.audience.strip() else "",
        "\n".join(f"{_template(field, longest)}: {{{name}}}" for field, name in names.items()),
        _wanted(task, longest),
        _rules(task.must_nevers[:_MOST_RULES], longest),
        f"Language of the answer: {_template(task.language, longest)}",
    ]
    return "\n\n".join(part for part in parts if part.strip())


def _wanted(task: Task, longest: int) -> str:
    if _is_one_text(task):
        description = task.output_fields[0].description or task.output_fields[0].name
        return f"Write: {_template(description, longest)}\nAnswer with that text alone, without a heading or remarks."
    lines = [
        f"- {_template(field.name, longest)}: {_template(field.description, longest)}" for field in task.output_fields
    ]
    return "Write, as a JSON object:\n" + "\n".join(lines)


def _rules(rules: Iterable[str], longest: int) -> str:
    lines = [f"- {_template(rule, longest)}" for rule in rules]
    return "\n".join(["It must never happen:", *lines]) if lines else ""


def _text_body(task: Task, filled: str) -> str:
    field = _quoted(task.output_fields[0].name)
    return (
        "async def generate(seed: dict[str, str]) -> dict:\n"
        f"    answer = await llm(PROMPT.format({filled}))\n"
        f"    return {{{field}: answer}}\n"
    )


def _json_body(task: Task, filled: str) -> str:
    fields = ", ".join(f"{_quoted(field.name)}: answer[{_quoted(field.name)}]" for field in task.output_fields)
    return (
        f"SCHEMA = {_python(output_schema(task))}\n\n"
        "async def generate(seed: dict[str, str]) -> dict:\n"
        f"    answer = await llm_json(PROMPT.format({filled}), schema=SCHEMA, max_tokens={_MAX_TOKENS})\n"
        f"    return {{{fields}}}\n"
    )


def output_schema(task: Task) -> dict[str, Any]:
    """The JSON Schema of the task's output. Strings are bounded, or small models go on for ever."""
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in task.output_fields},
        "required": [field.name for field in task.output_fields],
        "additionalProperties": False,
    }


def _field_schema(field: OutputField) -> dict[str, Any]:
    if field.kind is FieldKind.TEXT:
        return {"type": "string", "minLength": 1}
    turn = {
        "type": "object",
        "properties": {
            "speaker": {"type": "string", "minLength": 1, "maxLength": 60},
            "text": {"type": "string", "minLength": 1},
        },
        "required": ["speaker", "text"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": turn, "minItems": 2, "maxItems": 20}


def _is_one_text(task: Task) -> bool:
    return len(task.output_fields) == 1 and task.output_fields[0].kind is FieldKind.TEXT


def _placeholders(fields: Iterable[str]) -> dict[str, str]:
    """A placeholder for each seed field: its own name where that can stand in ``.format(name=...)``."""
    names: dict[str, str] = {}
    for field in fields:
        name = re.sub(r"\W", "_", field, flags=re.ASCII)
        if not name.isidentifier() or keyword.iskeyword(name) or name == "self":
            name = f"field_{name}"
        while name in names.values():
            name += "_"
        names[field] = name
    return names


def _template(text: str, longest: int) -> str:
    """The task's own words, cut to a length, with braces that ``.format`` leaves alone."""
    text = clean(text).strip()
    short = text if len(text) <= longest else text[:longest].rstrip() + " ..."
    return short.replace("{", "{{").replace("}", "}}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text.isidentifier() else repr(text)


def _python(value: object) -> str:
    """A readable literal of Python."""
    return pformat(value, width=100, sort_dicts=False)
