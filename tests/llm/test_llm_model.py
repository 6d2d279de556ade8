"""A model asked for text, JSON and digits."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from llm_calls import SCOPE, can, client

from autosynth_core.errors import AnswerUnreadable, BudgetReached, KeyRefused, RequestRefused, TransientFailure
from autosynth_core.llm import Budget, MemoryCallLog, Model, probe
from autosynth_core.llm.embedded import CALL_EXTRA
from autosynth_core.records import VerdictMethod
from tests.support.openai_server import OpenAIServer, Reply

ASK = [("system", "Be brief."), ("user", "Say something.")]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def digits(**shares: float) -> Reply:
    pairs = [(token, math.log(share)) for token, share in shares.items()]
    return Reply(pairs[0][0], first_token=pairs, finish_reason="length")


async def test_text_is_stripped_and_without_thinking() -> None:
    with OpenAIServer(lambda body: "<think>hm</think>\n  yes \n") as server:
        async with client(server, MemoryCallLog()) as calls:
            assert await Model(calls, "m", can()).text(ASK, scope=SCOPE) == "yes"
    assert server.received[0].body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_nothing_but_thinking_is_unreadable() -> None:
    with OpenAIServer(lambda body: "<think>hm") as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(AnswerUnreadable):
                await Model(calls, "m", can()).text(ASK, scope=SCOPE)


@pytest.mark.parametrize(
    ("schema", "mode", "form"),
    [(True, True, "json_schema"), (False, True, "json_object"), (False, False, None)],
    ids=["schema", "JSON mode", "text"],
)
async def test_json_is_asked_for_in_the_best_form_there_is(schema: bool, mode: bool, form: str | None) -> None:
    with OpenAIServer(lambda body: 'Here: {"a": "x"}', json_schema=schema, json_mode=mode) as server:
        async with client(server, MemoryCallLog()) as calls:
            model = Model(calls, "m", can(json_schema=schema, json_mode=mode))
            assert await model.json(ASK, schema=SCHEMA, scope=SCOPE) == {"a": "x"}
    body = server.received[0].body
    assert body.get("response_format", {}).get("type") == form
    assert ("JSON" in body["messages"][-1]["content"]) is not schema


async def test_one_repair_shows_the_error() -> None:
    answers = iter(['{"b": 1}', '{"a": "x"}'])
    with OpenAIServer(lambda body: next(answers)) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert await Model(calls, "m", can()).json(ASK, schema=SCHEMA, scope=SCOPE) == {"a": "x"}
    repair = server.received[1].body["messages"]
    assert repair[-2] == {"role": "assistant", "content": '{"b": 1}'}
    assert "lacks 'a'" in repair[-1]["content"]


async def test_json_that_stays_wrong_is_unreadable_after_two_calls() -> None:
    with OpenAIServer(lambda body: "I'd rather not.") as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(AnswerUnreadable, match="no JSON object"):
                await Model(calls, "m", can()).json(ASK, schema=SCHEMA, scope=SCOPE)
    assert server.calls == 2


async def test_schema_that_is_no_json_is_refused_without_a_call() -> None:
    with OpenAIServer(lambda body: "{}") as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(RequestRefused):
                await Model(calls, "m", can()).json(ASK, schema={"type": object()}, scope=SCOPE)
    assert server.calls == 0


async def test_digit_is_the_expected_score() -> None:
    with OpenAIServer(lambda body: digits(**{"4": 0.5, "3": 0.25, " 3": 0.25})) as server:
        async with client(server, MemoryCallLog()) as calls:
            digit = await Model(calls, "m", can()).digit(ASK, scope=SCOPE, draws=3)
    assert digit.score == pytest.approx(3.5)
    assert digit.method is VerdictMethod.EXPECTED
    body = server.received[0].body
    assert (body["max_tokens"], body["temperature"], body["top_logprobs"], server.calls) == (1, 0.0, 20, 1)


async def test_white_space_token_is_read_by_its_alternatives() -> None:
    with OpenAIServer(lambda body: digits(**{" ": 0.5, "2": 0.5})) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert (await Model(calls, "m", can()).digit(ASK, scope=SCOPE, draws=1)).score == pytest.approx(2.0)


async def test_little_mass_falls_back_on_sampled_digits_once() -> None:
    def answer(body: dict[str, Any]) -> Reply:
        return digits(Sure=0.9, **{"5": 0.1}) if body.get("logprobs") else Reply("3 of")

    with OpenAIServer(answer) as server:
        async with client(server, MemoryCallLog()) as calls:
            digit = await Model(calls, "m", can()).digit(ASK, scope=SCOPE, draws=3)
    assert (digit.score, digit.method) == (3.0, VerdictMethod.SAMPLED)
    assert server.calls == 4


async def test_unreadable_draws_are_left_out_of_the_mean() -> None:
    answers = itertools.cycle(["5", "none", "4 points", "0"])
    with OpenAIServer(lambda body: Reply(next(answers), finish_reason="length")) as server:
        async with client(server, MemoryCallLog()) as calls:
            digit = await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=4)
    assert digit.score == pytest.approx(4.5)
    assert {received.body["temperature"] for received in server.received} == {1.0}


async def test_unreadable_verdict_is_none_with_a_reason_never_zero() -> None:
    with OpenAIServer(lambda body: "excellent") as server:
        async with client(server, MemoryCallLog()) as calls:
            digit = await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=3)
    assert digit.score is None
    assert "excellent" in digit.reason


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "in the text"])
async def test_model_that_thinks_first_gets_the_tokens_to_do_so(hidden: bool) -> None:
    def think(body: dict[str, Any]) -> Reply:
        if body["max_tokens"] < 100:
            return Reply("" if hidden else "<think>The scale has 5", finish_reason="length")
        return Reply("4" if hidden else "<think>The scale has 5 steps</think> 4")

    with OpenAIServer(think) as server:
        async with client(server, MemoryCallLog()) as calls:
            model = Model(calls, "m", can(logprobs=False))
            assert (await model.digit(ASK, scope=SCOPE, draws=1)).score == 4.0
            before = server.calls
            assert (await model.digit(ASK, scope=SCOPE, draws=1, draw="next")).score == 4.0
    assert server.calls == before + 1  # learned


async def test_draws_that_fail_are_left_out_and_all_failing_raises() -> None:
    numbers = itertools.count()

    def sometimes(body: dict[str, Any]) -> Reply:
        return Reply("4") if next(numbers) % 2 else Reply("no", status=400)

    with OpenAIServer(sometimes) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert (await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=2)).score == 4.0
    with OpenAIServer(lambda body: Reply("no", status=500)) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            with pytest.raises(TransientFailure):
                await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=2)


async def test_what_stops_the_run_is_not_swallowed_by_draws() -> None:
    with OpenAIServer(lambda body: Reply("4", usage=(100, 100))) as server:
        async with client(server, MemoryCallLog(), budget=Budget(token_cap=250)) as calls:
            with pytest.raises(BudgetReached):
                await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=9)
    with OpenAIServer(lambda body: Reply("no", status=401)) as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(KeyRefused):
                await Model(calls, "m", can(logprobs=False)).digit(ASK, scope=SCOPE, draws=3)


async def test_further_parameters_are_sent_but_no_penalty_on_digits() -> None:
    with OpenAIServer(lambda body: digits(**{"4": 1.0}) if body.get("logprobs") else "hi") as server:
        async with client(server, MemoryCallLog()) as calls:
            model = Model(calls, "m", can(), extra=CALL_EXTRA)
            await model.text(ASK, scope=SCOPE)
            await model.digit(ASK, scope=SCOPE, draws=1)
    text, digit = (received.body for received in server.received)
    assert text["cache_prompt"] is digit["cache_prompt"] is True
    assert "repeat_penalty" in text
    assert "repeat_penalty" not in digit


# --- the probe ----------------------------------------------------------------------------------------------------


def obliging(body: dict[str, Any]) -> Reply:
    form = (body.get("response_format") or {}).get("type")
    if body.get("logprobs"):
        return digits(**{"4": 0.9, "3": 0.1})
    return Reply(json.dumps({"colour": "blue", "legs": 4}) if form else "Blue, and four.")


@pytest.mark.parametrize("schema", [True, False])
@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("logprobs", [True, False])
async def test_probe_finds_what_the_endpoint_can_do(schema: bool, mode: bool, logprobs: bool) -> None:
    with OpenAIServer(obliging, json_schema=schema, json_mode=mode, logprobs=logprobs) as server:
        async with client(server, MemoryCallLog()) as calls:
            found = await probe(calls, "m", wall_clock=lambda: 5.0)
    assert (found.json_schema, found.json_mode, found.logprobs) == (schema, mode, logprobs)
    assert (found.base_url, found.model, found.probed, found.rewrites) == (server.base_url, "m", 5.0, None)


async def test_probe_is_not_taken_in_by_parameters_ignored() -> None:
    with OpenAIServer(lambda body: Reply("Well, a cat has 4 legs.", raw=None)) as server:
        async with client(server, MemoryCallLog()) as calls:
            found = await probe(calls, "m")
    assert (found.json_schema, found.json_mode, found.logprobs) == (False, False, False)


async def test_probe_raises_what_is_no_answer() -> None:
    with OpenAIServer(lambda body: Reply("no", status=503, headers={"Retry-After": "0"})) as server:
        async with client(server, MemoryCallLog(), attempts=2) as calls:
            with pytest.raises(TransientFailure):
                await probe(calls, "m")
