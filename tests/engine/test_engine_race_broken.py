"""Races on demand that are killed, stopped, paused, capped or cut off: the run is as before, nothing is paid twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from engine_runs import (
    KEY,
    add_run,
    an_engine,
    asked_of,
    command,
    finish,
    new_search,
    put_to_sleep,
    recorded_bodies,
    recorded_keys,
    settings_for,
    time_passes,
    tree_of,
    wait_until,
)
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels

from autosynth_core.__main__ import main
from autosynth_core.engine import pause, race, resume, stop
from autosynth_core.engine.control import LIVE
from autosynth_core.engine.owner import STALE_AFTER_S, recover
from autosynth_core.errors import InputError, SettingsError
from autosynth_core.records import RaceResult, Run, RunState, StopReason
from autosynth_core.store import Store

SEARCHED: dict[str, Any] = {"iterations": 4, "seed_inputs": 3, "metric_candidates": 1}
USD_A_MILLION = 10.0


class Dial:
    """Scripted models whose pace a test sets."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._models = ScriptedModels()

    def __call__(self, body: dict[str, Any]) -> Reply:
        return replace(self._models(body), delay_s=self.delay_s)


class Case(NamedTuple):
    """A finished search, and what its race comes to when nothing happens to it."""

    db: Path
    run: Run
    server: OpenAIServer
    dial: Dial
    unbroken: RaceResult
    calls: int  # paid in the unbroken race
    tokens: int  # billed for them

    @property
    def id(self) -> str:
        return self.run.id


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder, dial = tmp_path_factory.mktemp("searched"), Dial()
    db, whole = folder / "search.db", folder / "whole.db"
    with pytest.MonkeyPatch.context() as patch, OpenAIServer(dial, models=["scripted"]) as server:
        patch.setenv("OPENAI_API_KEY", KEY)
        run_id = new_search(db, server, **SEARCHED)
        shutil.copy(db, whole)
        calls, tokens = server.usable, server.billed_tokens
        with Store.open(whole) as store:
            run = store.run(run_id)
            race(store, run_id)
        assert race_to_its_end(whole, run_id) == run
        with Store.open(whole) as store:
            (unbroken,) = store.races(run_id)
        yield Case(db, run, server, dial, unbroken, server.usable - calls, server.billed_tokens - tokens)


@pytest.fixture
def case(searched: Case, db: Path) -> Iterator[Case]:
    shutil.copy(searched.db, db)
    searched.dial.delay_s = 0.02
    yield searched._replace(db=db)
    searched.dial.delay_s = 0.0


def race_to_its_end(db: Path, run_id: str) -> Run:
    with an_engine(db, run_id) as store:
        wait_until(lambda: store.run(run_id).state not in LIVE, 60)
        return store.run(run_id)


@contextmanager
def racing(case: Case, after: int, **caps: Any) -> Iterator[Store]:
    """A race that has been answered so many calls."""
    answered = case.server.usable
    with Store.open(case.db) as store:
        race(store, case.id, **caps)
    with an_engine(case.db, case.id) as store:
        wait_until(lambda: case.server.usable - answered >= after)
        yield store


def not_live(store: Store, run_id: str) -> Run:
    wait_until(lambda: store.run(run_id).state not in LIVE)
    return store.run(run_id)


def same_race(one: RaceResult, other: RaceResult) -> bool:
    return replace(one, at=0.0) == replace(other, at=0.0)


def goes_on_to_its_end(case: Case) -> None:
    """Raced again the race ends as the unbroken one; not a call is paid for twice, none asked that was answered."""
    known, since = recorded_bodies(case.db), len(case.server.received)
    with Store.open(case.db) as store:
        race(store, case.id)
    assert race_to_its_end(case.db, case.id) == case.run
    with Store.open(case.db) as store:
        (result,) = store.races(case.id)
        assert store.race_asked(case.id) is None
        assert store.pending(case.id) == []
    assert same_race(result, case.unbroken)
    assert max(recorded_keys(case.db).values()) == 1
    # two samples of one recipe may say the same and be judged twice: what is asked now is what is recorded now
    assert asked_of(case.server, since) == recorded_bodies(case.db) - known


def last_told(case: Case) -> str:
    with Store.open(case.db) as store:
        event = store.events(case.id)[-1]
    assert event.kind == "race not finished", event
    return event.message


# --- killed -------------------------------------------------------------------------------------------------------


def start_command(case: Case, after: int, *words: str) -> Any:
    answered = case.server.usable
    process = command("resume", case.id, "--race", "--db", case.db, *words)
    wait_until(lambda: case.server.usable - answered >= after)
    return process


def kill(process: Any) -> None:
    process.kill()
    process.communicate()


def test_run_whose_race_is_killed_is_what_it_was_and_the_race_goes_on(case: Case) -> None:
    kill(start_command(case, case.calls // 2))
    before = tree_of(case.db, case.id)
    with Store.open(case.db) as store:
        assert store.run(case.id).state is RunState.RUNNING
        paid = store.usage(case.id).calls
        recover(store, time.time())
        assert store.run(case.id) == case.run
        assert store.lease(case.id) is None
        recover(store, time.time())
        assert sum(event.kind == "race not finished" for event in store.events(case.id)) == 1
    assert "another race goes on from there" in last_told(case)
    assert tree_of(case.db, case.id) == before
    goes_on_to_its_end(case)
    with Store.open(case.db) as store:
        assert store.usage(case.id).calls > paid
    assert tree_of(case.db, case.id) == before


def test_race_killed_again_and_again_comes_to_the_same_end(case: Case) -> None:
    rng = random.Random(4)
    lost = 0
    for _ in range(3):
        process = start_command(case, rng.randint(0, case.calls // 5))
        known = recorded_keys(case.db)
        kill(process)
        lost += (known - recorded_keys(case.db)).total()
        with Store.open(case.db) as store:
            assert store.run(case.id).state in (RunState.RUNNING, RunState.QUEUED, RunState.FINISHED)
    assert lost == 0
    ended = finish(command("resume", case.id, "--race", "--db", case.db, "--json"))
    assert ended.status == 0, ended.said
    assert (ended.json["state"], ended.json["reason"]) == ("finished", case.run.reason)
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
        (result,) = store.races(case.id)
    assert same_race(result, case.unbroken)
    assert max(recorded_keys(case.db).values()) == 1


def test_stopped_run_whose_race_is_killed_in_a_pause_is_stopped_as_before(case: Case) -> None:
    with Store.open(case.db) as store:
        store.set_run_state(case.id, RunState.STOPPED, "An alarm about the judge went off.")
        before = store.run(case.id)
        process = start_command(case, 5)
        pause(store, case.id)
        wait_until(lambda: store.run(case.id).state is RunState.PAUSED)
        kill(process)
        assert store.run(case.id).state is RunState.PAUSED
        recover(store, time.time())
        assert store.run(case.id) == before


def test_killed_race_is_no_search_to_go_on_with(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --race the command extends a finished search; it must not take the race for a search that was cut off."""
    kill(start_command(case, 5))
    asked = case.server.calls
    assert main(["resume", case.id, "--db", str(case.db)]) == 2
    assert "This search is finished" in capsys.readouterr().err
    assert case.server.calls == asked
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run


def test_race_that_was_queued_when_everything_died_is_withdrawn_by_the_next_command(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store.open(case.db) as store:
        race(store, case.id)
        assert store.run(case.id).state is RunState.QUEUED
    assert main(["resume", case.id, "--db", str(case.db)]) == 2
    assert "This search is finished" in capsys.readouterr().err
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
        race(store, case.id)
    assert main(["resume", case.id, "--race", "--db", str(case.db)]) == 0
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
        assert len(store.races(case.id)) == 1


def test_process_that_slept_through_the_end_of_its_race_writes_nothing_more(case: Case) -> None:
    sleeper = start_command(case, 10)
    put_to_sleep(sleeper, case.db)
    try:
        time_passes(case.db, 2 * STALE_AFTER_S)
        with Store.open(case.db) as store:
            recover(store, time.time())
            assert store.run(case.id) == case.run
            told = len(store.events(case.id))
    finally:
        sleeper.send_signal(signal.SIGCONT)
    assert finish(sleeper, 30.0).status in (2, 3)
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
        assert store.races(case.id) == []
        assert len(store.events(case.id)) == told
    case.dial.delay_s = 0.0
    goes_on_to_its_end(case)


# --- stopped, paused, the program's end ---------------------------------------------------------------------------


def test_stopped_race_is_told_and_goes_on_when_pressed_again(case: Case) -> None:
    with racing(case, case.calls // 3) as store:
        stop(store, case.id)
        assert not_live(store, case.id) == case.run
        assert store.races(case.id) == []
    assert last_told(case).startswith("The race was stopped.")
    goes_on_to_its_end(case)


def test_race_stopped_and_resumed_at_once_goes_on(case: Case) -> None:
    with racing(case, case.calls // 3) as store:
        stop(store, case.id)
        resume(store, case.id)
        assert not_live(store, case.id) == case.run
        (result,) = store.races(case.id)
    assert same_race(result, case.unbroken)
    assert max(recorded_keys(case.db).values()) == 1


def test_race_stopped_before_it_began_leaves_the_run_as_it_was(case: Case) -> None:
    asked = case.server.calls
    with Store.open(case.db) as store:
        race(store, case.id)
        stop(store, case.id)
    assert race_to_its_end(case.db, case.id) == case.run
    assert last_told(case) == "The race was stopped before it began."
    assert case.server.calls == asked


def test_paused_race_makes_no_call_and_goes_on_when_resumed(case: Case) -> None:
    with racing(case, case.calls // 3) as store:
        pause(store, case.id)
        wait_until(lambda: store.run(case.id).state is RunState.PAUSED)
        wait_until(lambda: case.server.in_flight == 0)
        asked = case.server.calls
        time.sleep(0.5)
        assert case.server.calls == asked
        resume(store, case.id)
        assert not_live(store, case.id) == case.run
        (result,) = store.races(case.id)
    assert same_race(result, case.unbroken)


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_race_at_the_end_of_the_program_is_told_and_goes_on(paused: bool, case: Case) -> None:
    with racing(case, case.calls // 3) as store:
        if paused:
            pause(store, case.id)
            wait_until(lambda: store.run(case.id).state is RunState.PAUSED)
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
    assert last_told(case).startswith("The program ended in the middle of the race.")
    goes_on_to_its_end(case)


def test_interrupted_command_says_how_to_race_again(case: Case) -> None:
    process = start_command(case, 10)
    process.send_signal(signal.SIGINT)
    ended = finish(process, 20.0)
    assert ended.status == 130
    assert ended.said.splitlines()[-2].startswith("The program ended in the middle of the race.")
    assert ended.said.splitlines()[-1] == (
        f"Race again with: python -m autosynth_core resume {case.id} --race --db {case.db}"
    )
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run


# --- the endpoint -------------------------------------------------------------------------------------------------


def test_race_whose_endpoint_dies_is_told_and_goes_on_when_it_is_back(db: Path) -> None:
    server = OpenAIServer(Dial(), delay_s=0.02, models=["scripted"]).start()
    run_id = new_search(db, server, **SEARCHED, attempts=2)
    with Store.open(db) as store:
        run, answered = store.run(run_id), server.usable
        race(store, run_id)
    with an_engine(db, run_id) as store:
        wait_until(lambda: server.usable - answered > 10)
        server.stop()
        assert not_live(store, run_id) == run
        told = store.events(run_id)[-1]
        assert told.message.startswith(f"The race could not be finished: Nothing answers at {server.base_url}")
    assert main(["resume", run_id, "--race", "--db", str(db)]) == 3
    paid = recorded_keys(db)
    with OpenAIServer(ScriptedModels(), models=["scripted"], port=server.port) as revived:
        with Store.open(db) as store:
            race(store, run_id)
        assert race_to_its_end(db, run_id) == run
        assert revived.usable == (recorded_keys(db) - paid).total()
    with Store.open(db) as store:
        assert len(store.races(run_id)) == 1
    assert max(recorded_keys(db).values()) == 1


# --- caps ---------------------------------------------------------------------------------------------------------


def test_race_spends_no_more_than_its_own_cap_and_leaves_the_run_its_settings(case: Case) -> None:
    """What the search itself has spent is far above this cap, and no part of it."""
    cap, billed = case.tokens // 2, case.server.billed_tokens
    with Store.open(case.db) as store:
        usage = store.usage(case.id)
        assert usage.prompt_tokens + usage.completion_tokens > cap
        race(store, case.id, budget_tokens=cap)
    assert race_to_its_end(case.db, case.id) == case.run
    assert cap / 2 < case.server.billed_tokens - billed <= cap
    assert f"The race could not be finished: The budget of {cap:,} tokens is used up" in last_told(case)
    with Store.open(case.db) as store:
        assert store.races(case.id) == []
    goes_on_to_its_end(case)


def test_capped_race_goes_on_under_the_next_cap(case: Case) -> None:
    """Each go has its cap anew, as what was paid before costs nothing."""
    goes = 0
    with Store.open(case.db) as store:
        while not store.races(case.id):
            race(store, case.id, budget_tokens=case.tokens // 2)
            race_to_its_end(case.db, case.id)
            goes += 1
            assert goes < 8
        assert goes > 1
        assert same_race(store.races(case.id)[0], case.unbroken)
    assert max(recorded_keys(case.db).values()) == 1


def test_cap_is_kept_by_a_race_that_is_queued_while_no_engine_is_there(case: Case) -> None:
    with Store.open(case.db) as store:
        race(store, case.id, budget_tokens=100)
    asked = case.server.calls
    race_to_its_end(case.db, case.id)
    assert case.server.calls == asked
    assert "The budget of 100 tokens is used up" in last_told(case)


def test_cap_of_one_kind_leaves_the_runs_own_of_the_other_kind(case: Case) -> None:
    with Store.open(case.db) as store:
        settings = json.loads(case.run.settings)
        store.set_settings(case.id, json.dumps({**settings, "budget_tokens": 1000}))
        before = store.run(case.id)
        race(store, case.id, budget_usd=1000.0)
    asked = case.server.calls
    assert race_to_its_end(case.db, case.id) == before
    assert case.server.calls == asked
    assert "The budget of 1,000 tokens is used up" in last_told(case)
    with Store.open(case.db) as store:
        assert store.races(case.id) == []


def test_race_of_a_run_without_budget_left_needs_a_cap_of_its_own(case: Case) -> None:
    with Store.open(case.db) as store:
        settings = json.loads(case.run.settings)
        store.set_settings(case.id, json.dumps({**settings, "budget_tokens": 1000}))
        store.set_run_state(case.id, RunState.FINISHED, StopReason.BUDGET)
        before = store.run(case.id)
        asked = case.server.calls
        race(store, case.id)
    assert race_to_its_end(case.db, case.id) == before
    assert case.server.calls == asked
    assert "The budget of 1,000 tokens is used up" in last_told(case)
    assert main(["resume", case.id, "--race", "--budget-tokens", str(3 * case.tokens), "--db", str(case.db)]) == 0
    with Store.open(case.db) as store:
        assert store.run(case.id) == before
        assert same_race(store.races(case.id)[0], case.unbroken)


def test_race_is_capped_in_dollars(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = {"models": {"scripted": {"prompt": USD_A_MILLION, "completion": USD_A_MILLION}}}
    (tmp_path / "prices.json").write_text(json.dumps(prices), encoding="utf-8")
    monkeypatch.setenv("AUTOSYNTH_PRICES", str(tmp_path / "prices.json"))
    whole, billed = case.tokens * USD_A_MILLION / 1e6, case.server.billed_tokens
    assert main(["resume", case.id, "--race", "--budget-usd", f"{whole / 2:.5f}", "--db", str(case.db)]) == 2
    spent = (case.server.billed_tokens - billed) * USD_A_MILLION / 1e6
    assert whole / 4 < spent <= whole / 2
    assert main(["resume", case.id, "--race", "--budget-usd", f"{3 * whole:.5f}", "--db", str(case.db)]) == 0
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store, run_id: race(store, run_id, budget_usd=0.0), id="no dollars"),
        pytest.param(lambda store, run_id: race(store, run_id, budget_usd=-1.0), id="less than no dollars"),
        pytest.param(lambda store, run_id: race(store, run_id, budget_usd=float("nan")), id="no number"),
        pytest.param(lambda store, run_id: race(store, run_id, budget_usd=float("inf")), id="dollars without end"),
        pytest.param(lambda store, run_id: race(store, run_id, budget_tokens=0), id="no tokens"),
    ],
)
def test_cap_out_of_range_is_refused_and_leaves_the_run_as_it_was(
    ask: Callable[[Store, str], None], case: Case
) -> None:
    with Store.open(case.db) as store:
        with pytest.raises(SettingsError, match=r"^budget_\w+ must be .*; give another value, the run is as it was\.$"):
            ask(store, case.id)
        assert store.run(case.id) == case.run
        assert store.race_asked(case.id) is None


@pytest.mark.parametrize("words", [("--budget-usd", "0"), ("--budget-usd", "nan"), ("--budget-tokens", "-5")])
def test_command_refuses_a_cap_out_of_range_in_one_sentence(
    words: tuple[str, str], case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", case.id, "--race", *words, "--db", str(case.db)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "must be" in said
    with Store.open(case.db) as store:
        assert store.run(case.id) == case.run
        assert store.lease(case.id) is None


def test_race_under_way_is_not_asked_for_again(case: Case) -> None:
    with racing(case, 3) as store:
        with pytest.raises(InputError, match=r"^This run is running; a race is for"):
            race(store, case.id)
        assert not_live(store, case.id) == case.run


def test_search_that_is_killed_is_interrupted_as_ever(db: Path) -> None:
    """Also one that raced before: nothing of that race is left that could be mistaken for another."""
    with OpenAIServer(ScriptedModels(), delay_s=0.02, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **{**SEARCHED, "iterations": 2}))
        assert finish(command("resume", run_id, "--db", db)).status == 0
        assert finish(command("resume", run_id, "--race", "--db", db)).status == 0
        answered = server.usable
        process = command("resume", run_id, "--iterations", "30", "--db", db)
        wait_until(lambda: server.usable - answered > 20)
        kill(process)
    with Store.open(db) as store:
        recover(store, time.time())
        assert store.run(run_id).state is RunState.INTERRUPTED
