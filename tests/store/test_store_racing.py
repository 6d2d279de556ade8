"""A run that races on demand is what it was before, whenever and however its race ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from autosynth_core.records import Command, Run, RunKind, RunState
from autosynth_core.store import Store


def finished(store: Store, run: Run) -> Run:
    store.set_run_state(run.id, RunState.FINISHED, "converged")
    return store.run(run.id)


def test_race_is_asked_for_and_ended_and_the_run_is_what_it_was(store: Store, run: Run) -> None:
    before = finished(store, run)
    store.ask(run.id, Command.STOP, 1.0)  # of an earlier go
    assert store.ask_race(run.id, 2.0, budget_usd=0.5)
    assert store.run(run.id).state is RunState.QUEUED
    assert [each.command for each in store.pending(run.id)] == [Command.RACE]
    assert store.race_asked(run.id) == (0.5, None)
    store.set_run_state(run.id, RunState.RUNNING)
    assert store.end_race(run.id)
    assert store.run(run.id) == before
    assert store.race_asked(run.id) is None
    assert not store.end_race(run.id)
    assert store.run(run.id) == before


@pytest.mark.parametrize("state", [state for state in RunState if state not in (RunState.FINISHED, RunState.STOPPED)])
def test_race_of_a_run_that_has_not_ended_is_not_asked_for(state: RunState, store: Store, run: Run) -> None:
    store.set_run_state(run.id, state, "why")
    before = store.run(run.id)
    assert not store.ask_race(run.id, 2.0)
    assert store.run(run.id) == before
    assert store.pending(run.id) == []
    assert store.race_asked(run.id) is None


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
def test_run_whose_owner_died_in_a_race_is_what_it_was(state: RunState, store: Store, run: Run) -> None:
    before = finished(store, run)
    other = store.add_run(run.project_id, RunKind.SEARCH, "{}", state=RunState.RUNNING)
    store.ask_race(run.id, 2.0)
    store.acquire(run.id, "dead", 2.0, 10.0)
    store.set_run_state(run.id, state, "paused by you")
    lost = {each.id: each for each in store.mark_interrupted(100.0, 10.0)}
    assert lost[run.id] == before
    assert lost[other.id].state is RunState.INTERRUPTED
    assert store.race_asked(run.id) is None
    assert store.lease(run.id) is None
    assert store.mark_interrupted(100.0, 10.0) == []


def test_race_asked_for_twice_at_once_is_asked_for_once(store: Store, run: Run, path: Path) -> None:
    before = finished(store, run)
    said: list[bool] = []
    with Store.open(path) as other:
        both = [threading.Thread(target=lambda s=s: said.append(s.ask_race(run.id, 2.0))) for s in (store, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert sorted(said) == [False, True]
    assert len(store.pending(run.id)) == 1
    store.end_race(run.id)
    assert store.run(run.id) == before


def test_race_goes_with_its_project(store: Store, run: Run) -> None:
    finished(store, run)
    store.ask_race(run.id, 2.0)
    store.delete_project(run.project_id)
    assert store.race_asked(run.id) is None
