"""``workflow``: take a workflow away as a script that runs under CPython."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from autosynth_core.commands.report import existing, print_json, say
from autosynth_core.engine import read_brief
from autosynth_core.errors import InputError
from autosynth_core.views import header
from autosynth_core.workflow import export_script

__all__ = ["workflow_command", "write_whole"]


def workflow_command(args: argparse.Namespace) -> int:
    """Write the best workflow of a run, or the one asked for, with its host code beside it in one file."""
    with existing(args.db, reading=True) as store:
        run = store.run(args.run_id)
        best = header(store, run.id).best
        number = args.node if args.node is not None else best.node if best is not None else None
        if number is None:
            raise InputError(f"Run {run.id} has no scored workflow yet; name one with --node.")
        node = store.node(run.id, number)
        if node is None or not node.source:
            raise InputError(f"Run {run.id} has no workflow number {number}.")
        script = export_script(node.source, read_brief(run).task)
    write_whole(args.out, script)
    say(f"Wrote workflow {number} to {args.out}. Run it with: python {args.out} --help")
    if args.json:
        print_json({"run_id": run.id, "node": number, "out": str(args.out)})
    return 0


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises InputError where it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}. Give another place with --out.") from error
