"""Pause, stop, leases and extensions: what a person or another process does to a run under way."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from engine_runs import (
    Leaf,
    add_run,
    at_work,
    command,
    count,
    ended,
    finish,
    new_search,
    put_to_sleep,
    recorded_keys,
    run_to_its_end,
    settings_for,
    time_passes,
    tree_of,
    wait_until,
)
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.__main__ import main
from autosynth_core.engine import Owner
from autosynth_core.engine.control import pause, resume, stop
from autosynth_core.engine.owner import STALE_AFTER_S, recover
from autosynth_core.records import RunState, StopReason
from autosynth_core.store import Store

SMALL: dict[str, Any] = {"iterations": 5, "seed_inputs": 2, "metric_candidates": 1}
WRITTEN = ("nodes", "samples", "verdicts", "events", "run_metric_sets")


@pytest.fixture(scope="module")
def unbroken_tree(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    db = tmp_path_factory.mktemp("unbroken") / "search.db"
    with pytest.MonkeyPatch.context() as patch, OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        patch.setenv("OPENAI_API_KEY", "sk-scripted")
        return tree_of(db, new_search(db, server, **SMALL))


def test_no_call_starts_while_paused_and_the_run_goes_on_to_the_same_tree(db: Path, unbroken_tree: list[Any]) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: server.usable > 40)
            pause(store, run_id)
            wait_until(lambda: store.run(run_id).state is RunState.PAUSED)
            wait_until(lambda: server.in_flight == 0)
            asked = server.calls
            time.sleep(1.0)
            assert server.calls == asked
            resume(store, run_id)
            assert ended(store, run_id).state is RunState.FINISHED
    assert tree_of(db, run_id) == unbroken_tree


@pytest.mark.parametrize("paused_first", [False, True], ids=["running", "paused"])
def test_stopped_run_keeps_everything_and_goes_on_to_the_same_tree(
    paused_first: bool, db: Path, unbroken_tree: list[Any]
) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: server.usable > 40)
            if paused_first:
                pause(store, run_id)
                wait_until(lambda: store.run(run_id).state is RunState.PAUSED)
            stop(store, run_id)
            assert ended(store, run_id, 5.0).state is RunState.STOPPED
            assert store.lease(run_id) is None
            assert count(db, "calls") == server.usable
            resume(store, run_id)
            assert ended(store, run_id).state is RunState.FINISHED
    assert tree_of(db, run_id) == unbroken_tree
    assert max(recorded_keys(db).values()) == 1
    assert server.usable == count(db, "calls")


def test_stop_does_not_wait_for_the_end_of_a_cool_down(db: Path) -> None:
    """An endpoint may ask for five minutes of patience; a person who stops the run has less."""
    with OpenAIServer(ScriptedModels(), delay_s=0.02, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: server.usable > 40)
            server.turn_away(retry_after="200")
            wait_until(lambda: server.faults_sent.total() > 0 and server.in_flight == 0)
            time.sleep(0.3)
            told = [event.message for event in store.events(run_id) if "asks to wait" in event.message]
            assert told == [f"{server.base_url} asks to wait with calls to 'scripted'; next try in 3 min."]
            stop(store, run_id)
            assert ended(store, run_id, 4.0).state is RunState.STOPPED


def test_run_whose_lease_another_process_took_writes_nothing_more(db: Path, unbroken_tree: list[Any]) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        with at_work(db, run_id) as (store, owner):
            wait_until(lambda: server.usable > 40)
            time_passes(db, 2 * STALE_AFTER_S)
            assert store.acquire(run_id, "thief", time.time(), STALE_AFTER_S)
            time.sleep(0.1)  # a write that had begun may end
            written = {table: count(db, table) for table in WRITTEN}
            nodes = store.nodes(run_id)
            wait_until(lambda: not owner.works_on(run_id), 10.0)
            assert {table: count(db, table) for table in WRITTEN} == written
            assert store.nodes(run_id) == nodes
            assert store.run(run_id).state is RunState.RUNNING
            lease = store.lease(run_id)
            assert lease is not None
            assert lease.owner == "thief"
        assert count(db, "calls") == server.usable  # what was under way was paid for, and is kept
        time_passes(db, 2 * STALE_AFTER_S)
        with Store.open(db) as store:
            assert [run.id for run in store.mark_interrupted(time.time(), STALE_AFTER_S)] == [run_id]
            resume(store, run_id)
        assert run_to_its_end(db, run_id).state is RunState.FINISHED
    assert tree_of(db, run_id) == unbroken_tree


def test_process_that_was_asleep_while_another_finished_its_run_changes_nothing(
    db: Path, unbroken_tree: list[Any]
) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        sleeper = command("resume", run_id, "--db", db, "--json")
        wait_until(lambda: server.usable > 40)
        put_to_sleep(sleeper, db)
        try:
            time_passes(db, 2 * STALE_AFTER_S)
            with Store.open(db) as store:
                store.mark_interrupted(time.time(), STALE_AFTER_S)
                resume(store, run_id)
            assert run_to_its_end(db, run_id).state is RunState.FINISHED
            written = {table: count(db, table) for table in WRITTEN}
        finally:
            sleeper.send_signal(signal.SIGCONT)
        assert finish(sleeper, 30.0).status == 0
        assert {table: count(db, table) for table in WRITTEN} == written
    assert tree_of(db, run_id) == unbroken_tree


def test_run_of_a_killed_process_is_interrupted_as_soon_as_somebody_looks(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        process = command("resume", run_id, "--db", db, "--json")
        wait_until(lambda: server.usable > 20)
        process.kill()
        process.communicate()
    with Store.open(db) as store:
        assert store.run(run_id).state is RunState.RUNNING
        other = Owner(db, only=frozenset())
        other.start()
        try:
            wait_until(lambda: store.run(run_id).state is RunState.INTERRUPTED, 5.0)
        finally:
            other.close()


def test_run_of_another_machine_is_left_alone_until_its_lease_is_stale(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
    with Store.open(db) as store:
        store.set_run_state(run_id, RunState.RUNNING)
        assert store.acquire(run_id, "elsewhere:1:abcd", time.time(), STALE_AFTER_S)
        recover(store, time.time())
        assert store.run(run_id).state is RunState.RUNNING
        assert main(["resume", run_id, "--db", str(db)]) == 2
        assert "wait 20 seconds if that process is gone" in capsys.readouterr().err
        time_passes(db, 2 * STALE_AFTER_S)
        recover(store, time.time())
        assert store.run(run_id).state is RunState.INTERRUPTED


def test_heartbeats_go_on_when_the_time_of_day_jumps_back(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.3, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **{**SMALL, "iterations": 100, "workers": 1}))
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: server.usable > 5)
            real = time.time
            monkeypatch.setattr(time, "time", lambda: real() - 3600)
            jumped = real() - 3600
            wait_until(lambda: (lease := store.lease(run_id)) is not None and lease.heartbeat < jumped + 60, 10.0)
            assert store.run(run_id).state is RunState.RUNNING


# --- extending ----------------------------------------------------------------------------------------------------


def without_rewards(leaves: list[Leaf]) -> list[Leaf]:
    """What later children tell of their ancestors moves the ancestors' scores, and nothing else of them."""
    return [leaf._replace(reward=None) for leaf in leaves]


def test_extended_run_keeps_its_nodes_and_adds_to_them(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, **SMALL)
        before = tree_of(db, run_id)
        with Store.open(db) as store:
            resume(store, run_id, iterations=8)
        assert run_to_its_end(db, run_id).reason == StopReason.ITERATIONS
    after = tree_of(db, run_id)
    assert without_rewards(after[:6]) == without_rewards(before)
    assert [leaf.number for leaf in after] == list(range(9))


def test_run_of_one_worker_extended_is_the_longer_run(tmp_path: Path) -> None:
    """With one worker nothing is in flight when the shorter run ends, and here no new metrics were due at its end."""
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        one, other = tmp_path / "extended.db", tmp_path / "longer.db"
        extended = new_search(one, server, **{**SMALL, "workers": 1, "metric_refresh": 3, "iterations": 2})
        with Store.open(one) as store:
            resume(store, extended, iterations=5)
        assert run_to_its_end(one, extended).state is RunState.FINISHED
        longer = new_search(other, server, **{**SMALL, "workers": 1, "metric_refresh": 3})
    assert tree_of(one, extended) == tree_of(other, longer)


def test_converged_run_extended_goes_on_past_its_convergence(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        loose = {**SMALL, "iterations": 20, "convergence": "paper", "epsilon": 1.0, "patience": 2}
        run_id = add_run(db, settings_for(server, **loose))
        assert run_to_its_end(db, run_id).reason == StopReason.CONVERGED
        before = tree_of(db, run_id)
        assert len(before) < 12
        with Store.open(db) as store:
            resume(store, run_id, iterations=len(before) + 2)
        run_to_its_end(db, run_id)
    after = tree_of(db, run_id)
    assert without_rewards(after[: len(before)]) == without_rewards(before)
    assert len(after) > len(before)
