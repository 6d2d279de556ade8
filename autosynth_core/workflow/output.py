"""Whether what ``generate`` returned is a sample of the task.

Owns the shape of an output and its cleaning. Values arrive from the sandbox as parsed JSON; nothing of them is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from autosynth_core.config import SampleLimits
from autosynth_core.records import FieldKind, OutputField, Task

MIN_TURNS = 2  # fewer is no dialogue


class Output(NamedTuple):
    """A checked output, or None and why there is none."""

    output: dict[str, Any] | None
    reason: str = ""


def check_output(task: Task, value: object, limits: SampleLimits) -> Output:
    """``value`` as the task's output fields, in the task's order, every string valid Unicode.

    Exactly the task's fields are asked for: a missing one is a failure, and so is one too many, because it means that
    the workflow works to another contract than the one that its samples are judged by.
    """
    names = [field.name for field in task.output_fields]
    if not isinstance(value, Mapping):
        return Output(None, f"generate returned {_kind(value)}; return a dict with {_listed(names)}")
    missing = [name for name in names if name not in value]
    if missing:
        return Output(None, f"generate's result lacks {_listed(missing)}; return a dict with {_listed(names)}")
    extra = sorted(str(key)[:60] for key in value if key not in names)
    if extra:
        return Output(
            None, f"generate's result has {_listed(extra[:5])} besides; return {_listed(names)} and nothing else"
        )
    output: dict[str, Any] = {}
    for field in task.output_fields:
        content, reason = _check_field(field, value[field.name])
        if reason:
            return Output(None, reason)
        output[field.name] = content
    size = _chars(output)
    if size > limits.output_chars:
        return Output(None, f"generate's result has {size} characters; at most {limits.output_chars} are allowed")
    return Output(output)


def clean(text: str) -> str:
    """``text`` with half characters (lone surrogates) and null characters replaced, as databases and models need it."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\x00", "\ufffd")


def _check_field(field: OutputField, value: object) -> tuple[Any, str]:
    if field.kind is FieldKind.TURNS:
        return _check_turns(field.name, value)
    if not isinstance(value, str):
        return None, f"the field {field.name!r} is {_kind(value)}; it must be a string"
    if not value.strip():
        return None, f"the field {field.name!r} is empty; it must hold text"
    return clean(value), ""


def _check_turns(name: str, value: object) -> tuple[Any, str]:
    wanted = 'a list of {"speaker": str, "text": str}'
    if not isinstance(value, list):
        return None, f"the field {name!r} is {_kind(value)}; it must be {wanted}"
    if len(value) < MIN_TURNS:
        return None, f"the field {name!r} has {len(value)} turns; a dialogue has at least {MIN_TURNS}"
    turns = []
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, Mapping) or set(turn) != {"speaker", "text"}:
            return None, f"turn {number} of {name!r} is not of the form {wanted}"
        speaker, text = turn["speaker"], turn["text"]
        if not (isinstance(speaker, str) and isinstance(text, str) and speaker.strip() and text.strip()):
            return None, f"turn {number} of {name!r} has an empty speaker or text, or one that is no string"
        turns.append({"speaker": clean(speaker), "text": clean(text)})
    return turns, ""


def _chars(output: Mapping[str, Any]) -> int:
    total = 0
    for value in output.values():
        parts = [value] if isinstance(value, str) else [text for turn in value for text in turn.values()]
        total += sum(map(len, parts))
    return total


def _kind(value: object) -> str:
    names = {dict: "a dict", list: "a list", str: "a string", int: "a number", float: "a number", bool: "a bool"}
    return "None" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
