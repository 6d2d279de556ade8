"""The race: what it costs at most, who runs in it, and that going on after a crash changes nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from search_cases import Searched, db, make_task, resumed, search, small

from autosynth_core.config import Expansion
from autosynth_core.engine.journal import StoreJournal
from autosynth_core.records import Example, SeedInput, Task
from autosynth_core.search.race import LEAST_SEALED, Allowance, at_the_end, most_samples, on_demand
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox

Serve = Callable[..., OpenAIServer]

RACED = {
    "expansion": Expansion.EDITS, "iterations": 12, "workers": 2, "seed_inputs": 8, "sampling": "staged",
    "metric_refresh": 0, "measure_noise": True, "check_fitness": True, "race_contenders": 3, "convergence": "never",
}  # fmt: skip


def task() -> Task:
    """Ten seed inputs to search on, eight that are kept aside, and examples for the judge to be tried on."""
    inputs = [SeedInput({"concept": f"concept {number}", "grade": "7"}) for number in range(18)]
    good = tuple(Example({"concept": f"good {n}", "grade": "7"}, {"text": f"A fine text. Number {n}."}) for n in (1, 2))
    bad = tuple(Example({"concept": f"bad {n}", "grade": "7"}, {"text": f"Nothing {n}."}) for n in (1, 2))
    return make_task(
        search_seeds=tuple(inputs[:10]), sealed_seeds=tuple(inputs[10:]), good_examples=good, bad_examples=bad
    )


def raced_samples(found: Searched) -> list[tuple[str, str, int]]:
    """Workflow, seed input and replicate of every sample on the inputs that were kept aside."""
    sealed = {seed.id for seed in task().sealed_seeds}
    made = found.store.samples(found.run_id)
    return [(each.fingerprint, each.seed.id, each.replicate) for each in made if each.seed.id in sealed]


async def test_search_and_race_judge_no_more_than_a_full_look_at_each_recipe(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    found = await search(store, sandbox, small(serve(), **RACED), task=task())
    journal = StoreJournal(store, found.run_id)
    in_search = journal.judged_count("scripted", {seed.id for seed in task().sealed_seeds})
    whole = journal.judged_count("scripted", ())
    assert whole - in_search == len(raced_samples(found)) > 0
    assert whole <= len(found.nodes) * 8
    (race,) = store.races(found.run_id)
    assert min(race.contenders.values()) >= 2  # who ran in no round was not raced
    assert len(raced_samples(found)) <= most_samples(3, 8, at_the_end(8, len(found.nodes) * 8 - in_search))


async def test_everything_that_a_judge_was_shown_is_counted_once(store: Store, sandbox: Sandbox, serve: Serve) -> None:
    server = serve()
    found = await search(store, sandbox, small(server, **RACED), task=task())
    asked = {row.purpose for row in store.calls_of(found.run_id)}
    verdicts = [each for each in store.verdicts(found.run_id) if each.version != "workflow"]
    assert StoreJournal(store, found.run_id).judged_count("scripted", ()) * 2 == len(verdicts)
    assert {"fitness", "noise", "verdict"} <= asked


async def test_when_the_inputs_are_used_up_leaders_write_another_sample_on_each(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    found = await search(
        store, sandbox, small(serve(), **{**RACED, "iterations": 16, "workflow_weight": 0}), task=task()
    )
    made = raced_samples(found)
    assert len(made) == len(set(made))
    again = [each for each in made if each[2] > 0]
    assert again
    for fingerprint, seed, replicate in again:
        assert (fingerprint, seed, replicate - 1) in made
    (race,) = store.races(found.run_id)
    assert max(race.contenders.values()) > 4  # of the eight, four are for the score that is reported
    confirmed = Counter(seed for _, seed, _ in made)
    assert sum(count <= 2 for count in confirmed.values()) == 4


async def test_race_after_a_crash_in_it_is_the_unbroken_one(
    store: Store, sandbox: Sandbox, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    found = await search(store, sandbox, small(server, **RACED), task=task())
    (unbroken,) = store.races(found.run_id)
    made, asked = raced_samples(found), len(server.received)
    with closing(sqlite3.connect(db(tmp_path))) as connection, connection:
        connection.execute("DELETE FROM races WHERE run_id = ?", (found.run_id,))
    again = await resumed(store, sandbox, found.run_id)
    (result,) = store.races(found.run_id)
    assert replace(result, at=0.0) == replace(unbroken, at=0.0)
    assert raced_samples(again) == made
    assert len(server.received) == asked


@pytest.mark.parametrize("sealed", [0, 1, LEAST_SEALED - 1])
def test_too_few_inputs_kept_aside_are_no_race(sealed: int) -> None:
    assert most_samples(4, sealed, Allowance(10**6, 4)) == 0


@pytest.mark.parametrize("sealed", [LEAST_SEALED, 8, 13, 40])
@pytest.mark.parametrize("contenders", [2, 4, 20])
def test_most_samples_grow_with_the_allowance_up_to_four_laps(contenders: int, sealed: int) -> None:
    kept = max(4, sealed // 2)
    allowed = [at_the_end(sealed, saved) for saved in range(-50, 4000, 50)]
    most = [most_samples(contenders, sealed, allowance) for allowance in allowed]
    assert most == sorted(most)
    assert {each.confirm for each in allowed} == {min(kept, 8)}
    assert most[0] == 2 * contenders + 2 * min(kept, 8)  # the first round is run in any case
    assert most[-1] == 4 * contenders * (sealed - kept) + 2 * kept
    asked = on_demand(contenders, sealed)
    assert asked.confirm == kept
    assert most_samples(contenders, sealed, asked) == max(asked.samples, 2 * contenders + 2 * kept)


def test_recipe_that_races_alone_is_only_confirmed() -> None:
    assert most_samples(1, 10, at_the_end(10, 10**6)) == 2 * 5
    assert most_samples(1, 40, at_the_end(40, 0)) == 2 * 8


@pytest.mark.parametrize(("saved", "inputs"), [(0, 8), (60, 12)])
async def test_what_the_rounds_leave_goes_to_the_confirmation(
    saved: int, inputs: int, store: Store, sandbox: Sandbox, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, a recipe has no rounds: all that was saved confirms it, as far as there are inputs."""
    monkeypatch.setattr("autosynth_core.search.mcts.at_the_end", lambda sealed, _: at_the_end(sealed, saved))
    more = tuple(SeedInput({"concept": f"sealed {number}", "grade": "7"}) for number in range(24))
    settings = small(serve(), **{**RACED, "iterations": 1, "race_contenders": 1})
    found = await search(store, sandbox, settings, task=replace(task(), sealed_seeds=more))
    sealed = {seed.id for seed in more}
    made = [each for each in store.samples(found.run_id) if each.seed.id in sealed]
    assert len({each.seed.id for each in made}) == inputs
    (race,) = store.races(found.run_id)
    assert race.sealed.n == inputs
