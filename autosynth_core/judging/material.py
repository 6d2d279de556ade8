"""How tasks, samples and metrics are laid out for a judge: readable and bounded.

Owns the text forms. Leaves making them data to ``prompts.data_block`` and the wording around them to the prompts. All
text here comes from people, models or files, so everything is hostile until it stands in a block.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from autosynth_core.records import Example, FieldKind, Metric, OutputField, Task

__all__ = [
    "clean_line",
    "describe_example",
    "describe_metric",
    "describe_seed",
    "describe_task",
    "render_output",
    "shorten",
]

_EMPHASIS = re.compile(r"(?<!\w)_+|_+(?!\w)")
_MARKUP = str.maketrans({"<": "‹", ">": "›", **dict.fromkeys("*`#~|[]{}\\", " ")})


def clean_line(text: str, limit: int) -> str:
    """One line of plain words from a model's text: no markup, no control characters, at most ``limit`` characters."""
    plain = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} else c for c in text[: 8 * limit])
    return shorten(" ".join(_EMPHASIS.sub(" ", plain.translate(_MARKUP)).split()), limit)


def shorten(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters, cut between words where there is a gap, the cut marked with "…"."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    whole_words = cut.rsplit(None, 1)[0]
    return (whole_words if len(whole_words) > limit // 2 else cut).rstrip() + "…"


def render_output(task: Task, output: Mapping[str, Any]) -> str:
    """An output as text: each of the task's fields under a heading, a dialogue's turns as ``Tutor: ...``.

    Never raises: a field that is missing or of another kind is shown as it is, since people and judges read this.
    """
    return "\n\n".join(
        f"{_heading(field.name)}:\n{_render_field(field, output.get(field.name))}" for field in task.output_fields
    )


def describe_seed(values: Mapping[str, str]) -> str:
    """A seed input as ``Field: value`` lines, by name."""
    return "\n".join(f"{_heading(name)}: {values[name]}" for name in sorted(values))


def describe_task(task: Task, *, limit: int | None = None) -> str:
    """What the task asks for, its audience and what must never happen; each part within ``limit`` characters."""

    def part(text: str) -> str:
        return text if limit is None else shorten(text, limit)

    lines = [f"Title: {part(task.title)}", part(task.description), f"Audience: {part(task.audience)}"]
    lines += [f"Language: {task.language}", "Output:"]
    lines += [f"- {_heading(field.name)}: {part(field.description)}" for field in task.output_fields]
    if task.must_nevers:
        lines += ["Must never happen:", *(f"- {part(rule)}" for rule in task.must_nevers)]
    return "\n".join(lines)


def describe_example(task: Task, example: Example, *, limit: int) -> str:
    """An example's input, output (at most ``limit`` characters) and why it is good or bad (a third each)."""
    seed, output = describe_seed(example.seed), render_output(task, example.output)
    why = f"\n\nWhy: {shorten(example.why, limit // 3)}" if example.why else ""
    return f"{shorten(seed, limit // 3)}\n\n{shorten(output, limit)}{why}"


def describe_metric(metric: Metric) -> str:
    """A metric as its judge reads it: what it asks, and what the two ends of the scale look like."""
    return f"{metric.name}: {metric.description}\n1 means: {metric.low}\n5 means: {metric.high}"


def _heading(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _render_field(field: OutputField, value: object) -> str:
    if value is None:
        return "(missing)"
    if field.kind is FieldKind.TURNS and isinstance(value, list | tuple):
        return "\n".join(_render_turns(value))
    return str(value)


def _render_turns(turns: Iterable[object]) -> Iterable[str]:
    """A line a turn. Further lines of a turn are indented, so that none can pass for the other speaker's."""
    for turn in turns:
        if isinstance(turn, Mapping):
            speaker = _heading(" ".join(str(turn.get("speaker", "")).split())) or "Somebody"
            yield f"{speaker}: " + "\n  ".join(str(turn.get("text", "")).splitlines())
        else:
            yield str(turn)
