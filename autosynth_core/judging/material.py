"""How tasks, samples and metrics are laid out for a judge: readable, bounded, and as data.

Owns the text forms and the defusing of what could pass for the end of a data block. Leaves the delimiters themselves
to ``prompts.data_block`` and the wording around them to the prompts. All text here comes from people, models or files,
so everything is hostile until it stands in a block.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from autosynth_core.prompts import data_block
from autosynth_core.records import Example, FieldKind, Metric, OutputField, Task

__all__ = [
    "clean_line",
    "describe_example",
    "describe_metric",
    "describe_seed",
    "describe_task",
    "material",
    "render_output",
    "shorten",
]

# Characters without a shape, with which a delimiter can be written so that a filter misses it and a model reads it.
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_UNSEEN_RUN = re.compile(f"[{_INVISIBLE}]{{3,}}")  # one or two join emoji and scripts; more only hide something
_TAG_CHARACTERS = re.compile("[\U000e0000-\U000e007f]")  # an invisible copy of ASCII; nobody writes it by hand
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_DATA = f"[{_INVISIBLE}]*".join(("[dԁ]", "[aаɑα]", "[tтτ]", "[aаɑα]"))  # Latin, and other scripts' look-alikes
_LOOKALIKE = re.compile(r"[<〈⟨❬❮≺˂](?=[\W_]{0,16}" + _DATA + ")", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<!\w)_+|_+(?!\w)")
_MARKUP = str.maketrans({"<": "‹", ">": "›", **dict.fromkeys("*`#~|[]{}\\", " ")})


def material(label: str, text: str) -> str:
    """``text`` as a data block named ``label`` (a fixed word of ours) that it can't close.

    Control and tag characters go, and so does every look-alike of a data tag: full-width or other angle brackets,
    letters of other scripts, invisible characters in between. Anything else stays as it was written.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = _UNSEEN_RUN.sub("", _TAG_CHARACTERS.sub("", _CONTROL.sub("", unified)))
    characters = list(visible)
    for match in _LOOKALIKE.finditer(_folded(visible)):
        characters[match.start()] = "‹"
    return data_block(label, "".join(characters))


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


def _folded(text: str) -> str:
    """``text`` with full-width, bold and similar forms as plain letters, of the same length: places stay places."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else unicodedata.normalize("NFKC", c)[0] for c in text)


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
