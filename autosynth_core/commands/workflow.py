"""``workflow``: take a workflow away as a script that runs under CPython."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import stat
from pathlib import Path

from autosynth_core.commands.report import existing, print_json, say
from autosynth_core.engine import read_brief
from autosynth_core.errors import InputError
from autosynth_core.views import header
from autosynth_core.workflow import SCRIPT_MARK, export_script, why_not_exported

__all__ = ["workflow_command", "write_script"]

_BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")


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
        if reason := why_not_exported(node.source):
            raise InputError(f"Recipe {number} {reason}; choose another with --node.")
        script = export_script(node.source, read_brief(run).task)
    write_script(args.out, script, database=args.db, force=args.force)
    say(f"Wrote workflow {number} to {args.out}. Run it with: {shlex.join(['python', str(args.out), '--help'])}")
    if args.json:
        print_json({"run_id": run.id, "node": number, "out": str(args.out)})
    return 0


def write_script(path: Path, text: str, *, database: Path, force: bool) -> None:
    """Write a script whole or not at all, where a symbolic link leads. Other files are replaced by ``force`` alone.

    Raises InputError where it can't be written, and for the database and for what is no regular file in any case.
    """
    try:
        place = path.resolve()
        _refuse_database(path, place, database)
        _refuse_loss(path, place, force=force)
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(place, text)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        cause = getattr(error, "strerror", None) or "its links lead in a circle"
        raise InputError(f"{path} can't be written: {cause}. Give another place with --out.") from error


def _refuse_database(path: Path, place: Path, database: Path) -> None:
    for end in _BESIDE_DATABASE:
        kept = Path(f"{database.resolve()}{end}")
        if place == kept or (place.exists() and kept.exists() and place.samefile(kept)):
            raise InputError(f"{path} is the database or belongs to it; give another place with --out.")


def _refuse_loss(path: Path, place: Path, *, force: bool) -> None:
    if not place.exists():
        return
    if not stat.S_ISREG(place.stat().st_mode):
        raise InputError(f"{path} is no regular file; give another place with --out.")
    if force:
        return
    with place.open("rb") as file:
        begins = file.read(len(SCRIPT_MARK))
    if begins and begins != SCRIPT_MARK.encode():
        raise InputError(
            f"{path} is there already and is no exported workflow; give another place with --out, or --force to "
            "replace it."
        )


def _write_whole(place: Path, text: str) -> None:
    beside = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # not mkstemp, whose files only their owner may read: a script gets the rights that any new file gets
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
