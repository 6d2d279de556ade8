"""A workflow as a script that runs without this program: plain Python and the ``openai`` package.

Owns the host code that such a script carries. There is no sandbox around an exported script: whoever runs it runs the
workflow as their own code.
"""

from __future__ import annotations

from importlib.resources import files

from autosynth_core.records import FieldKind, Task
from autosynth_core.workflow.output import clean
from autosynth_core.workflow.syntax import without_future

SCRIPT_MARK = "# A data generation workflow, written by AutoSynth Studio.\n"
"""What every script begins with, so that one can be told from another file."""

_HERE = "# <workflow>\n"


def export_script(workflow_source: str, task: Task) -> str:
    """One text for CPython 3.11 or newer: the workflow between its imports and a command line.

    The script reads seed inputs as JSON Lines on standard input, or one from ``--seed``, and writes JSON Lines.
    Raises SyntaxError when the workflow can't be parsed.
    """
    template = (files("autosynth_core.workflow") / "export_template.txt").read_text(encoding="utf-8")
    head, tail = template.split(_HERE)
    fields = {field.name: field.kind is FieldKind.TURNS for field in task.output_fields}
    head = head.replace("<title>", _one_line(task.title))
    tail = tail.replace("<seed_fields>", repr(list(task.seed_fields))).replace("<output_fields>", repr(fields))
    return f"{head}{without_future(workflow_source).strip()}\n{tail}"


def _one_line(title: str) -> str:
    return " ".join(clean(title).split())[:200] or "A workflow"
