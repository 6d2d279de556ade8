"""A failing endpoint delays a search; it neither scores anything nor changes where the search arrives."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_runs import (
    TASK_FILE,
    add_run,
    at_work,
    ended,
    new_search,
    recorded_keys,
    run_to_its_end,
    settings_for,
    tree_of,
    wait_until,
)
from openai_server import Fault, Faults, OpenAIServer, Reply
from scripted_models import ScriptedModels

from autosynth_core.__main__ import main
from autosynth_core.engine.control import resume
from autosynth_core.llm.protocol import request_body
from autosynth_core.records import NodeState, RunState, VerdictMethod
from autosynth_core.store import Store

SMALL: dict[str, Any] = {"iterations": 4, "seed_inputs": 2, "metric_candidates": 1, "timeout_s": 1.0}
# A verdict is one token: an empty or cut-off one is an answer, upon which the judge is asked for sampled digits.
SPOILING = [kind for kind in Fault if kind not in (Fault.EMPTY, Fault.TRUNCATED)]


@pytest.fixture
def faultless_tree(tmp_path: Path) -> list[Any]:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        return tree_of(tmp_path / "faultless.db", new_search(tmp_path / "faultless.db", server, **SMALL))


def test_calls_that_succeed_at_last_give_the_faultless_tree(
    db: Path, faultless_tree: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    faults = Faults(0.3, seed=3, kinds=SPOILING, in_a_row=1, hang_s=5.0)
    with OpenAIServer(ScriptedModels(), models=["scripted"], faults=faults) as server:
        run_id = new_search(db, server, **SMALL)
    assert len(server.faults_sent) >= 5
    assert tree_of(db, run_id) == faultless_tree
    assert max(recorded_keys(db).values()) == 1
    assert main(["status", run_id, "--db", str(db), "--json"]) == 0
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert sum(failures.values()) == server.faults_sent.total()
    assert failures["time-out"] == server.faults_sent[Fault.HANG]


def test_no_failure_becomes_a_score(db: Path) -> None:
    """Every score is one that the judge gave to that very sample, and each failed call left its verdict without one."""
    faults = Faults(0.3, seed=5, kinds=tuple(Fault), hang_s=5.0)
    with OpenAIServer(ScriptedModels(), models=["scripted"], faults=faults) as server:
        run_id = new_search(db, server, **{**SMALL, "iterations": 6, "attempts": 3})
    assert len(server.faults_sent) >= 6
    given = _scores_given(db, run_id)
    with Store.open(db) as store:
        known = {sample.id for sample in store.samples(run_id)} | {node.fingerprint for node in store.nodes(run_id)}
        verdicts = [verdict for verdict in store.verdicts(run_id) if verdict.subject in known]
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    assert len(scored) > 20
    for verdict in scored:
        assert any(abs(score - verdict.score) < 1e-6 for score in given[verdict.subject, verdict.method])


def _scores_given(db: Path, run_id: str) -> dict[tuple[str, VerdictMethod], set[float]]:
    """What the scripted judge says of each sample and workflow, from the requests with a usable answer."""
    models = ScriptedModels()
    given: dict[tuple[str, VerdictMethod], set[float]] = {}
    with Store.open(db) as store:
        fingerprints = {node.number: node.fingerprint for node in store.nodes(run_id)}
        for use in store.calls_of(run_id, limit=100_000):
            if "verdict" not in use.purpose or use.answer.status != "ok" or use.node is None:
                continue
            reply = models(request_body(use.request))
            subject = use.sample_id or fingerprints[use.node]
            expected = sum(int(token) * 2.718281828459045**logprob for token, logprob in reply.first_token or ())
            given.setdefault((subject, VerdictMethod.EXPECTED), set()).add(expected)
            given.setdefault((subject, VerdictMethod.SAMPLED), set()).add(float(reply.text))
    return given


@pytest.mark.parametrize("delay_s", [0.05, 0.4], ids=["calls in flight end", "calls in flight are cut"])
def test_endpoint_that_dies_fails_the_run_which_resumes_to_the_same_tree(
    delay_s: float, db: Path, faultless_tree: list[Any]
) -> None:
    server = OpenAIServer(ScriptedModels(), delay_s=delay_s, models=["scripted"]).start()
    run_id = add_run(db, settings_for(server, **SMALL, attempts=2))
    with at_work(db, run_id) as (store, _):
        wait_until(lambda: server.usable > 40)
        server.stop()
        run = ended(store, run_id)
        assert run.state is RunState.FAILED
        assert run.reason.startswith(f"Nothing answers at {server.base_url}; start the model server")
    paid = recorded_keys(db)
    with OpenAIServer(ScriptedModels(), models=["scripted"], port=server.port) as revived:
        with Store.open(db) as store:
            resume(store, run_id)
        assert run_to_its_end(db, run_id).state is RunState.FINISHED
    assert tree_of(db, run_id) == faultless_tree
    assert max(recorded_keys(db).values()) == 1
    assert revived.usable == (recorded_keys(db) - paid).total()


def test_endpoint_that_fails_every_call_from_some_moment_on_fails_the_run_and_leaves_no_recipe_unscored(
    db: Path, faultless_tree: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Calls that fail one by one would use up the whole search and end it as finished."""
    models, good, asked = ScriptedModels(), 50.0, 0

    def answer(body: dict[str, Any]) -> Reply:
        nonlocal asked
        asked += 1
        return models(body) if asked <= good else Reply("boom", status=500)

    with OpenAIServer(answer, models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **SMALL, attempts=2))
        run = run_to_its_end(db, run_id)
        assert run.state is RunState.FAILED
        assert "calls in a row (server error) since" in run.reason
        good = math.inf
        assert main(["resume", run_id, "--db", str(db)]) == 0
    capsys.readouterr()
    assert [leaf.number for leaf in tree_of(db, run_id)] == [leaf.number for leaf in faultless_tree]
    assert not [leaf for leaf in tree_of(db, run_id) if leaf.state == NodeState.UNSCORED]


def test_recipe_left_unscored_by_the_endpoint_is_done_again_when_the_run_goes_on(
    db: Path, faultless_tree: list[Any]
) -> None:
    """Its samples fail for good in the first go; the run is extended when they work again."""
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, **{**SMALL, "workers": 1})
        with Store.open(db) as store:
            nodes = store.nodes(run_id)
            node = next(node for node in nodes[1:] if node.number not in {each.parent for each in nodes})
            store.put_node(replace(node, state=NodeState.UNSCORED, reason="no usable answer", metric_version=""))
            resume(store, run_id, iterations=5)
        asked = server.calls
        assert run_to_its_end(db, run_id).state is RunState.FINISHED
        again = server.calls - asked
    after = tree_of(db, run_id)
    assert [leaf.state for leaf in after][:5] == [leaf.state for leaf in faultless_tree]
    assert again < asked / 3  # what it had asked is in the log


def test_unscored_recipe_whose_program_was_scored_since_is_left_as_it_is(db: Path) -> None:
    """Done again it would be the twin of a recipe that has children already."""
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        run_id = new_search(db, server, **{**SMALL, "workers": 1})
        with Store.open(db) as store:
            nodes = store.nodes(run_id)
            early = next(node for node in nodes[1:] if node.number not in {each.parent for each in nodes})
            late = next(node for node in reversed(nodes) if node.state is NodeState.SCORED and node != early)
            unscored = replace(early, state=NodeState.UNSCORED, source=late.source, fingerprint=late.fingerprint)
            store.put_node(replace(unscored, metric_version=""))
            resume(store, run_id, iterations=5)
        assert run_to_its_end(db, run_id).state is RunState.FINISHED
    after = tree_of(db, run_id)
    assert [after[early.number].state, after[late.number].state] == [NodeState.UNSCORED, NodeState.SCORED]


@pytest.mark.parametrize(
    ("server_options", "model", "said"),
    [
        pytest.param({"api_key": "sk-another"}, "scripted", "refuses the key (HTTP 401)", id="key refused"),
        pytest.param({"models": ["scripted"]}, "gpt-9", "has no model 'gpt-9'", id="unknown model"),
    ],
)
def test_endpoint_that_refuses_for_good_ends_the_command_at_once_with_status_3(
    server_options: dict[str, Any], model: str, said: str, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OpenAIServer(ScriptedModels(), **server_options) as server:
        words = ["search", str(TASK_FILE), "--base-url", server.base_url, "--db", str(db), "--optimizer-model", model]
        assert main([*words, "--json"]) == 3
        assert server.usable == 0
        assert server.calls <= 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert "sk-scripted" not in captured.err
    assert json.loads(captured.out)["state"] == "failed"
