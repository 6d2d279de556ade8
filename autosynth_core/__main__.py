"""The command line: ``python -m autosynth_core``.

Exit status: 0 finished, 2 bad input, 3 the endpoint can't be used, 130 interrupted (resumable).
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from autosynth_core import __version__, log
    from autosynth_core.commands.doctor import doctor_command
    from autosynth_core.commands.models import models_command
    from autosynth_core.commands.report import say
    from autosynth_core.commands.search import (
        BAD_INPUT,
        ENDPOINT,
        INTERRUPTED,
        resume_command,
        runs_command,
        search_command,
        status_command,
    )
    from autosynth_core.commands.workflow import workflow_command
    from autosynth_core.config import Expansion, Strategy
    from autosynth_core.errors import AutoSynthError, EndpointError, InputError, ModelFileError
    from autosynth_core.llm import embedded
except ModuleNotFoundError as missing:
    if (missing.name or "").startswith("autosynth_core"):
        raise
    print(
        f"The package {missing.name} is not installed for {sys.executable}: enter `source .venv/bin/activate` first, "
        "which `make run` has filled; without make, `pip install -r requirements.txt`.",
        file=sys.stderr,
    )
    sys.exit(2)

DEFAULT_DB = Path("data/autosynth.db")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m autosynth_core",
        description="Search for the workflow that makes the fine-tuning data people prefer, starting from no data.",
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--verbose", action="store_true", help="log one line an event")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _search(commands.add_parser("search", help="search on a task file"))
    _resume(commands.add_parser("resume", help="go on with a run, or extend a finished one"))
    status = commands.add_parser("status", help="how a run stands")
    status.add_argument("run_id")
    _common(status)
    status.set_defaults(run=status_command)
    runs = commands.add_parser("runs", help="the searches in a database")
    _common(runs)
    runs.set_defaults(run=runs_command)
    _workflow(commands.add_parser("workflow", help="write a run's workflow to a file that runs under CPython"))
    _models(commands.add_parser("models", help="fetch, serve or list the embedded models"))
    doctor = commands.add_parser("doctor", help="what is configured, reachable and installed, and what to do about it")
    doctor.add_argument("--base-url")
    _common(doctor)
    doctor.set_defaults(run=doctor_command)
    return top


def _common(command: argparse.ArgumentParser) -> None:
    place = Path(os.environ.get("AUTOSYNTH_DB") or DEFAULT_DB)
    command.add_argument("--db", type=Path, default=place, metavar="F", help=f"the database file (default {place})")
    command.add_argument("--json", action="store_true", help="end with one JSON object on standard output")


def _search(command: argparse.ArgumentParser) -> None:
    command.add_argument("task_file", type=Path, metavar="TASK_FILE")
    command.add_argument("--iterations", type=int, metavar="N", help="children to try")
    command.add_argument("--workers", type=int, metavar="K", help="expansions at once")
    command.add_argument("--seed", type=int, metavar="S", help="seed of all randomness")
    command.add_argument("--strategy", choices=[each.value for each in Strategy])
    command.add_argument("--expansion", choices=[each.value for each in Expansion])
    command.add_argument("--seed-inputs", type=int, metavar="N", help="seed inputs each workflow is run on")
    command.add_argument("--metric-refresh", type=int, metavar="K", help="new metrics every K iterations; 0: never")
    command.add_argument("--workflow-weight", type=float, metavar="W", help="share of the workflow score, 0..1")
    command.add_argument("--budget-usd", type=float, metavar="X", help="cap in US dollars")
    command.add_argument("--budget-tokens", type=int, metavar="N", help="cap in tokens, prompt and completion")
    command.add_argument("--base-url", metavar="U", help="an OpenAI-compatible endpoint")
    for role in ("optimizer", "evaluator", "generator", "second-judge"):
        command.add_argument(f"--{role}-model", metavar="M")
    _common(command)
    command.set_defaults(run=search_command)


def _resume(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_id")
    command.add_argument("--iterations", type=int, metavar="N", help="the new total")
    command.add_argument("--budget-usd", type=float, metavar="X", help="the new cap in US dollars")
    command.add_argument("--budget-tokens", type=int, metavar="N", help="the new cap in tokens")
    _common(command)
    command.set_defaults(run=resume_command)


def _workflow(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_id")
    command.add_argument("--node", type=int, metavar="N", help="default: the best")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--force", action="store_true", help="replace FILE even if it is no exported workflow")
    _common(command)
    command.set_defaults(run=workflow_command)


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=["pull", "serve", "list"])
    command.add_argument("model", nargs="?", default=embedded.DEFAULT_MODEL, choices=list(embedded.MODEL_FILES))
    command.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    command.set_defaults(run=models_command)


def _refuse_bytes(args: argparse.Namespace) -> None:
    """Raises InputError for an argument that is no text: it could be stored, sent or printed nowhere."""
    for name, value in vars(args).items():
        if isinstance(value, str | Path) and any("\ud800" <= letter <= "\udfff" for letter in str(value)):
            raise InputError(f"{name.replace('_', '-')}: {value} has bytes that are not UTF-8; write it in UTF-8.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors raised on purpose become one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a model's words must not end a command on a narrow encoding
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    log.set_up("INFO" if args.verbose else "WARNING")
    try:
        _refuse_bytes(args)
        return int(args.run(args))
    except (EndpointError, ModelFileError) as error:
        say(str(error))
        return ENDPOINT
    except AutoSynthError as error:
        say(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
