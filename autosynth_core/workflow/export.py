"""A workflow as a script that runs without this program: plain Python and the ``openai`` package.

Owns the host code that such a script carries, and what a workflow must pass before it is put into one. There is no
sandbox around an exported script: whoever runs it runs the workflow as their own code. Where a workflow comes from is
no reason to trust it, since an archive may hold any text as a recipe: its text is looked at again here.
"""

from __future__ import annotations

import re
from importlib.resources import files

from autosynth_core.errors import InputError
from autosynth_core.records import FieldKind, Task
from autosynth_core.workflow.output import clean
from autosynth_core.workflow.reach import check_reach
from autosynth_core.workflow.static import check_signature
from autosynth_core.workflow.syntax import parse, without_future

SCRIPT_MARK = "# A data generation workflow, written by AutoSynth Studio.\n"
"""What every script begins with, so that one can be told from another file."""

_MAX_REASON = 300  # characters


def export_script(workflow_source: str, task: Task) -> str:
    """One text for CPython 3.11 or newer: the workflow between its imports and a command line.

    The script reads seed inputs as JSON Lines on standard input, or one from ``--seed``, and writes JSON Lines.
    Raises InputError where there is something in ``why_not_exported``.
    """
    if reason := why_not_exported(workflow_source):
        raise InputError(f"This recipe {reason}; choose another.")
    template = (files("autosynth_core.workflow") / "export_template.txt").read_text(encoding="utf-8")
    fields = {field.name: field.kind is FieldKind.TURNS for field in task.output_fields}
    parts = {
        # never in the first two lines, where Python takes "coding: ..." for the name of the file's encoding
        "title": _one_line(task.title),
        "workflow": without_future(workflow_source).strip().replace("\r\n", "\n").replace("\r", "\n"),
        "seed_fields": ascii([*map(str, task.seed_fields)]),
        "output_fields": ascii(fields),
    }
    # in one go: what one part holds is never taken for the place of another
    return re.sub("<(" + "|".join(parts) + ")>", lambda place: parts[place[1]], template)


def why_not_exported(workflow_source: str) -> str:
    """What is wrong with a recipe, to follow "Recipe 3 "; "" when it may be run as a person's own code.

    These are the gates of preflight that keep a program from reaching out, those of its prompts left aside.
    """
    try:
        tree = parse(workflow_source)
    except SyntaxError:
        return "is no program that can be read"
    reason = check_signature(tree) or check_reach(tree)
    return f"can't be taken away ({clean(reason)[:_MAX_REASON]})" if reason else ""


def _one_line(title: str) -> str:
    return " ".join(clean(title).split())[:200] or "A workflow"
