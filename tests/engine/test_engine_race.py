"""A race on demand, and a person's decision on criteria that were set aside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_runs import add_run, an_engine, at_work, count, ended, new_search, settings_for, tree_of, wait_until
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels

from autosynth_core.config import RunSettings
from autosynth_core.engine import decide_on_metrics, race, resume, stop
from autosynth_core.engine.control import LIVE
from autosynth_core.errors import InputError
from autosynth_core.records import Metric, MetricSet, RunState, Standing, StopReason
from autosynth_core.store import Store

RACED = {"iterations": 5, "race_contenders": 3, "convergence": "paper", "epsilon": 1.0, "patience": 2}


def raced(db: Path, run_id: str) -> None:
    with Store.open(db) as store:
        race(store, run_id)
    with an_engine(db, run_id) as store:
        wait_until(lambda: store.run(run_id).state not in LIVE, 60)


def test_race_on_demand_tries_nothing_new_and_leaves_the_run_as_it_was(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, **RACED)
        with Store.open(db) as store:
            before, looks, run = tree_of(db, run_id), store.looks(run_id), store.run(run_id)
            assert len(store.races(run_id)) == 1
        raced(db, run_id)
    with Store.open(db) as store:
        assert tree_of(db, run_id) == before
        assert store.looks(run_id) == looks
        after = store.run(run_id)
        assert (after.state, after.reason, after.settings) == (run.state, run.reason, run.settings)
        assert len(store.races(run_id)) == 2
        assert store.pending(run_id) == []


def test_race_on_demand_of_the_same_contenders_pays_for_nothing_twice(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, **RACED)
        raced(db, run_id)
        calls = len(server.received)
        raced(db, run_id)
        assert len(server.received) == calls
    with Store.open(db) as store:
        _, one, other = store.races(run_id)
    assert (one.winner, one.sealed, one.contenders) == (other.winner, other.sealed, other.contenders)


def test_race_on_demand_gives_a_search_without_contenders_the_usual_number(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, iterations=3)
        with Store.open(db) as store:
            before = store.run(run_id)
        raced(db, run_id)
    with Store.open(db) as store:
        (result,) = store.races(run_id)
        assert store.run(run_id) == before
    assert 1 <= len(result.contenders) <= RunSettings().race_contenders
    assert sum(result.contenders.values()) > 0 or len(result.contenders) == 1


def test_stopped_search_is_stopped_again_after_its_race_and_can_go_on(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"], delay_s=0.03) as server:
        run_id = add_run(db, settings_for(server, iterations=30, workers=2))
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: len(store.looks(run_id)) > 2)
            stop(store, run_id)
            assert ended(store, run_id).state is RunState.STOPPED
            reason = store.run(run_id).reason
        before = tree_of(db, run_id)
        raced(db, run_id)
        with Store.open(db) as store:
            assert (store.run(run_id).state, store.run(run_id).reason) == (RunState.STOPPED, reason)
            assert len(store.races(run_id)) == 1
            assert [leaf.number for leaf in tree_of(db, run_id)] == [leaf.number for leaf in before]
            resume(store, run_id)
        with at_work(db, run_id) as (store, _):
            wait_until(lambda: len(tree_of(db, run_id)) > len(before) + 1)


def test_race_that_the_endpoint_fails_says_so_and_the_search_stays_finished(db: Path) -> None:
    broken = [False]

    def answer(body: dict[str, Any]) -> Reply:
        return Reply(status=401) if broken[0] else ScriptedModels()(body)

    with OpenAIServer(answer, models=["scripted"]) as server:
        run_id = new_search(db, server, iterations=3)
        broken[0] = True
        raced(db, run_id)
    with Store.open(db) as store:
        assert (store.run(run_id).state, store.run(run_id).reason) == (RunState.FINISHED, StopReason.ITERATIONS)
        assert store.races(run_id) == []
        told = store.events(run_id)[-1]
    assert told.kind == "race not finished"
    assert "key" in told.message


def test_race_stopped_by_a_person_leaves_the_search_finished(db: Path) -> None:
    delay = [0.0]

    def answer(body: dict[str, Any]) -> Reply:
        return replace(ScriptedModels()(body), delay_s=delay[0])

    with OpenAIServer(answer, models=["scripted"]) as server:
        run_id = new_search(db, server, iterations=3)
        delay[0] = 0.3
        with Store.open(db) as store:
            race(store, run_id)
        with an_engine(db, run_id) as store:
            wait_until(lambda: store.run(run_id).state is RunState.RUNNING)
            stop(store, run_id)
            wait_until(lambda: store.run(run_id).state is not RunState.RUNNING)
            assert (store.run(run_id).state, store.run(run_id).reason) == (RunState.FINISHED, StopReason.ITERATIONS)


def test_race_is_refused_while_there_is_nothing_to_race(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server))
    with Store.open(db) as store:
        with pytest.raises(InputError, match="nothing to race"):
            race(store, run_id)
        store.set_run_state(run_id, RunState.RUNNING)
        with pytest.raises(InputError, match="is running"):
            race(store, run_id)
        assert count(db, "requests") == 0


def test_decision_on_criteria_is_taken_once(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server))
    new = MetricSet((Metric("Clear", "It is clear.", "No.", "Yes."),))
    with Store.open(db) as store:
        store.put_metric_set(run_id, new, 4, None, "", Standing.QUARANTINED, "why")
        decide_on_metrics(store, run_id, new.version, take=True)
        assert [entry.standing for entry in store.metric_sets(run_id)] == [Standing.RELEASED]
        with pytest.raises(InputError, match="do not wait"):
            decide_on_metrics(store, run_id, new.version, take=False)
        with pytest.raises(InputError, match="do not wait"):
            decide_on_metrics(store, run_id, "unknown", take=False)
        assert [entry.standing for entry in store.metric_sets(run_id)] == [Standing.RELEASED]
