"""What a search is said to cost before it starts, against what searches really ask for."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.config import ModelSettings, RunSettings, Sampling
from autosynth_core.engine import Owner, race, start_search, suggested_settings
from autosynth_core.judging import WORKFLOW_METRICS
from autosynth_core.llm.prices import Price, PriceTable
from autosynth_core.records import Project, Run, RunState
from autosynth_core.store import Store
from autosynth_core.views import Estimate, estimate, race_cost
from tests.views.plausible_run import example_task

TASK = example_task()
PLAIN: dict[str, Any] = {
    "sampling": Sampling.FIXED, "measure_noise": False, "check_fitness": False, "race_contenders": 0,
    "metric_refresh": 0,
}  # fmt: skip


def expected(stages: int = 1, *, logprobs: bool = True, embedded: bool = False, **given: Any) -> Estimate:
    settings = RunSettings(**{"iterations": 10, **given})
    return estimate(settings, TASK, stages=stages, logprobs=logprobs, embedded=embedded)


# --- against real searches --------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Scripted models; nothing of this machine's own settings."""
    for name in ("OPENAI_BASE_URL", "AUTOSYNTH_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted-0123456789")
    tries = itertools.count()

    def another(prompt: str, source: str) -> str:
        return ScriptedModels._better_program(f"{prompt}:{next(tries)}", source)  # no two recipes are the same

    with OpenAIServer(ScriptedModels(another), models=["scripted"]) as server:
        yield server


def work_on(store: Store, run_id: str) -> None:
    owner = Owner(Path(store.path), only=frozenset({run_id}))
    owner.start()
    try:
        for _ in range(3000):
            if store.run(run_id).state not in (RunState.QUEUED, RunState.RUNNING):
                return
            assert owner.failure is None
            time.sleep(0.02)
        raise AssertionError("the run did not end in time")
    finally:
        owner.close()


def searched(store: Store, project: Project, server: OpenAIServer, **given: Any) -> tuple[Run, Estimate]:
    """A search that uses all its iterations on recipes of one stage, and what was expected of it."""
    settings = RunSettings(
        **{"iterations": 6, "workers": 1, "convergence": "never", "expansion": "rewrite", **given},
        models=ModelSettings(base_url=server.base_url),
    )
    before = estimate(settings, project.task, stages=1, logprobs=True, embedded=False)
    run = start_search(store, project.id, settings)
    work_on(store, run.id)
    assert store.run(run.id).state is RunState.FINISHED
    return store.run(run.id), before


def asked_for(store: Store, run_id: str) -> Counter[str]:
    """Calls by purpose, those that the log answered too; without probes and mending, which are not estimated."""
    with closing(sqlite3.connect(store.path)) as db:
        rows = db.execute("SELECT purpose, count(*) FROM call_uses WHERE run_id = ? GROUP BY purpose", (run_id,))
        return Counter({purpose: number for purpose, number in rows if purpose not in ("probe", "repair")})


@pytest.mark.parametrize(
    ("given", "within"),
    [(PLAIN, 1.0), ({}, 1.4), ({"metric_refresh": 2, "seed_inputs": 10}, 1.5)],
    ids=["plain", "as usual", "new criteria often"],
)
def test_a_real_search_asks_for_no_more_than_was_estimated_and_not_for_much_less(
    store: Store, project: Project, scripted: OpenAIServer, given: dict[str, Any], within: float
) -> None:
    run, before = searched(store, project, scripted, **given)
    used, made = asked_for(store, run.id).total(), len(store.samples(run.id))
    assert made <= before.samples <= within * made
    assert used <= before.calls <= within * used


def test_a_real_race_asks_for_no_more_than_was_said_before_it(
    store: Store, project: Project, scripted: OpenAIServer
) -> None:
    run, _ = searched(store, project, scripted, **{**PLAIN, "iterations": 4})
    cost = race_cost(
        RunSettings.model_validate_json(run.settings),
        scored=5,
        sealed=len(TASK.sealed_seeds),
        stages=1,
        metrics=4,
        logprobs=True,
    )
    before, had = asked_for(store, run.id).total(), len(store.samples(run.id))
    race(store, run.id)
    work_on(store, run.id)
    (result,) = store.races(run.id)
    assert cost is not None
    assert len(result.contenders) <= cost.contenders
    assert 0 < len(store.samples(run.id)) - had <= cost.samples
    assert 0 < asked_for(store, run.id).total() - before <= cost.calls


# --- what it grows with -----------------------------------------------------------------------------------------------


def test_a_plain_search_is_counted_to_the_call() -> None:
    assert expected(**PLAIN).calls == 11 * (1 + 6) + 11 * (6 * 4 + len(WORKFLOW_METRICS.metrics)) + 3 + 10


@pytest.mark.parametrize(
    ("more", "grows"),
    [
        ({"iterations": 11}, True),
        ({"measure_noise": True}, True),
        ({"check_fitness": True}, True),
        ({"race_contenders": 4}, True),
        ({"metric_refresh": 5}, True),
        ({"sampling": Sampling.STAGED}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_part_of_a_search_is_in_its_estimate(more: dict[str, Any], grows: bool) -> None:
    before, after = expected(**PLAIN), expected(**{**PLAIN, **more})
    assert (after.calls > before.calls, after.tokens > before.tokens) == (grows, grows)
    assert after.basis != before.basis or "iterations" in more


def test_stages_draws_and_criteria_of_ones_own_cost_calls() -> None:
    small = expected()
    for larger in (expected(stages=2), expected(logprobs=False)):
        assert larger.calls > small.calls
    settings = RunSettings(iterations=10)
    own = estimate(settings, TASK, stages=1, logprobs=True, embedded=False, anchors=2)
    alone = settings.model_copy(update={"anchor_share": 1.0})
    assert own.calls > small.calls > estimate(alone, TASK, stages=1, logprobs=True, embedded=False, anchors=2).calls


def test_a_task_without_known_outputs_or_inputs_kept_aside_costs_no_check_and_no_race() -> None:
    bare = replace(TASK, good_examples=(), bad_examples=(), sealed_seeds=TASK.sealed_seeds[:5])
    settings = RunSettings(iterations=10)
    found = estimate(settings, bare, stages=1, logprobs=True, embedded=False)
    switched_off = expected(check_fitness=False, race_contenders=0)
    assert found == switched_off
    assert "race" not in found.basis
    assert race_cost(settings, scored=3, sealed=5, stages=1, metrics=4, logprobs=True) is None
    assert race_cost(settings, scored=0, sealed=22, stages=1, metrics=4, logprobs=True) is None


def test_a_task_that_is_not_complete_yet_has_an_estimate() -> None:
    empty = replace(TASK, title="", description="", must_nevers=(), search_seeds=(), sealed_seeds=(), good_examples=())
    assert estimate(RunSettings(), empty, stages=1, logprobs=True, embedded=True).calls > 0


def test_the_estimate_holds_for_the_runs_that_were_measured() -> None:
    """docs/embedded-run.md: 5 recipes took 25 minutes on two quiet cores, 59 on busy ones, and 116,000 tokens.

    They had none of what searches do besides since, and no earlier samples were judged by the new criteria.
    """
    settings = suggested_settings(embedded=True).model_copy(update={"iterations": 5, **PLAIN, "metric_refresh": 4})
    measured = estimate(settings, TASK, stages=2, logprobs=True, embedded=True)
    panel = 16 * 3
    assert measured.seconds is not None
    assert (measured.seconds[0] - panel * 4 / 2) / 60 == pytest.approx(25, rel=0.1)
    assert (measured.seconds[1] - panel * 10 / 2) / 60 == pytest.approx(59, rel=0.1)
    assert 116_000 < measured.tokens - panel * 902 < 2 * 116_000


def test_what_a_search_costs_is_known_only_where_every_models_price_is() -> None:
    found = expected()
    prices = PriceTable(own={"a": Price(prompt=1.0, completion=2.0), "b": Price(prompt=0.0, completion=0.0)})
    tokens = found.generator.prompt + 2 * found.generator.completion
    assert found.usd(prices, optimizer="b", evaluator="b", generator="a") == pytest.approx(tokens / 1e6)
    assert found.usd(prices, optimizer="b", evaluator="unknown", generator="a") is None
    assert found.usd(PriceTable(local=True), optimizer="x", evaluator="x", generator="x") == 0.0


def test_a_second_judge_is_paid_for_the_race_alone() -> None:
    alone, two = expected(), expected(models=ModelSettings(second_judge="a"))
    prices = PriceTable(own={"a": Price(prompt=1.0, completion=2.0), "b": Price(prompt=0.0, completion=0.0)})
    assert two.calls == alone.calls
    assert two.tokens == alone.tokens
    tokens = two.second_judge.prompt + 2 * two.second_judge.completion
    assert tokens > 0
    roles = {"optimizer": "b", "evaluator": "b", "generator": "b"}
    assert two.usd(prices, **roles, second_judge="a") == pytest.approx(tokens / 1e6)
    assert two.usd(prices, **roles, second_judge="unknown") is None
    assert alone.usd(prices, **roles) == 0.0
