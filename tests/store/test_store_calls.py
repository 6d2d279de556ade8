from __future__ import annotations

from dataclasses import replace

import pytest

from autosynth_core.records import Answer, ChatRequest, Run, RunKind, Scope, Task, TokenChoice, Usage
from autosynth_core.store import Store

NASTY = "NUL \x00, lone \ud83d and \udcff, 😀"
REQUEST = ChatRequest("model", (("system", NASTY), ("user", "hi")), 0.7, 64, '{"a":1}', 20, "draw", '{"b":2}')


def answer(request: ChatRequest = REQUEST, **changes: object) -> Answer:
    values: dict[str, object] = {
        "key": request.key,
        "model": request.model,
        "text": NASTY,
        "finish_reason": "stop",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "usd": 0.25,
        "ms": 12,
        "first_token": TokenChoice(((" 4", -0.1), (NASTY, float("-inf")))),
    }
    return Answer(**(values | changes))  # type: ignore[arg-type]


def test_an_answer_is_found_again_equal(store: Store, run: Run) -> None:
    store.record(REQUEST, answer(), Scope(run.id, "sample", 3, "s1"))
    assert store.find(REQUEST.key) == answer()
    assert store.find("other") is None


def test_an_answer_of_ten_megabytes_is_kept_whole(store: Store, run: Run) -> None:
    big = answer(text="é" * 5_000_000 + "\x00end")
    store.record(REQUEST, big, Scope(run.id, "sample"))
    assert store.find(REQUEST.key) == big


@pytest.mark.parametrize("status", ["empty", "truncated"])
def test_a_billed_answer_that_is_unusable_costs_and_is_not_found(store: Store, run: Run, status: str) -> None:
    store.record(REQUEST, answer(status=status), Scope(run.id, "sample"))
    assert store.find(REQUEST.key) is None
    assert store.usage(run.id).usd == 0.25
    store.record(REQUEST, answer(text="later"), Scope(run.id, "sample"))
    found = store.find(REQUEST.key)
    assert found is not None
    assert found.text == "later"
    assert store.usage(run.id).calls == 2


def test_two_billed_answers_to_one_question_both_cost_and_the_first_stays(store: Store, run: Run) -> None:
    store.record(REQUEST, answer(text="first"), Scope(run.id, "sample"))
    store.record(REQUEST, answer(text="second"), Scope(run.id, "sample"))
    found = store.find(REQUEST.key)
    assert found is not None
    assert found.text == "first"
    assert store.usage(run.id) == Usage(2, 0, 200, 40, 0.5, 0, {})


def test_an_unknown_price_is_not_free(store: Store, run: Run) -> None:
    store.record(REQUEST, answer(usd=None, prompt_tokens=None, completion_tokens=None), Scope(run.id, "sample"))
    store.record(replace(REQUEST, draw="2"), answer(), Scope(run.id, "sample"))
    assert store.usage(run.id) == Usage(2, 0, 100, 20, 0.25, 1, {})


def test_a_paid_answer_is_kept_whatever_the_endpoint_claims(store: Store, run: Run) -> None:
    store.record(REQUEST, answer(prompt_tokens=10**40, ms=-(10**40)), Scope(run.id, "sample", 10**30, NASTY))
    found = store.find(REQUEST.key)
    assert found is not None
    assert found.prompt_tokens == 2**63 - 1


def test_a_paid_answer_is_kept_even_for_a_run_that_is_gone(store: Store) -> None:
    store.record(REQUEST, answer(), Scope("gone", "sample"))
    assert store.find(REQUEST.key) == answer()
    assert store.usage("gone").calls == 1


def test_what_a_run_takes_from_the_log_is_cached_for_it_and_paid_by_the_other(store: Store, run: Run) -> None:
    other = store.add_run(run.project_id, RunKind.SEARCH, "{}")
    store.record(REQUEST, answer(), Scope(run.id, "sample", 1))
    store.reuse(REQUEST.key, Scope(other.id, "sample", 1))
    assert store.usage(run.id) == Usage(1, 0, 100, 20, 0.25, 0, {})
    assert store.usage(other.id) == Usage(cached=1)


def test_asking_again_after_a_restart_counts_nothing_new(store: Store, run: Run) -> None:
    scope = Scope(run.id, "sample", None, "s1")
    store.record(REQUEST, answer(), scope)
    before = store.tree_version(run.id)
    store.reuse(REQUEST.key, scope)
    store.reuse(REQUEST.key, scope)
    assert store.usage(run.id) == Usage(1, 0, 100, 20, 0.25, 0, {})
    assert store.tree_version(run.id) == before


@pytest.mark.parametrize(
    "scope",
    [
        Scope("r", "verdict", 1, "s"),
        Scope("r", "sample", 2, "s"),
        Scope("r", "sample", None, "s"),
        Scope("r", "sample", 1),
    ],
    ids=["purpose", "node", "no node", "sample"],
)
def test_another_scope_is_another_use(store: Store, run: Run, scope: Scope) -> None:
    store.record(REQUEST, answer(), Scope(run.id, "sample", 1, "s"))
    store.reuse(REQUEST.key, replace(scope, run_id=run.id))
    store.reuse(REQUEST.key, replace(scope, run_id=run.id))
    assert store.usage(run.id).cached == 1


def test_reusing_what_is_not_there_is_no_use(store: Store, run: Run) -> None:
    store.reuse("unknown", Scope(run.id, "sample"))
    assert store.usage(run.id) == Usage()


def test_failures_are_counted_by_kind_and_their_detail_is_bounded(store: Store, run: Run) -> None:
    for kind, detail in (("time-out", ""), ("time-out", NASTY), (NASTY, "x" * 10**6)):
        store.failure(Scope(run.id, "sample"), kind, detail)
    assert store.usage(run.id).failures == {"time-out": 2, NASTY: 1}
    with store._db.read() as db:
        assert db.execute("SELECT max(length(detail)) FROM call_failures").fetchone() == (2000,)


def test_the_node_view_sees_each_use_with_its_question(store: Store, run: Run) -> None:
    store.record(REQUEST, answer(), Scope(run.id, NASTY, 1, "s1"))
    store.reuse(REQUEST.key, Scope(run.id, "sample", 2, "s2"))
    first, second = store.calls_of(run.id)
    assert (first.purpose, first.node, first.sample_id, first.paid) == (NASTY, 1, "s1", True)
    assert (first.request, first.answer) == (REQUEST, answer())
    assert (second.purpose, second.node, second.paid) == ("sample", 2, False)
    assert store.calls_of(run.id, node=2) == store.calls_of(run.id, sample_id="s2") == [second]
    assert store.calls_of(run.id, node=2, sample_id="s1") == []
    assert store.calls_of(run.id, limit=1) == [first]


def test_a_deleted_payers_answer_stays_where_another_project_uses_it(store: Store, run: Run, task: Task) -> None:
    other = store.add_run(store.add_project(task).id, RunKind.SEARCH, "{}")
    lonely = replace(REQUEST, draw="lonely")
    store.record(REQUEST, answer(), Scope(run.id, "sample"))
    store.record(lonely, answer(lonely), Scope(run.id, "sample"))
    store.reuse(REQUEST.key, Scope(other.id, "sample"))
    store.delete_project(run.project_id)
    assert store.find(REQUEST.key) == answer()
    assert store.find(lonely.key) is None
    assert store.usage(other.id) == Usage(cached=1)
    store.delete_project(other.project_id)
    assert store.find(REQUEST.key) is None


def test_no_constraint_is_slower_than_the_model(store: Store, run: Run) -> None:
    """Recording takes about 0.15 ms; the bound only tells a missing index or a disk sync a call."""
    import time

    requests = [replace(REQUEST, draw=str(number)) for number in range(1000)]
    start = time.process_time()
    for request in requests:
        store.record(request, answer(request), Scope(run.id, "sample", 1, request.draw))
    assert (time.process_time() - start) / len(requests) < 0.001
