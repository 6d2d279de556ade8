"""What the Describe form holds: a task as a person types it, also before it is complete.

Owns reading pasted tables, headings into field names, dialogues typed as lines, and what is still missing, in one
sentence. Leaves the limits of a usable task to ``taskfile`` and keeping it to the store. Pure.
"""

from __future__ import annotations

import csv
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any, NamedTuple

from autosynth_core.errors import InputError, TaskFileError
from autosynth_core.records import FieldKind, OutputField, SeedInput, Task
from autosynth_core.taskfile import dump_task, parse_task

__all__ = [
    "Table",
    "blank_task",
    "example_output",
    "identifier",
    "incomplete",
    "missing",
    "pasted_table",
    "turns_from_text",
    "turns_to_text",
    "with_outputs",
    "with_seeds",
]

ENOUGH_INPUTS = 8  # four for the search and four kept aside
_SEALED_EVERY = 3
_MAX_PASTE = 2_000_000  # characters
_SPEAKER = re.compile(r"\s*([^:\n]{1,60}?)\s*:\s*(.*)", re.DOTALL)


class Table(NamedTuple):
    """A pasted table: field names from its headings, and its rows, each with a value for every field."""

    fields: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def blank_task(title: str) -> Task:
    """A new task with nothing but its title and one text to write."""
    return Task(
        title=title.strip(),
        description="",
        audience="",
        output_fields=(OutputField("text", "The whole text."),),
        must_nevers=(),
        good_examples=(),
        bad_examples=(),
        search_seeds=(),
        sealed_seeds=(),
    )


def identifier(heading: str, position: int = 1) -> str:
    """A heading as a field name of letters, digits and underscores (``Student belief`` -> ``student_belief``)."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:40].strip("_")
    if not name:
        return f"column_{position}"
    if keyword.iskeyword(name):
        return f"{name}_"
    return name if name[0].isalpha() else f"column_{name}"[:40]


def pasted_table(text: str) -> Table:
    """A table from pasted lines: first the headings, then a line an input; tabs or commas between columns.

    Raises InputError with the line that can't be used.
    """
    if len(text) > _MAX_PASTE:
        raise InputError("That is too much to paste at once; use a task file on the Projects page instead.")
    lines = [line for line in text.replace("\0", "").splitlines() if line.strip()]
    if len(lines) < 2:
        raise InputError("Paste a line with the headings first, such as: concept, grade. Then one line for each input.")
    delimiter = "\t" if "\t" in lines[0] else ","
    try:
        heads, *rows = csv.reader(StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise InputError("The lines can't be read as a table; paste them straight from a spreadsheet.") from error
    names = [identifier(head, at) for at, head in enumerate(heads, 1)]
    if len(set(names)) < len(names):
        raise InputError("Two headings are the same; give every column a heading of its own.")
    return Table(tuple(names), tuple(_row(names, row, at) for at, row in enumerate(rows, 2)))


def _row(names: Sequence[str], values: Sequence[str], line: int) -> dict[str, str]:
    trimmed = [value.strip() for value in values]
    while len(trimmed) > len(names) and not trimmed[-1]:
        trimmed.pop()
    if len(trimmed) != len(names):
        need = "1 value" if len(names) == 1 else f"{len(names)} values"
        raise InputError(
            f"Line {line} has {len(trimmed)} where the headings ask for {need}; "
            'put quotes (") around a value with commas.'
        )
    if not all(trimmed):
        raise InputError(f"Line {line} has an empty value; fill it in or remove the line.")
    return dict(zip(names, trimmed, strict=True))


def with_seeds(task: Task, rows: Iterable[Mapping[str, str]]) -> Task:
    """The task with these inputs instead of its own, a third of them kept aside; empty and repeated rows are dropped.

    What was kept aside stays aside, so that an edit never shows the search what its winner will be measured on. An
    input is kept aside by its own hash; one that an example shows never is. With fewer than eight inputs nothing is
    kept aside yet: the task can't be started either.
    """
    given = (SeedInput(dict(row)) for row in rows if any(value.strip() for value in row.values()))
    seeds = list({seed.id: seed for seed in given}.values())
    if len(seeds) < ENOUGH_INPUTS:
        return replace(task, search_seeds=tuple(seeds), sealed_seeds=())
    before_sealed = {seed.id for seed in task.sealed_seeds}
    before_searched = {seed.id for seed in task.search_seeds} if before_sealed else set()
    shown = {SeedInput(example.seed).id for example in (*task.good_examples, *task.bad_examples)}
    free = sorted(seed.id for seed in seeds if seed.id not in shown | before_sealed | before_searched)
    aside = before_sealed & {seed.id for seed in seeds} - shown
    wanted = max(ENOUGH_INPUTS // 2, len(seeds) // _SEALED_EVERY)
    aside |= set(free[: max(0, wanted - len(aside))])
    if len(aside) < ENOUGH_INPUTS // 2 or len(seeds) - len(aside) < ENOUGH_INPUTS // 2:
        every = sorted(seed.id for seed in seeds if seed.id not in shown)
        aside = set(every[:wanted])
    return replace(
        task,
        search_seeds=tuple(seed for seed in seeds if seed.id not in aside),
        sealed_seeds=tuple(seed for seed in seeds if seed.id in aside),
    )


def with_outputs(task: Task, rows: Iterable[tuple[str, str, FieldKind]]) -> Task:
    """The task with these fields to write (heading, description, kind). Rows without a heading are dropped.

    A heading that is a field's name already stays as it is, or looking at a table would rename what is in it.
    """
    known = {field.name for field in task.output_fields}
    fields = [
        OutputField(
            heading if heading in known else identifier(heading, at),
            description.strip() or f"The {heading.strip()}.",
            kind,
        )
        for at, (heading, description, kind) in enumerate(rows, 1)
        if heading.strip()
    ]
    return replace(task, output_fields=tuple(fields))


# --- what people type for an output -----------------------------------------------------------------------------------


def turns_from_text(text: str) -> list[dict[str, str]]:
    """A dialogue typed as lines, ``Tutor: What do you see?``; a line without a speaker goes on with the turn above.

    Raises InputError when the first line names no speaker.
    """
    turns: list[dict[str, str]] = []
    for line in filter(str.strip, text.splitlines()):
        match = _SPEAKER.fullmatch(line)
        if match and match[2].strip():
            turns.append({"speaker": match[1], "text": match[2].strip()})
        elif turns:
            turns[-1]["text"] += "\n" + line.strip()
        else:
            raise InputError("Begin each turn with who speaks and a colon, such as: Tutor: What do you see?")
    return turns


def turns_to_text(turns: object) -> str:
    """The turns as ``turns_from_text`` reads them; text that is no list of turns as it is."""
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        return str(turns)
    return "\n".join(
        f"{turn.get('speaker', '')}: {turn.get('text', '')}" for turn in turns if isinstance(turn, Mapping)
    )


def example_output(fields: Sequence[OutputField], typed: Mapping[str, str]) -> dict[str, Any]:
    """An output from what was typed for each field. Raises InputError for an empty or unreadable field."""
    output: dict[str, Any] = {}
    for field in fields:
        text = typed.get(field.name, "").strip()
        if not text:
            raise InputError("Fill in every part of the example, then add it.")
        output[field.name] = turns_from_text(text) if field.kind is FieldKind.TURNS else text
        if field.kind is FieldKind.TURNS and len(output[field.name]) < 2:
            raise InputError("A dialogue needs two turns or more, each on a line of its own: Tutor: ... / Student: ...")
    return output


# --- is it complete? -------------------------------------------------------------------------------------------------


def missing(task: Task) -> str | None:
    """What keeps the task from being used, in one sentence; None when nothing does."""
    return incomplete(task) or _refusal(task)


def incomplete(task: Task) -> str | None:
    """The part of ``missing`` that is quick to tell also for many thousands of inputs."""
    seeds = (*task.search_seeds, *task.sealed_seeds)
    needed = [name for name, value in _needed(task) if not value]
    if len(seeds) < ENOUGH_INPUTS:
        more = "" if not seeds else f"{ENOUGH_INPUTS - len(seeds)} more of "
        needed.append(f"{more}at least {ENOUGH_INPUTS} inputs to write from")
    if needed:
        return f"Still needed: {', '.join(needed)}."
    if any(not value for seed in seeds for value in seed.values.values()):
        return "Some inputs have an empty cell; fill it in or delete the row."
    fields = set(task.seed_fields)
    if any(set(example.seed) != fields for example in (*task.good_examples, *task.bad_examples)):
        return "An example no longer fits the columns of the inputs; remove it and add it again."
    outputs = {field.name for field in task.output_fields}
    if any(set(example.output) != outputs for example in (*task.good_examples, *task.bad_examples)):
        return "An example no longer fits what is to be written; remove it and add it again."
    return None


def _needed(task: Task) -> Iterable[tuple[str, object]]:
    return (
        ("a title", task.title.strip()),
        ("a description", task.description.strip()),
        ("who it is for", task.audience.strip()),
        ("the language", task.language.strip()),
        ("what is to be written", task.output_fields),
    )


def _refusal(task: Task) -> str | None:
    """What the task file's own rules say, which hold for every way into a run."""
    try:
        parse_task(dump_task(task).encode("utf-8", "replace"), "This task")
    except TaskFileError as error:
        return str(error)
    return None
