"""What the engine's tests share: a search on scripted models, run here or as a command, and its tree to compare."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels

from autosynth_core.config import CallSettings, ModelSettings, RunSettings
from autosynth_core.engine import Owner, read_brief, start_search
from autosynth_core.engine.control import LIVE
from autosynth_core.llm.protocol import request_body
from autosynth_core.records import Run, RunState
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task
from autosynth_core.views.scored import scored_run

ROOT = Path(__file__).parents[2]
TASK_FILE = ROOT / "data" / "tasks" / "science-analogies.json"
KEY = "sk-scripted-0123456789"


class Leaf(NamedTuple):
    """What must be the same of a node, however its run went. ``reward`` is in 0..1."""

    number: int
    parent: int | None
    state: str
    form: str
    operator: str
    target: str
    modification: str
    source: str
    fingerprint: str
    metric_version: str
    reward: float | None


def settings_for(server: OpenAIServer, **given: Any) -> RunSettings:
    """A small search that does not converge before its iterations are used."""
    calls = {name: given.pop(name) for name in ("timeout_s", "attempts", "max_in_flight") if name in given}
    small: dict[str, Any] = {
        "iterations": 6, "workers": 4, "seed_inputs": 4, "metric_count": 2, "metric_candidates": 2,
        "convergence": "never", "metric_refresh": 1, "measure_noise": False, "race_contenders": 0,
    }  # fmt: skip
    return RunSettings(
        **{**small, **given},
        models=ModelSettings(base_url=server.base_url),
        calls=CallSettings(**{"timeout_s": 20.0, **calls}),
    )


def add_run(db: Path, settings: RunSettings) -> str:
    """A search that nobody works on yet."""
    with Store.open(db) as store:
        project = store.add_project(load_task(TASK_FILE))
        return start_search(store, project.id, settings, state=RunState.STOPPED).id


@contextmanager
def at_work(db: Path, run_id: str) -> Iterator[tuple[Store, Owner]]:
    """An engine in this process that works on the run, which is queued."""
    owner = Owner(db, only=frozenset({run_id}))
    with Store.open(db) as store:
        owner.start()
        store.set_run_state(run_id, RunState.QUEUED)
        try:
            yield store, owner
        finally:
            owner.close()
            if owner.failure is not None:
                raise owner.failure


def run_to_its_end(db: Path, run_id: str, within_s: float = 60.0) -> Run:
    """Work on the run until it is no longer live."""
    with at_work(db, run_id) as (store, _):
        return ended(store, run_id, within_s)


def ended(store: Store, run_id: str, within_s: float = 60.0) -> Run:
    wait_until(lambda: store.run(run_id).state not in LIVE, within_s)
    return store.run(run_id)


def wait_until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def new_search(db: Path, server: OpenAIServer, **given: Any) -> str:
    """A search made and run to its end in this process."""
    run_id = add_run(db, settings_for(server, **given))
    assert run_to_its_end(db, run_id).state is RunState.FINISHED
    return run_id


# --- the tree -----------------------------------------------------------------------------------------------------


def tree_of(db: Path, run_id: str) -> list[Leaf]:
    """The run's nodes with their rewards computed afresh from what is stored."""
    with Store.open(db) as store:
        nodes, scores = store.nodes(run_id), scored_run(store, run_id).scores
    rewards = {number: round(score.reward.total, 12) for number, score in scores.items()}
    return [
        Leaf(
            node.number, node.parent, node.state.value, node.form.value, node.operator, node.target,
            node.modification, node.source, node.fingerprint, node.metric_version, rewards.get(node.number),
        )
        for node in nodes
    ]  # fmt: skip


def task_of(db: Path, run_id: str) -> str:
    with Store.open(db) as store:
        return read_brief(store.run(run_id)).task.title


# --- calls --------------------------------------------------------------------------------------------------------


def canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True)


def recorded_keys(db: Path) -> Counter[str]:
    """How often each call's usable answer is in the log: more than once is paid for twice.

    Left out is what a model is asked to find out what it can do: that is asked of an address, here one a server.
    """
    with closing(sqlite3.connect(db, timeout=20)) as connection, connection:
        found = connection.execute(
            "SELECT key FROM calls WHERE status = 'ok' AND id NOT IN "
            "(SELECT call_id FROM call_uses WHERE purpose = 'probe')"
        )
        return Counter(key for (key,) in found)


def recorded_bodies(db: Path) -> Counter[str]:
    """The requests whose usable answers are in the log, as they went over the wire, and how often each."""
    with Store.open(db) as store:
        runs = [run.id for run in store.runs()]
        uses = [use for run_id in runs for use in store.calls_of(run_id, limit=1_000_000)]
    paid = [use for use in uses if use.paid and use.answer.status == "ok"]
    return Counter(canonical(request_body(use.request)) for use in paid)


def asked_of(server: OpenAIServer, since: int = 0) -> Counter[str]:
    """The requests that the server got, from the ``since``-th on."""
    return Counter(canonical(each.body) for each in server.received[since:])


def count(db: Path, table: str) -> int:
    with closing(sqlite3.connect(db, timeout=20)) as connection, connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def time_passes(db: Path, seconds: float) -> None:
    """Make every lease look so much older."""
    with closing(sqlite3.connect(db, timeout=20)) as connection, connection:
        connection.execute("UPDATE leases SET heartbeat = heartbeat - ?", (seconds,))


class Unsteady:
    """Scripted models that answer after a time drawn anew for each call."""

    def __init__(self, seed: int, most_s: float) -> None:
        self._random = random.Random(seed)
        self._most_s = most_s
        self._models = ScriptedModels()

    def __call__(self, body: dict[str, Any]) -> Reply:
        return replace(self._models(body), delay_s=self._random.uniform(0.001, self._most_s))


# --- commands -----------------------------------------------------------------------------------------------------


started: list[subprocess.Popen[str]] = []  # ended after each test, also after one that failed


def command(*words: object, **environment: str) -> subprocess.Popen[str]:
    """``python -m autosynth_core`` with these words, started."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AUTOSYNTH_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "autosynth_core", *map(str, words)],
        cwd=ROOT,
        env={**kept, "OPENAI_API_KEY": KEY, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    return process


def put_to_sleep(process: subprocess.Popen[str], db: Path) -> None:
    """Suspend the process while it holds no lock of the database's."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(db, timeout=0.2)) as connection:
                connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)


def end_commands() -> None:
    """Kill what a failed test left behind."""
    for process in started:
        process.kill()
        process.communicate()
    started.clear()


class Ended(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    said: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out.splitlines()[-1]))


def finish(process: subprocess.Popen[str], within_s: float = 90.0) -> Ended:
    """Wait for a command."""
    try:
        out, said = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, said = process.communicate()
        raise AssertionError(f"still running after {within_s} s: {out} {said}") from None
    return Ended(process.returncode, out, said)


@contextmanager
def an_engine(db: Path, run_id: str) -> Iterator[Store]:
    """An engine that works on what is queued, without queueing it anew as ``at_work`` does."""
    owner = Owner(db, only=frozenset({run_id}))
    with Store.open(db) as store:
        owner.start()
        try:
            yield store
        finally:
            owner.close()
            assert owner.failure is None
