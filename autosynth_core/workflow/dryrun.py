"""Running a workflow against a stub model, to see what it does with its input and its answers.

Owns the stub and what is looked for: that real seed inputs go through, whatever an answer begins with; that every seed
field reaches a prompt; that no placeholder stays unfilled; that the result has the task's form.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autosynth_core.config import SampleLimits
from autosynth_core.records import SampleState, SeedInput, Task
from autosynth_core.workflow.output import check_output
from autosynth_core.workflow.sandbox import Job, Outcome, Sandbox
from autosynth_core.workflow.static import placeholders

ANSWERS = {
    "plain": "Answer {number} of a stub model, with {{braces}} and \\ in it. It has a second sentence.",
    "yes": "YES\nAnswer {number} of a stub model. 1. {{braces}}",
    "no": "No. Answer {number} of a stub model says so: 3/5, {{braces}}.",
}
"""What the stub says. Braces, because answers have them and must not be taken for placeholders."""

_MARKER = "zq{index}vx marker"
_SCHEMA_DEPTH = 12


@dataclass(slots=True)
class StubHost:
    """A model that is nobody: answers at once, and remembers what it was asked."""

    style: str = "plain"
    texts: list[str] = field(default_factory=list)
    calls: int = 0

    async def llm(self, prompt: str, *, system: str | None, temperature: float, max_tokens: int) -> str:
        return self._answer([prompt, system or ""])

    async def llm_json(
        self, prompt: str, *, schema: dict[str, Any], system: str | None, temperature: float, max_tokens: int
    ) -> dict[str, Any]:
        text = self._answer([prompt, system or ""])
        filled = fill_schema(schema, text, yes=self.style != "no")
        return filled if isinstance(filled, dict) else {}

    async def chat(self, messages: list[dict[str, str]], *, temperature: float, max_tokens: int) -> str:
        return self._answer([message["content"] for message in messages])

    def _answer(self, texts: Sequence[str]) -> str:
        self.texts += texts
        self.calls += 1
        return ANSWERS[self.style].format(number=self.calls)


async def dry_run(source: str, task: Task, sandbox: Sandbox, limits: SampleLimits) -> str:
    """The first thing wrong with how the workflow runs, as one sentence; "" when nothing is."""
    seed = task.search_seeds[0]
    hosts: dict[str, StubHost] = {}
    for style in ANSWERS:
        hosts[style] = StubHost(style)
        outcome = await _run(source, sandbox, limits, seed, hosts[style])
        if reason := _wrong(task, outcome, hosts[style], limits):
            return reason
    if reason := _unfilled(source, task, [text for host in hosts.values() for text in host.texts]):
        return reason
    return await _ignored_input(source, task, sandbox, limits, hosts)


async def _run(source: str, sandbox: Sandbox, limits: SampleLimits, seed: SeedInput, host: StubHost) -> Outcome:
    outcomes: list[Outcome] = []
    await sandbox.run(source, [Job(seed, host)], limits, lambda _, outcome: outcomes.append(outcome))
    return outcomes[0]


def _wrong(task: Task, outcome: Outcome, host: StubHost, limits: SampleLimits) -> str:
    if outcome.state is not SampleState.OK:
        return outcome.reason + _answered(host)
    if not host.calls:
        return "generate calls no model; get the content from llm, llm_json or chat"
    reason = check_output(task, outcome.value, limits).reason
    return reason and reason + _answered(host)


def _answered(host: StubHost) -> str:
    """What the stub had said, where the failure may hang on it."""
    said = ANSWERS[host.style].format(number=1)
    return f" (the model had answered {said!r}, as a model may)" if host.calls else ""


def _unfilled(source: str, task: Task, texts: Sequence[str]) -> str:
    """A placeholder of one of the program's strings that reached a prompt as it was."""
    words = [*task.search_seeds[0].values.values(), *(output.name for output in task.output_fields)]
    given = "\n".join(words)  # which may hold such braces themselves
    for name in _template_names(source):
        if f"{{{name}}}" not in given and any(re.search(r"(?<!\{)\{" + name + r"\}(?!\})", text) for text in texts):
            return f"the placeholder {{{name}}} reached the model unfilled; fill that prompt with .format({name}=...)"
    return ""


def _template_names(source: str) -> list[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                names |= {name for name in placeholders(node.value) if name.isidentifier()}
            except ValueError:
                continue  # no template: braces of another kind
    return sorted(names)


async def _ignored_input(
    source: str, task: Task, sandbox: Sandbox, limits: SampleLimits, hosts: Mapping[str, StubHost]
) -> str:
    """A seed field that no prompt depends on.

    First all fields at once are replaced by markers that can be looked for. A program may read a field without
    quoting it (a grade that picks a prompt), so a marker that is not found is no proof: then that field alone is
    given another value, and the prompts must change.
    """
    markers = {name: _MARKER.format(index=index) for index, name in enumerate(task.seed_fields)}
    marked = StubHost()
    await _run(source, sandbox, limits, SeedInput(markers), marked)
    seen = "\n".join(marked.texts).lower()
    for name in task.seed_fields:
        if markers[name] not in seen and not await _matters(source, task, sandbox, limits, name, hosts):
            return f'seed["{name}"] reaches no prompt; put it into the prompts with .format'
    return ""


async def _matters(
    source: str, task: Task, sandbox: Sandbox, limits: SampleLimits, name: str, hosts: Mapping[str, StubHost]
) -> bool:
    """Whether another value of the field changes what any model is asked."""
    base = task.search_seeds[0].values
    others = dict.fromkeys(seed.values[name] for seed in task.search_seeds if seed.values[name] != base[name])
    for other in [*others, f"{base[name]} and more"][:4]:
        host = StubHost()
        await _run(source, sandbox, limits, SeedInput({**base, name: other}), host)
        if host.calls and host.texts != hosts["plain"].texts:
            return True
    return False


def fill_schema(schema: object, text: str, *, yes: bool = True, root: object = None, depth: int = 0) -> object:
    """A value that fits a JSON Schema, with ``text`` for its strings. What it does not know it answers with text."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _SCHEMA_DEPTH:
        return text
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return fill_schema(schema[key][0], text, yes=yes, root=root, depth=depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0 if yes else -1]
    if isinstance(schema.get("$ref"), str):
        return fill_schema(_referred(schema["$ref"], root), text, yes=yes, root=root, depth=depth + 1)
    return _fill_type(schema, text, yes=yes, root=root, depth=depth)


def _fill_type(schema: Mapping[str, Any], text: str, *, yes: bool, root: object, depth: int) -> object:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object":
        properties = schema.get("properties")
        items = properties.items() if isinstance(properties, dict) else ()
        return {name: fill_schema(inner, text, yes=yes, root=root, depth=depth + 1) for name, inner in items}
    if kind == "array":
        count = min(max(_number(schema, "minItems", 2), 1), _number(schema, "maxItems", 20), 20)
        item = schema.get("items", {})
        return [fill_schema(item, f"{text} Item {n + 1}.", yes=yes, root=root, depth=depth + 1) for n in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, "minimum", 1) if yes else _number(schema, "maximum", _number(schema, "minimum", 0))
    if kind == "boolean":
        return yes
    if kind == "null":
        return None
    shortest, longest = _number(schema, "minLength", 0), _number(schema, "maxLength", 100_000)
    return (text * (1 + shortest // len(text)) if len(text) < shortest else text)[: max(longest, 1)]


def _number(schema: Mapping[str, Any], key: str, default: int) -> int:
    value = schema.get(key)
    return int(value) if isinstance(value, int | float) and abs(value) < 100_000 else default


def _referred(reference: str, root: object) -> object:
    """What a local reference such as ``#/$defs/name`` points to."""
    found = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found
