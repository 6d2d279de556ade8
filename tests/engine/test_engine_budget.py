"""A budget is never overrun, ends a run in an orderly way, and can be raised without paying twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_runs import add_run, count, new_search, recorded_keys, run_to_its_end, settings_for, tree_of
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.config import ModelSettings
from autosynth_core.engine.control import resume
from autosynth_core.records import RunState, StopReason
from autosynth_core.store import Store

SMALL: dict[str, Any] = {"iterations": 5, "seed_inputs": 2, "metric_candidates": 1}
USD_A_MILLION = 10.0


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own prices, which win over "a model on this machine is free"."""
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps({"models": {"scripted": {"prompt": USD_A_MILLION, "completion": USD_A_MILLION}}}), encoding="utf-8"
    )
    monkeypatch.setenv("AUTOSYNTH_PRICES", str(path))


@pytest.mark.usefixtures("prices")
def test_budget_reached_in_the_middle_keeps_what_was_paid_and_goes_on_when_raised(db: Path, tmp_path: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.01, models=["scripted"]) as server:
        whole = tmp_path / "whole.db"
        unbroken_tree = tree_of(whole, new_search(whole, server, **SMALL))
    with Store.open(whole) as store:
        cap = round(0.4 * store.usage(store.runs()[0].id).usd, 4)

    with OpenAIServer(ScriptedModels(), delay_s=0.01, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL, budget_usd=cap))
        run = run_to_its_end(db, run_id)
        assert (run.state, run.reason) == (RunState.FINISHED, StopReason.BUDGET)
        with Store.open(db) as store:
            spent = store.usage(run_id).usd
            assert any("raise the budget to go on" in event.message for event in store.events(run_id))
        assert 0.7 * cap < spent <= cap
        assert spent == pytest.approx(server.billed_tokens * USD_A_MILLION / 1e6)
        assert count(db, "calls") == server.usable

        with Store.open(db) as store:
            resume(store, run_id, budget_usd=100 * cap)
        assert run_to_its_end(db, run_id).reason == StopReason.ITERATIONS
        assert count(db, "calls") == server.usable
    assert max(recorded_keys(db).values()) == 1
    assert tree_of(db, run_id) == unbroken_tree


@pytest.mark.usefixtures("prices")
def test_budget_too_small_for_the_first_call_ends_the_run_before_it(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL, budget_usd=0.0001))
        assert run_to_its_end(db, run_id).reason == StopReason.BUDGET
        assert server.calls == 0


def test_budget_in_tokens_counts_what_the_endpoint_bills(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.01, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL, budget_tokens=40_000))
        assert run_to_its_end(db, run_id).reason == StopReason.BUDGET
        assert 20_000 < server.billed_tokens <= 40_000


def test_budget_in_dollars_without_a_price_is_refused_before_any_call(db: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        elsewhere = ModelSettings(
            base_url=f"http://models.invalid:{server.port}/v1", optimizer="own", evaluator="own", generator="own"
        )
        settings = settings_for(server, **SMALL, budget_usd=5.0).model_copy(update={"models": elsewhere})
        run = run_to_its_end(db, add_run(db, settings))
        assert server.calls == 0
    assert run.state is RunState.FAILED
    assert run.reason == (
        "There is a budget in dollars but no price for 'own'; give its price in a file named by AUTOSYNTH_PRICES, "
        "or set a budget in tokens instead."
    )
