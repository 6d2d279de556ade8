"""What a page or a command can ask for. All of it only writes to the database; the engine's thread picks it up."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from pydantic import ValidationError

from autosynth_core.config import RoundSettings, RunSettings, read_settings, refusal
from autosynth_core.engine.brief import Brief, make_brief, newest_workflow, read_brief, reviewed
from autosynth_core.errors import InputError, SettingsError
from autosynth_core.initialization import accepted_examples, heard, with_feedback
from autosynth_core.llm import resolve
from autosynth_core.records import Command, NodeState, Run, RunKind, RunState, Standing
from autosynth_core.search import LEAST_SEALED
from autosynth_core.store import Store

__all__ = ["LIVE", "decide_on_metrics", "extend", "pause", "race", "resume", "start_round", "start_search", "stop"]

LIVE = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


def start_search(store: Store, project_id: str, settings: RunSettings, *, state: RunState = RunState.QUEUED) -> Run:
    """Add a search on the project's task as it stands now. Raises InputError (no such project, unusable address)."""
    resolve(settings.models, os.environ)
    brief = make_brief(store, project_id)
    return store.add_run(project_id, RunKind.SEARCH, settings.model_dump_json(), brief=brief.to_json(), state=state)


def start_round(store: Store, project_id: str, settings: RoundSettings) -> Run:
    """Add a round of samples to look at. Its number and the round it follows are filled in from what is there."""
    resolve(settings.models, os.environ)
    rounds = store.runs(project_id, RunKind.ROUND)
    finished = sorted((run for run in rounds if run.state is RunState.FINISHED), key=lambda run: run.created)
    previous = finished[-1].id if finished else ""
    settings = settings.model_copy(update={"number": len(finished) + 1, "previous": previous})
    pairs = [pair for run in finished for pair in reviewed(store, run.id)]
    brief = Brief(
        with_feedback(store.project(project_id).task, pairs),
        newest_workflow(store, finished),
        accepted_examples(pairs),
        heard(reviewed(store, previous)) if previous else "",
    )
    return store.add_run(project_id, RunKind.ROUND, settings.model_dump_json(), brief=brief.to_json())


def pause(store: Store, run_id: str) -> None:
    """Let no new call start until ``resume``. Raises InputError when the run is not running."""
    _ask_live(store, run_id, Command.PAUSE)


def stop(store: Store, run_id: str) -> None:
    """End the run after the calls in flight; it stays resumable. Raises InputError when it is not running."""
    _ask_live(store, run_id, Command.STOP)


def resume(
    store: Store,
    run_id: str,
    *,
    iterations: int | None = None,
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
) -> None:
    """Go on with a paused, stopped, interrupted or failed run, or extend a finished one.

    ``iterations`` is the new total; ``budget_usd`` and ``budget_tokens`` the new caps.
    Raises InputError when there is nothing to go on with.
    """
    caps = {"budget_usd": budget_usd, "budget_tokens": budget_tokens}
    run = extend(store, run_id, iterations, {name: cap for name, cap in caps.items() if cap is not None})
    if run.state in (RunState.PAUSED, RunState.RUNNING):
        store.ask(run_id, Command.RESUME, time.time())
    elif run.state is not RunState.QUEUED:
        for request in store.pending(run_id):  # asked of an earlier go
            store.handled(request.id, time.time())
        store.set_run_state(run_id, RunState.QUEUED)


def race(store: Store, run_id: str, *, budget_usd: float | None = None, budget_tokens: int | None = None) -> None:
    """Race the best of a search that has ended, on inputs that it never saw. It is then what it was before.

    ``budget_usd`` and ``budget_tokens`` cap what this race spends; with neither, the run's own caps hold on all that
    the run has spent. A search that was to end without a race gets the usual number of contenders.
    Raises InputError when there is nothing to race, or nothing to race on, SettingsError for a cap out of range.
    """
    run = store.run(run_id)
    if run.kind is not RunKind.SEARCH or run.state not in (RunState.FINISHED, RunState.STOPPED):
        raise _not_ended(run)
    if not any(node.state is NodeState.SCORED for node in store.nodes(run_id)):
        raise InputError("Nothing has a score yet, so there is nothing to race; let the search go on first.")
    sealed = len(read_brief(run).task.sealed_seeds)
    if sealed < LEAST_SEALED:
        raise InputError(
            f"A race needs {LEAST_SEALED} inputs that were kept aside, and here are {sealed}; "
            "add inputs to the task and start a new search."
        )
    caps = {"budget_usd": budget_usd, "budget_tokens": budget_tokens}
    _updated(read_settings(RunSettings, run.settings, run_id), caps)
    if not store.ask_race(run_id, time.time(), budget_usd=budget_usd, budget_tokens=budget_tokens):
        raise _not_ended(store.run(run_id))


def _not_ended(run: Run) -> InputError:
    return InputError(f"This run is {run.state.value}; a race is for a search that has finished or was stopped.")


def decide_on_metrics(store: Store, run_id: str, version: str, *, take: bool) -> None:
    """A person's decision on criteria that were set aside. Taken ones come into force with the next recipe.

    Raises InputError when these are not, or no longer, waiting for a decision.
    """
    waiting = {
        entry.metric_set.version for entry in store.metric_sets(run_id) if entry.standing is Standing.QUARANTINED
    }
    if version not in waiting:
        raise InputError("These criteria do not wait for a decision any more; reload the page.")
    store.decide_on_metric_set(run_id, version, Standing.RELEASED if take else Standing.REJECTED)


def extend(store: Store, run_id: str, iterations: int | None, caps: Mapping[str, float]) -> Run:
    """Write a new goal into a run that is not live.

    Raises InputError for a finished run without a larger goal, SettingsError for a goal out of range.
    """
    run = store.run(run_id)
    if run.kind is not RunKind.SEARCH or run.state in LIVE:
        return run
    settings = read_settings(RunSettings, run.settings, run_id)
    done = max((node.number for node in store.nodes(run_id) if node.state is not NodeState.RUNNING), default=0)
    larger = iterations if iterations is not None else settings.iterations
    if run.state is RunState.FINISHED and larger <= done and not caps:
        raise InputError(
            f"This search is finished after {done} of {settings.iterations} iterations; "
            "to go on, give a larger number of iterations or a larger budget."
        )
    update: dict[str, object] = {"iterations": larger, **caps}
    if run.state is RunState.FINISHED:
        update["extended_after"] = done
    store.set_settings(run_id, _updated(settings, update).model_dump_json())
    return run


def _updated(settings: RunSettings, update: Mapping[str, object]) -> RunSettings:
    """Raises SettingsError for a value out of range."""
    try:
        return RunSettings.model_validate({**settings.model_dump(), **update})
    except ValidationError as error:
        raise SettingsError(f"{refusal(error)}; give another value, the run is as it was.") from error


def _ask_live(store: Store, run_id: str, command: Command) -> None:
    run = store.run(run_id)
    if run.state not in LIVE:
        raise InputError(f"This run is {run.state.value}; there is nothing to {command.value}.")
    store.ask(run_id, command, time.time())
