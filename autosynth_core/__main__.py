"""The command line: ``python -m autosynth_core``.

Exit status: 0 finished, 2 bad input, 3 the endpoint can't be used, 130 interrupted (resumable).
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

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
    from autosynth_core.config import Convergence, Expansion, Sampling, Scoring, Strategy
    from autosynth_core.engine import suggested_settings
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
        description="Search for the workflow that makes the fine-tuning data people prefer, starting from no data. "
        "COMMAND --help lists a command's options.",
    )
    top.add_argument("--version", action="version", version=__version__, help="print the version and end")
    top.add_argument("--verbose", action="store_true", help="log one line an event (default: warnings alone)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _search(_command(commands, "search", "search on a task file, to its end"))
    _resume(_command(commands, "resume", "go on with a run, or extend a finished one"))
    status = _command(commands, "status", "tell how a run stands")
    _run_id(status)
    _common(status)
    status.set_defaults(run=status_command)
    runs = _command(commands, "runs", "list the searches in a database, the newest first")
    _common(runs)
    runs.set_defaults(run=runs_command)
    _workflow(_command(commands, "workflow", "write a run's workflow to a file that runs under CPython"))
    _models(_command(commands, "models", "fetch, serve or list the built-in models"))
    doctor = _command(commands, "doctor", "say what is configured, reachable and installed, and what to do about it")
    doctor.add_argument("--base-url", metavar="U", help=_BASE_URL)
    _common(doctor)
    doctor.set_defaults(run=doctor_command)
    return top


_BASE_URL = (
    "an OpenAI-compatible endpoint (default: as saved in the app's Settings, else OPENAI_BASE_URL, else OpenAI where "
    "OPENAI_API_KEY is set, else the built-in model)"
)


def _command(commands: Any, name: str, does: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
    return made


def _run_id(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_id", metavar="RUN_ID", help="the run's id, as search and runs print it")


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", action="store_true", help="end with one JSON object on standard output (default: lines to read)"
    )


def _common(command: argparse.ArgumentParser) -> None:
    place = Path(os.environ.get("AUTOSYNTH_DB") or DEFAULT_DB)
    command.add_argument("--db", type=Path, default=place, metavar="F", help=f"the database file (default: {place})")
    _json(command)


def _default(name: str) -> str:
    """A search's default as help shows it; the built-in model's where it differs."""
    usual, small = (getattr(suggested_settings(embedded), name) for embedded in (False, True))
    return f"(default: {usual})" if small == usual else f"(default: {usual}; {small} with the built-in model)"


def _search(command: argparse.ArgumentParser) -> None:
    def number(option: str, kind: type[int] | type[float], metavar: str, text: str) -> None:
        name = option.removeprefix("--").replace("-", "_")
        command.add_argument(option, type=kind, metavar=metavar, help=f"{text} {_default(name)}")

    def choice(option: str, of: type[StrEnum], text: str) -> None:
        command.add_argument(option, choices=[each.value for each in of], help=f"{text} {_default(option[2:])}")

    command.add_argument("task_file", type=Path, metavar="TASK_FILE", help="a task as JSON, see docs/task-files.md")
    number("--iterations", int, "N", "workflows to try after the first, 1 to 10000")
    number("--workers", int, "K", "expansions at once, 1 to 64")
    number("--seed", int, "S", "seed of all randomness, 0 or more")
    choice("--strategy", Strategy, "how the next workflow to change is chosen")
    choice("--expansion", Expansion, "how it is changed; auto goes by what the model can do")
    number("--seed-inputs", int, "N", "seed inputs each workflow is run on, 2 to 200")
    number("--metric-refresh", int, "K", "new metrics every K iterations, 0: never")
    number("--workflow-weight", float, "W", "share of the workflow score in the reward, 0 to 1")
    choice("--sampling", Sampling, "seed inputs: a few and more for the best, or the same for all")
    choice("--scoring", Scoring, "scores on one scale, or as they come")
    choice("--convergence", Convergence, "when the search has found what it can")
    number("--race-contenders", int, "N", "best workflows raced at the end on sealed seed inputs, 0: no race")
    command.add_argument(
        "--criteria",
        type=Path,
        metavar="F",
        help="JSON file of criteria that count for you (default: those saved with the project)",
    )
    number("--anchor-share", float, "A", "share of those criteria in a sample's score, 0 to 1")
    command.add_argument(
        "--no-noise",
        dest="measure_noise",
        action="store_const",
        const=False,
        help="do not measure chance first (default: measure it)",
    )
    command.add_argument(
        "--no-fitness",
        dest="check_fitness",
        action="store_const",
        const=False,
        help="do not try the judge first (default: try it)",
    )
    command.add_argument(
        "--stop-on-drift",
        action="store_const",
        const=True,
        help="stop when an alarm about the judge goes off (default: go on)",
    )
    command.add_argument("--budget-usd", type=float, metavar="X", help="cap in US dollars (default: none)")
    command.add_argument(
        "--budget-tokens", type=int, metavar="N", help="cap in tokens, prompt and completion (default: none)"
    )
    command.add_argument("--base-url", metavar="U", help=_BASE_URL)
    first = "(default: as saved in the app's Settings, else the endpoint's first)"
    command.add_argument("--optimizer-model", metavar="M", help=f"model that changes workflows {first}")
    command.add_argument("--evaluator-model", metavar="M", help=f"model that judges {first}")
    command.add_argument("--generator-model", metavar="M", help=f"model that workflows call {first}")
    command.add_argument(
        "--second-judge-model", metavar="M", help="another model that scores the race at the end (default: none)"
    )
    _common(command)
    command.set_defaults(run=search_command)


def _resume(command: argparse.ArgumentParser) -> None:
    _run_id(command)
    command.add_argument("--iterations", type=int, metavar="N", help="the new total (default: as before)")
    command.add_argument(
        "--budget-usd",
        type=float,
        metavar="X",
        help="the new cap in US dollars; with --race of the race alone (default: as before)",
    )
    command.add_argument(
        "--budget-tokens",
        type=int,
        metavar="N",
        help="the new cap in tokens; with --race of the race alone (default: as before)",
    )
    command.add_argument(
        "--race", action="store_true", help="only race the best of an ended run on sealed inputs (default: search on)"
    )
    _common(command)
    command.set_defaults(run=resume_command)


def _workflow(command: argparse.ArgumentParser) -> None:
    _run_id(command)
    command.add_argument("--node", type=int, metavar="N", help="number of the workflow (default: the best)")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write; no default")
    command.add_argument(
        "--force", action="store_true", help="replace FILE even if it is no exported workflow (default: refuse)"
    )
    _common(command)
    command.set_defaults(run=workflow_command)


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action",
        choices=["pull", "serve", "list"],
        help="pull: fetch the file, 1.1 GB for the default, and check it; serve: answer other programs on this "
        "computer until Ctrl-C, and print the address and the key to give them; list: say what there is and what is "
        "here",
    )
    command.add_argument(
        "model",
        nargs="?",
        default=embedded.DEFAULT_MODEL,
        choices=list(embedded.MODEL_FILES),
        help=f"which one to pull or serve (default: {embedded.DEFAULT_MODEL})",
    )
    _json(command)
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
