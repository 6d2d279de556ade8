"""An endpoint that stays down is told from a call that fails by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from llm_calls import SCOPE, ask, client

from autosynth_core.errors import AutoSynthError, EndpointFailing, KeyRefused, TransientFailure
from autosynth_core.llm import MemoryCallLog
from autosynth_core.llm.outage import OUTAGE_CALLS
from tests.support.openai_server import OpenAIServer, Reply

DOWN = Reply("boom", status=500)
AT_14_05 = time.mktime((2025, 3, 1, 14, 5, 0, 0, 0, -1))


def said(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"])


async def errors_of(calls: Any, prompts: list[str]) -> list[type[AutoSynthError] | None]:
    """How each prompt's call ended, one after another."""
    found: list[type[AutoSynthError] | None] = []
    for prompt in prompts:
        try:
            await calls.complete(ask(prompt), SCOPE)
            found.append(None)
        except AutoSynthError as error:
            found.append(type(error))
    return found


async def test_calls_given_up_one_after_another_are_an_outage_with_its_time_and_kind() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: DOWN) as server:
        async with client(server, log, attempts=2, wall_clock=lambda: AT_14_05) as calls:
            assert await errors_of(calls, ["a", "b"]) == [TransientFailure] * 2
            with pytest.raises(EndpointFailing) as caught:
                await calls.complete(ask("c"), SCOPE)
        told = f"'m' at {server.base_url} has failed 3 calls in a row (server error) since 14:05; resume when it works"
        assert str(caught.value).startswith(told)
    assert server.calls == 3 * 2 + 1
    assert len(log.failures) == server.calls


async def test_outage_found_stays_found_without_asking_again() -> None:
    with OpenAIServer(lambda body: DOWN) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            await errors_of(calls, ["a", "b", "c"])
            asked = server.calls
            assert await errors_of(calls, ["d", "e"]) == [EndpointFailing] * 2
            assert server.calls == asked + 2


async def test_many_calls_given_up_at_once_ask_one_question() -> None:
    with OpenAIServer(lambda body: DOWN, delay_s=0.05) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            ended = await asyncio.gather(
                *(calls.complete(ask(f"p{n}"), SCOPE) for n in range(30)), return_exceptions=True
            )
    assert server.calls == 31
    assert sum(isinstance(error, EndpointFailing) for error in ended) >= 30 - OUTAGE_CALLS + 1


async def test_prompts_that_a_server_chokes_on_are_no_outage() -> None:
    """A run that ended for them would end at the same place whenever it is resumed."""
    with OpenAIServer(lambda body: DOWN if "choke" in said(body) else "hi") as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            prompts = [f"choke {n}" for n in range(4 * OUTAGE_CALLS)]
            assert await errors_of(calls, prompts) == [TransientFailure] * len(prompts)


async def test_answer_in_between_begins_the_count_anew() -> None:
    with OpenAIServer(lambda body: "hi" if said(body) == "good" else DOWN) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            ended = await errors_of(calls, ["a", "b", "good", "c", "d", "e"])
    assert ended == [TransientFailure, TransientFailure, None, TransientFailure, TransientFailure, EndpointFailing]


@pytest.mark.parametrize("reply", [Reply(""), Reply("x", finish_reason="length")], ids=["empty", "truncated"])
async def test_model_that_answers_badly_is_no_outage(reply: Reply) -> None:
    with OpenAIServer(lambda body: reply) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            assert EndpointFailing not in await errors_of(calls, [f"p{n}" for n in range(8)])


async def test_refusal_of_the_tiny_question_is_a_sign_of_life() -> None:
    with OpenAIServer(lambda body: Reply("too few tokens", status=400) if body["max_tokens"] == 1 else DOWN) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            assert await errors_of(calls, [f"p{n}" for n in range(7)]) == [TransientFailure] * 7


async def test_key_refused_to_the_tiny_question_is_said() -> None:
    with OpenAIServer(lambda body: Reply("no", status=401) if body["max_tokens"] == 1 else DOWN) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            assert await errors_of(calls, ["a", "b", "c"]) == [TransientFailure, TransientFailure, KeyRefused]


async def test_outage_of_one_model_is_not_hidden_by_the_answers_of_another() -> None:
    with OpenAIServer(lambda body: DOWN if body["model"] == "m" else "hi") as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            ended = []
            for n in range(3):
                await calls.complete(ask(f"q{n}", model="other"), SCOPE)
                ended += await errors_of(calls, [f"p{n}"])
    assert ended == [TransientFailure, TransientFailure, EndpointFailing]
