"""``search``, ``resume``, ``status`` and ``runs``: a search from the command line, with the engine in this process."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from autosynth_core.commands.report import existing, plain, print_json, say, status_of
from autosynth_core.commands.yardstick import yardstick_lines
from autosynth_core.config import ModelSettings, RunSettings, refusal
from autosynth_core.engine import Owner, load_models, race, resume, start_search, suggested_settings, uses_embedded
from autosynth_core.engine.control import LIVE
from autosynth_core.engine.owner import STALE_AFTER_S, recover
from autosynth_core.errors import AutoSynthError, BudgetReached, InputError, RunHalted, SettingsError, StoreError
from autosynth_core.initialization import read_criteria
from autosynth_core.records import Metric, RunKind, RunState
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task
from autosynth_core.views import feed, header, words

__all__ = ["INTERRUPTED", "resume_command", "runs_command", "search_command", "status_command"]

FINISHED, BAD_INPUT, ENDPOINT, INTERRUPTED = 0, 2, 3, 130
_LOOK_S = 0.2
_UNRACED = "race not finished"  # the event that says why


def search_command(args: argparse.Namespace) -> int:
    """Search on a task file. Returns the exit status."""
    task = load_task(args.task_file)
    with Store.open(args.db) as store:
        settings = _settings(args, load_models(store))
        criteria = _criteria(args)
        project = store.add_project(task)
        if criteria:
            store.put_anchors(project.id, criteria)
        run = start_search(store, project.id, settings, state=RunState.STOPPED)
        owner = Owner(args.db, only=frozenset({run.id}))
        # an app that is open on the same database must not pick the run up: Ctrl-C here would not stop it there
        store.acquire(run.id, owner.name, time.time(), STALE_AFTER_S)
        try:
            return _work(store, run.id, args, owner)
        finally:
            store.release(run.id, owner.name)


def resume_command(args: argparse.Namespace) -> int:
    """Go on with a run, or extend a finished one. Returns the exit status."""
    with existing(args.db) as store:
        recover(store, time.time())
        run = store.run(args.run_id)
        if run.kind is not RunKind.SEARCH:
            raise InputError(f"Run {run.id} is a round of samples, not a search; resume it in the app.")
        owner = Owner(args.db, only=frozenset({run.id}))
        # the lease comes first: of two commands at once only one may touch the run
        if not store.acquire(run.id, owner.name, time.time(), STALE_AFTER_S):
            raise InputError(
                f"Run {run.id} is being worked on by another process; stop it there, or wait "
                f"{STALE_AFTER_S:.0f} seconds if that process is gone."
            )
        try:
            withdrawn = run.state is RunState.QUEUED and store.end_race(run.id)  # an engine never came to it
            if args.race:
                return _race(store, run.id, args, owner)
            if run.state is RunState.QUEUED and not withdrawn:
                store.set_run_state(run.id, RunState.STOPPED)
            resume(
                store,
                run.id,
                iterations=args.iterations,
                budget_usd=args.budget_usd,
                budget_tokens=args.budget_tokens,
            )
            store.set_run_state(run.id, RunState.STOPPED)
            return _work(store, run.id, args, owner)
        finally:
            store.release(run.id, owner.name)


def _race(store: Store, run_id: str, args: argparse.Namespace, owner: Owner) -> int:
    """Race the best again. The run stays what it was, so the exit status is the race's."""
    if args.iterations is not None:
        raise InputError("A race tries no new recipes; give either --race or --iterations.")
    before = len(store.races(run_id))

    def queue() -> None:
        race(store, run_id, budget_usd=args.budget_usd, budget_tokens=args.budget_tokens)

    interrupted = _watched(store, run_id, args, owner, queue)
    if store.run(run_id).state is RunState.QUEUED:  # interrupted before the engine came to it
        store.end_race(run_id)
    if len(store.races(run_id)) > before:
        _tell(store, run_id, args)
        return FINISHED
    latest = next(iter(store.events(run_id, limit=1, newest=True)), None)
    if latest is not None and latest.kind == _UNRACED:
        say(latest.message)
    say(f"Race again with: {_again(run_id, args, '--race')}")
    _tell(store, run_id, args)
    return INTERRUPTED if interrupted else _status_of(owner.unraced(run_id))


def _status_of(error: AutoSynthError | None) -> int:
    """The exit status of a race that had no end."""
    match error:
        case RunHalted():
            return INTERRUPTED
        case BudgetReached() | InputError():
            return BAD_INPUT
    return ENDPOINT


def _criteria(args: argparse.Namespace) -> tuple[Metric, ...]:
    """The approved criteria of a file. Raises InputError."""
    if args.criteria is None:
        return ()
    try:
        return read_criteria(args.criteria.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"{args.criteria} can't be read: {cause}. Give another file with --criteria.") from error
    except InputError as error:
        raise InputError(f"{args.criteria}: {error}") from error


def status_command(args: argparse.Namespace) -> int:
    """Print how a run stands."""
    with existing(args.db, reading=True) as store:
        _tell(store, args.run_id, args)
    return 0


def runs_command(args: argparse.Namespace) -> int:
    """List the searches in a database, the newest first."""
    with existing(args.db, reading=True) as store:
        rows = [row for run in reversed(store.runs(kind=RunKind.SEARCH)) if (row := _row(store, run.id))]
    if args.json:
        print_json({"runs": rows})
        return 0
    for row in rows:
        best = f"best {row['best']['reward']:.2f}" if row["best"] else "nothing scored"
        print(f"{row['run_id']}  {row['state']:<12} {row['iterations']:>4} recipes  {best}")
    if not rows:
        say("No searches yet; start one with: python -m autosynth_core search TASK_FILE")
    return 0


def _row(store: Store, run_id: str) -> dict[str, Any] | None:
    """A run's status; one that can't be read is told of and left out, so that the others are listed."""
    try:
        return status_of(store, run_id)
    except (InputError, StoreError) as error:
        say(str(error))
        return None


def _settings(args: argparse.Namespace, saved: ModelSettings) -> RunSettings:
    """The suggested settings, the models saved in Settings, and what was given here. Raises SettingsError."""
    try:
        named = {
            "base_url": args.base_url,
            "optimizer": args.optimizer_model,
            "evaluator": args.evaluator_model,
            "generator": args.generator_model,
            "second_judge": args.second_judge_model,
        }
        elsewhere = args.base_url is not None and args.base_url != saved.base_url
        before = ModelSettings() if elsewhere else saved  # models are named for one endpoint
        models = before.model_copy(update={name: value for name, value in named.items() if value is not None})
        given = {
            "iterations": args.iterations,
            "workers": args.workers,
            "seed": args.seed,
            "strategy": args.strategy,
            "expansion": args.expansion,
            "seed_inputs": args.seed_inputs,
            "sampling": args.sampling,
            "scoring": args.scoring,
            "convergence": args.convergence,
            "race_contenders": args.race_contenders,
            "anchor_share": args.anchor_share,
            "measure_noise": args.measure_noise,
            "check_fitness": args.check_fitness,
            "stop_on_drift": args.stop_on_drift,
            "metric_refresh": args.metric_refresh,
            "workflow_weight": args.workflow_weight,
            "budget_usd": args.budget_usd,
            "budget_tokens": args.budget_tokens,
        }
        base = suggested_settings(uses_embedded(models)).model_dump()
        return RunSettings.model_validate(
            {**base, "models": models, **{name: value for name, value in given.items() if value is not None}}
        )
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        said = refusal(error).removeprefix(name)
        raise SettingsError(f"--{name.replace('_', '-')}{said}; search --help lists what may be given.") from error


def _work(store: Store, run_id: str, args: argparse.Namespace, owner: Owner) -> int:
    """Run the engine on this one run until it ends. Returns the exit status."""
    _watched(store, run_id, args, owner, lambda: store.set_run_state(run_id, RunState.QUEUED))
    return _conclude(store, run_id, args)


def _watched(store: Store, run_id: str, args: argparse.Namespace, owner: Owner, queue: Callable[[], None]) -> bool:
    """Queue the run and watch the engine on it; Ctrl-C interrupts it, keeping everything paid for. True when it did."""
    interrupted = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        interrupted.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    owner.start()
    try:
        queue()
        _watch(store, run_id, owner, interrupted, quiet=args.json)
    finally:
        owner.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if owner.failure is not None:
        raise owner.failure
    return interrupted.is_set()


def _watch(store: Store, run_id: str, owner: Owner, interrupted: threading.Event, *, quiet: bool) -> None:
    """Show progress until the run ends or somebody interrupts."""
    say(f"Run {run_id} in {store.path}")
    total = header(store, run_id).planned
    told = max((event.id for event in feed(store, run_id, 1)), default=0)
    with tqdm(total=total, unit="recipe", disable=quiet or not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        while owner.alive and not interrupted.is_set() and store.run(run_id).state in LIVE:
            interrupted.wait(_LOOK_S)
            events = store.events(run_id, after_id=told)
            for event in events:
                told = event.id
                if event.kind not in (RunState.FAILED, _UNRACED):  # the reason is the last thing said
                    tqdm.write(plain(words.told(event)), file=sys.stderr)
            if events:
                _show(bar, store, run_id)
    if interrupted.is_set():
        say("Stopping: waiting for the model calls already under way, so that nothing paid for is lost.")


def _show(bar: tqdm[Any], store: Store, run_id: str) -> None:
    head = header(store, run_id)
    bar.n = head.done
    if head.best is not None:
        bar.set_postfix_str(f"best {head.best.reward.total:.2f}, {head.usage.calls} calls")
    bar.refresh()


def _again(run_id: str, args: argparse.Namespace, *options: str) -> str:
    """The command that goes on."""
    return shlex.join(["python", "-m", "autosynth_core", "resume", run_id, *options, "--db", str(args.db)])


def _conclude(store: Store, run_id: str, args: argparse.Namespace) -> int:
    run = store.run(run_id)
    again = _again(run_id, args)
    if run.state is RunState.STOPPED:
        say(f"Stopped; nothing paid for is lost. Go on with: {again}")
    elif run.state in (RunState.INTERRUPTED, RunState.PAUSED):
        say(f"Interrupted; nothing paid for is lost. Go on with: {again}")
    elif run.state is RunState.FAILED:
        say(f"{run.reason}\nWhen that is mended, go on with: {again}")
    _tell(store, run_id, args)
    if run.state in (RunState.FINISHED, RunState.STOPPED):
        return FINISHED
    return ENDPOINT if run.state is RunState.FAILED else INTERRUPTED


def _tell(store: Store, run_id: str, args: argparse.Namespace) -> None:
    status = status_of(store, run_id)
    if args.json:
        print_json(status)
    else:
        print(plain(_in_lines(store, run_id, status)))


def _in_lines(store: Store, run_id: str, status: dict[str, Any]) -> str:
    """A status for a person."""
    usage, head = status["usage"], header(store, run_id)
    lines = [f"Run {run_id}: {head.in_words}"]
    lines.append(
        f"{status['iterations']} recipes tried, {status['broken']} broken, {status['duplicates']} duplicates, "
        f"{status['unscored']} not scored"
    )
    for name in ("first", "best"):
        score = status[name]
        if score:
            low, high = score["ci"]
            lines.append(
                f"{name.capitalize()}: number {score['node']}, reward {score['reward']:.3f} ({low:.3f} to {high:.3f}), "
                f"samples {score['sample_score']:.2f} of 5, recipe {score['workflow_score']:.2f} of 5"
            )
    if head.gain is not None:
        lines.append(f"The best against the first: {head.gain.in_words}")
    lines += yardstick_lines(store, run_id)
    money = "price unknown" if usage["usd"] is None else f"{usage['usd']:.4f} USD" if usage["usd"] else "free"
    tokens = f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"
    lines.append(f"{usage['calls']} calls paid, {usage['cached']} answered from the log, {tokens}, {money}")
    if status["failures"]:
        lines.append(
            "Failed attempts, tried again: " + ", ".join(f"{kind} {n}" for kind, n in status["failures"].items())
        )
    return "\n".join(lines)
