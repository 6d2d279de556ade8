"""How a command's process ends: interrupted, or by itself."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from engine_runs import (
    add_run,
    command,
    finish,
    new_search,
    recorded_bodies,
    recorded_keys,
    settings_for,
    tree_of,
    wait_until,
)
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.records import RunState
from autosynth_core.store import Store

SMALL: dict[str, Any] = {"iterations": 5, "seed_inputs": 2, "metric_candidates": 1}


def test_interrupted_command_ends_with_130_says_how_to_go_on_and_goes_on(db: Path, tmp_path: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL))
        process = command("resume", run_id, "--db", db)
        wait_until(lambda: server.usable > 40)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        interrupted = finish(process, 20.0)
        assert time.monotonic() - began < 5.0
        assert interrupted.status == 130
        assert f"Go on with: python -m autosynth_core resume {run_id} --db {db}" in interrupted.said
        assert "Traceback" not in interrupted.said
        with Store.open(db) as store:
            assert store.run(run_id).state is RunState.INTERRUPTED
            assert store.lease(run_id) is None
        finished = finish(command("resume", run_id, "--db", db, "--json"))
        assert finished.status == 0
        assert finished.json["state"] == "finished"
        assert server.usable == recorded_bodies(db).total()
        whole = tmp_path / "whole.db"
        assert tree_of(db, run_id) == tree_of(whole, new_search(whole, server, **SMALL))
    assert max(recorded_keys(db).values()) == 1


def test_command_interrupted_while_the_endpoint_hangs_gives_up_on_it(db: Path) -> None:
    """Calls under way are waited for, as they are paid for; but not for ever."""
    with OpenAIServer(ScriptedModels(), delay_s=300.0, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL, timeout_s=300.0))
        process = command("resume", run_id, "--db", db)
        wait_until(lambda: server.in_flight > 0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        interrupted = finish(process, 30.0)
        assert time.monotonic() - began < 20.0
    assert interrupted.status == 130
    assert "Go on with: python -m autosynth_core resume" in interrupted.said
    assert "Traceback" not in interrupted.said
    assert "Unclosed" not in interrupted.said
    with Store.open(db) as store:
        assert store.run(run_id).state is RunState.INTERRUPTED


@pytest.mark.parametrize("batch", [0, 1])
def test_short_searches_end_with_status_0_every_time(batch: int, tmp_path: Path) -> None:
    """A process that ends right after the sandbox's workers may abort with status 134 instead."""
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        tiny = {"iterations": 1, "seed_inputs": 2, "metric_candidates": 1, "metric_count": 1}
        runs = []
        for number in range(5):
            db = tmp_path / f"{batch}-{number}.db"
            runs.append(command("resume", add_run(db, settings_for(server, **tiny)), "--db", db, "--json"))
        outcomes = [finish(run) for run in runs]
    assert [(outcome.status, outcome.json["state"]) for outcome in outcomes] == [(0, "finished")] * 5


def test_command_whose_database_is_deleted_ends_before_more_is_spent(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.3, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **{**SMALL, "iterations": 200, "workers": 1}))
        process = command("resume", run_id, "--db", db)
        wait_until(lambda: server.usable > 20)
        for file in db.parent.glob("search.db*"):
            file.unlink()
        ended = finish(process, 20.0)
    assert ended.status == 2
    assert "The database is gone" in ended.said.splitlines()[-1]
    assert "Traceback" not in ended.said
    assert not db.exists()


def test_command_whose_database_can_grow_no_more_ends_with_one_sentence(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.05, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **{**SMALL, "iterations": 200}))
        process = command("resume", run_id, "--db", db)
        wait_until(lambda: server.usable > 20)
        most = db.with_name("search.db-wal").stat().st_size + 50_000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        ended = finish(process, 30.0)
    assert ended.status == 2
    assert "Traceback" not in ended.said
    assert f"The database {db} can't be used (disk I/O error)" in ended.said.splitlines()[-1]
