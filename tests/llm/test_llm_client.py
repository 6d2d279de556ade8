"""The client against a real server that misbehaves."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest
from llm_calls import KEY, SCOPE, NoJitter, ask, client, raw_server

from autosynth_core.config import CallSettings
from autosynth_core.errors import (
    AnswerTruncated,
    AutoSynthError,
    BudgetReached,
    EndpointUnreachable,
    KeyRefused,
    ModelNotFound,
    NotAnEndpoint,
    RequestRefused,
    RunHalted,
    SettingsError,
    TransientFailure,
)
from autosynth_core.llm import Budget, Client, Endpoint, MemoryCallLog, Price, PriceTable
from autosynth_core.llm.budget import worst_case
from autosynth_core.records import RunKind, Scope
from autosynth_core.store import Store
from tests.support.openai_server import Fault, Faults, OpenAIServer, Reply
from tests.views.plausible_run import example_task

PRICED = PriceTable(own={"m": Price(prompt=1.0, completion=2.0)})


# --- the record ---------------------------------------------------------------------------------------------------


async def test_answer_from_the_log_makes_no_request() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: "hi") as server:
        async with client(server, log) as calls:
            first = await calls.complete(ask(), SCOPE)
            again = await calls.complete(ask(), Scope("another", "sample"))
    assert first == again
    assert server.calls == 1
    assert log.reused == [(ask().key, Scope("another", "sample"))]


async def test_answer_is_recorded_before_it_is_returned() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: Reply("hi", usage=(10, 20))) as server:
        async with client(server, log, prices=PRICED) as calls:
            answer = await calls.complete(ask(), SCOPE)
    assert log.answers[ask().key] == answer
    assert (answer.prompt_tokens, answer.completion_tokens, answer.usd) == (10, 20, pytest.approx(50e-6))


async def test_equal_requests_at_once_make_one_call() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: "hi", delay_s=0.05) as server:
        async with client(server, log) as calls:
            answers = await asyncio.gather(*(calls.complete(ask(), SCOPE) for _ in range(30)))
    assert server.calls == 1
    assert len(set(map(id, answers))) >= 1
    assert {answer.text for answer in answers} == {"hi"}
    assert len(log.reused) == 29


async def test_draws_get_answers_of_their_own() -> None:
    numbers = itertools.count()
    with OpenAIServer(lambda body: f"answer {next(numbers)}") as server:
        async with client(server, MemoryCallLog()) as calls:
            answers = await asyncio.gather(*(calls.complete(ask(draw=str(n)), SCOPE) for n in range(4)))
    assert len({answer.text for answer in answers}) == 4


async def test_followers_carry_on_when_the_leader_is_cancelled() -> None:
    with OpenAIServer(lambda body: "hi", delay_s=0.1) as server:
        async with client(server, MemoryCallLog()) as calls:
            leader = asyncio.create_task(calls.complete(ask(), SCOPE))
            await asyncio.sleep(0.03)
            followers = [asyncio.create_task(calls.complete(ask(), SCOPE)) for _ in range(3)]
            await asyncio.sleep(0.03)
            leader.cancel()
            answers = await asyncio.gather(*followers)
    assert {answer.text for answer in answers} == {"hi"}
    assert server.calls == 1


async def test_cancelled_follower_leaves_the_leader_alone() -> None:
    with OpenAIServer(lambda body: "hi", delay_s=0.1) as server:
        async with client(server, MemoryCallLog()) as calls:
            leader = asyncio.create_task(calls.complete(ask(), SCOPE))
            await asyncio.sleep(0.02)
            follower = asyncio.create_task(calls.complete(ask(), SCOPE))
            await asyncio.sleep(0.02)
            follower.cancel()
            assert (await leader).text == "hi"
    assert server.calls == 1


async def test_followers_share_the_leaders_failure() -> None:
    with OpenAIServer(lambda body: Reply("bad words", status=400), delay_s=0.05) as server:
        async with client(server, MemoryCallLog()) as calls:
            results = await asyncio.gather(*(calls.complete(ask(), SCOPE) for _ in range(5)), return_exceptions=True)
    assert server.calls == 1
    assert all(isinstance(result, RequestRefused) for result in results)
    assert len(set(map(id, results))) == 5


async def test_lone_surrogates_reach_neither_request_nor_record() -> None:
    raw = b'{"choices":[{"message":{"content":"a \\ud800 b"},"finish_reason":"stop"}]}'
    with OpenAIServer(lambda body: Reply(raw=raw)) as server:
        async with client(server, MemoryCallLog()) as calls:
            answer = await calls.complete(ask("bad \ud800 text"), SCOPE)
    assert answer.text.encode() == b"a ? b"
    assert server.received[0].body["messages"][0]["content"] == "bad ? text"


async def test_only_asked_for_parameters_are_sent() -> None:
    with OpenAIServer(lambda body: "hi") as server:
        async with client(server, MemoryCallLog()) as calls:
            await calls.complete(ask(), SCOPE)
            await calls.complete(ask(extra='{"repeat_penalty":1.1}', schema='{"type":"object"}', top_logprobs=5), SCOPE)
    plain, rich = (received.body for received in server.received)
    assert plain.keys() == {"model", "messages", "temperature", "max_tokens"}
    assert rich.keys() - plain.keys() == {"repeat_penalty", "response_format", "logprobs", "top_logprobs"}


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", list(Fault), ids=str)
async def test_one_fault_is_overcome_and_recorded(fault: Fault) -> None:
    log = MemoryCallLog()
    faults = Faults(rate=1.0, kinds=[fault], in_a_row=1, hang_s=3)
    with OpenAIServer(lambda body: "a whole answer", faults=faults) as server:
        async with client(server, log, timeout_s=0.4) as calls:
            answer = await calls.complete(ask(), SCOPE)
            assert calls.in_flight == calls.throttle("m").held == calls.budget.in_flight == 0
    assert answer.text == "a whole answer"
    kind = {
        Fault.RATE_LIMIT: "rate limited",
        Fault.RATE_LIMIT_RETRY_AFTER: "rate limited",
        Fault.SERVER_ERROR: "server error",
        Fault.HANG: "time-out",
        Fault.CUT: "connection cut",
        Fault.MALFORMED: "malformed answer",
        Fault.EMPTY: "empty answer",
        Fault.TRUNCATED: "truncated answer",
        Fault.ERROR_BODY: "error body",
    }[fault]
    assert [failure.kind for failure in log.failures] == [kind]


@pytest.mark.parametrize("fault", [f for f in Fault if f not in (Fault.HANG, Fault.TRUNCATED)], ids=str)
async def test_a_fault_that_stays_ends_in_a_transient_failure(fault: Fault) -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: "hi", faults=Faults(rate=1.0, kinds=[fault])) as server:
        async with client(server, log, attempts=2) as calls:
            with pytest.raises(TransientFailure, match="after 2 attempts"):
                await calls.complete(ask(), SCOPE)
    assert server.calls == 2
    assert len(log.failures) == 2
    assert log.find(ask().key) is None


async def test_many_calls_with_all_faults_get_their_own_answers() -> None:
    faults = Faults(rate=0.3, seed=7, in_a_row=2, kinds=[f for f in Fault if f is not Fault.TRUNCATED], hang_s=4)
    with OpenAIServer(lambda body: body["messages"][0]["content"].upper(), faults=faults) as server:
        async with client(server, MemoryCallLog(), timeout_s=2.0, attempts=8) as calls:
            answers = await asyncio.gather(*(calls.complete(ask(f"p{n}"), SCOPE) for n in range(120)))
    assert [answer.text for answer in answers] == [f"P{n}" for n in range(120)]
    assert server.usable == 120  # nothing paid for was asked for twice
    assert len(server.faults_sent) >= 6


def test_faults_are_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        return [Faults(0.5, seed).of(f"{n}".encode(), n % 3) for n in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 60 < sum(fault is not None for fault in drawn(1)) < 140


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[null]}',
        b'{"choices":[{"message":null}]}',
        b'{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":{"a":1}}}]}',
        b"[" * 100_000,
        b'{"choices":' + b"9" * 10_000 + b"}",
        b"\xff\xfe\x00",
        b"<error/>",
    ],
    ids=lambda raw: raw[:24].decode("latin-1") or "nothing",
)
async def test_hostile_body_is_a_transient_failure(raw: bytes) -> None:
    with OpenAIServer(lambda body: Reply(raw=raw)) as server:
        async with client(server, MemoryCallLog(), attempts=2) as calls:
            with pytest.raises(TransientFailure):
                await calls.complete(ask(), SCOPE)


@pytest.mark.parametrize("count", ["-1", "true", '"7"', "1.5", "null", "1e99", "9" * 30])
async def test_nonsense_token_counts_are_recorded_at_their_worst(count: str) -> None:
    raw = f'{{"choices":[{{"message":{{"content":"hi"}}}}],"usage":{{"prompt_tokens":{count},"completion_tokens":1}}}}'
    with OpenAIServer(lambda body: Reply(raw=raw.encode())) as server:
        async with client(server, MemoryCallLog(), prices=PRICED) as calls:
            answer = await calls.complete(ask(), SCOPE)
            assert calls.budget.spent_usd == answer.usd
            assert calls.budget.spent_tokens == answer.prompt_tokens + answer.completion_tokens
    assert (answer.prompt_tokens + 100, answer.completion_tokens) == (worst_case(ask(), PRICED).tokens, 1)
    assert answer.usd == pytest.approx((answer.prompt_tokens + 2) * 1e-6)


@pytest.mark.parametrize("finish_reason", ["stop", "length"], ids=["usable", "truncated"])
async def test_what_is_recorded_is_what_the_budget_counted(tmp_path: Path, finish_reason: str) -> None:
    """A resumed run starts its budget from the store: an endpoint without token counts must not give it a new cap."""
    raw = f'{{"choices":[{{"message":{{"content":"hi"}},"finish_reason":"{finish_reason}"}}]}}'.encode()
    with Store.open(tmp_path / "calls.db") as store, OpenAIServer(lambda body: Reply(raw=raw)) as server:
        run = store.add_run(store.add_project(example_task()).id, RunKind.SEARCH, "{}")
        async with client(server, store, prices=PRICED, attempts=2) as calls:
            await asyncio.gather(calls.complete(ask(), Scope(run.id, "sample")), return_exceptions=True)
            used = store.usage(run.id)
            assert used.prompt_tokens + used.completion_tokens == calls.budget.spent_tokens >= 100
            assert used.usd == pytest.approx(calls.budget.spent_usd)
            assert used.unpriced == 0


@pytest.mark.parametrize("logprob", ["-1" + "0" * 400, "1" + "0" * 400, "-1e999", "NaN", "true"], ids=lambda v: v[:6])
async def test_log_probability_that_is_no_number_is_left_out_and_the_answer_recorded(logprob: str) -> None:
    rows = f'[{{"token":"5","logprob":{logprob}}},{{"token":"4","logprob":-0.1}}]'
    raw = f'{{"choices":[{{"message":{{"content":"5"}},"logprobs":{{"content":[{{"top_logprobs":{rows}}}]}}}}]}}'
    log = MemoryCallLog()
    with OpenAIServer(lambda body: Reply(raw=raw.encode())) as server:
        async with client(server, log, attempts=1) as calls:
            answer = await calls.complete(ask(top_logprobs=2), SCOPE)
    assert answer.first_token is not None
    assert answer.first_token.alternatives == (("4", -0.1),)
    assert log.find(ask(top_logprobs=2).key) == answer


@pytest.mark.parametrize(
    ("status", "field"),
    [(200, "code"), (400, "code"), (429, "code"), (500, "param"), (400, "message")],
    ids=lambda value: str(value),
)
async def test_huge_number_in_an_error_is_only_an_error(status: int, field: str) -> None:
    raw = f'{{"error":{{"{field}":{"9" * 4000},"x":1}}}}'.encode()
    with OpenAIServer(lambda body: Reply(raw=raw, status=status)) as server:
        async with client(server, MemoryCallLog(), attempts=1) as calls:
            with pytest.raises(AutoSynthError):
                await calls.complete(ask(), SCOPE)


async def test_text_in_parts_is_joined() -> None:
    raw = b'{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"},7]}}]}'
    with OpenAIServer(lambda body: Reply(raw=raw)) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert (await calls.complete(ask(), SCOPE)).text == "ab"


async def test_a_dripping_server_hits_the_time_out() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    log = MemoryCallLog()
    settings = CallSettings(timeout_s=0.3, attempts=1)
    async with (
        raw_server(drip) as port,
        Client(Endpoint(f"http://127.0.0.1:{port}/v1", KEY), log, settings=settings) as calls,
    ):
        with pytest.raises(TransientFailure):
            await calls.complete(ask(), SCOPE)
    assert [failure.kind for failure in log.failures] == ["time-out"]


# --- what is not tried again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply("bad", status=400), RequestRefused),
        (Reply("long", status=413), RequestRefused),
        (Reply("bad", status=422), RequestRefused),
        (Reply("no", status=401), KeyRefused),
        (Reply("no", status=403), KeyRefused),
        (Reply("pay", status=402), KeyRefused),
        (Reply("what", status=404), ModelNotFound),
        (Reply(raw=b'{"error":{"code":"model_not_found","message":"x"}}', status=400), ModelNotFound),
        (Reply(raw=b'{"error":{"code":"insufficient_quota","message":"x"}}', status=429), KeyRefused),
        (Reply(raw=b'{"error":{"code":401,"message":"x"}}'), KeyRefused),
        (Reply("", finish_reason="content_filter"), RequestRefused),
        (Reply("", message={"refusal": "I can't help with that"}), RequestRefused),
        (Reply(raw=b"\xff", status=418), RequestRefused),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status} {value.raw!r}"[:40],
)
async def test_what_is_no_use_is_tried_once(reply: Reply, error: type[AutoSynthError]) -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: reply) as server:
        async with client(server, log) as calls:
            with pytest.raises(error) as caught:
                await calls.complete(ask(), SCOPE)
    assert server.calls == 1
    assert [failure.kind for failure in log.failures] == ["refused"]
    assert "\n" not in str(caught.value)


async def test_nothing_listening_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    settings = CallSettings(attempts=3)
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", KEY)
    async with Client(endpoint, MemoryCallLog(), settings=settings, random=NoJitter()) as calls:
        with pytest.raises(EndpointUnreachable, match=f"127.0.0.1:{port}"):
            await calls.complete(ask(), SCOPE)
        with pytest.raises(EndpointUnreachable):
            await calls.list_models()
        assert calls.budget.spent_tokens == 0


@pytest.mark.parametrize("host", ["a..b", "a" * 70], ids=["empty label", "long label"])
async def test_host_that_cant_be_looked_up_is_said_to_be_none(host: str) -> None:
    async with Client(Endpoint(f"http://{host}/v1", KEY), MemoryCallLog(), random=NoJitter()) as calls:
        with pytest.raises(EndpointUnreachable, match="names no server"):
            await calls.complete(ask(), SCOPE)
        with pytest.raises(EndpointUnreachable, match="names no server"):
            await calls.list_models()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirection_is_not_followed_but_told(status: int) -> None:
    """The prompt, and the key where the host is the same, would go where nobody sent them."""
    with OpenAIServer(lambda body: "stolen") as other:
        moved = Reply("", status=status, headers={"Location": f"{other.base_url}/chat/completions?x=1"})
        with OpenAIServer(lambda body: moved) as server:
            async with client(server, MemoryCallLog()) as calls:
                with pytest.raises(NotAnEndpoint) as caught:
                    await calls.complete(ask(), SCOPE)
        assert other.calls == 0
        assert server.calls == 1
    told = f"{server.base_url} redirects to {other.base_url}; give that address as the base URL"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "location", ["", "/", "mailto:a@b", "http://[", "http://a..b/", "http://x/\x1b[31m", "//user:hunter2@/", "\xff"]
)
async def test_redirection_to_nowhere_is_one_clean_sentence(location: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: " + location.encode("latin-1") + b"\r\n\r\n")
        await writer.drain()

    async with (
        raw_server(talk) as port,
        Client(
            Endpoint(f"http://127.0.0.1:{port}/v1", KEY), MemoryCallLog(), settings=CallSettings(attempts=1)
        ) as calls,
    ):
        for call in (lambda: calls.complete(ask(), SCOPE), calls.list_models):
            with pytest.raises(AutoSynthError) as caught:
                await call()
            assert str(caught.value).isprintable()
            assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "page",
    [b"<html><body>Login</body></html>", b"\xef\xbb\xbf\n <!DOCTYPE html>\n<html>", b"<!doctype HTML>" + b"x" * 10**6],
    ids=["login", "byte order mark", "long"],
)
async def test_web_page_is_no_endpoint_and_is_asked_once(page: bytes) -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: Reply(raw=page, headers={"Content-Type": "text/html"})) as server:
        async with client(server, log) as calls:
            with pytest.raises(NotAnEndpoint, match="answers with a web page; check the base URL"):
                await calls.complete(ask(), SCOPE)
    assert server.calls == 1
    assert [failure.kind for failure in log.failures] == ["refused"]


async def test_web_page_in_the_place_of_the_models_is_no_endpoint() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>")
        await writer.drain()

    async with raw_server(talk) as port, Client(Endpoint(f"http://127.0.0.1:{port}/v1", KEY), MemoryCallLog()) as calls:
        with pytest.raises(NotAnEndpoint, match="web page"):
            await calls.list_models()


async def test_web_page_behind_an_error_status_is_tried_again() -> None:
    with OpenAIServer(lambda body: Reply(raw=b"<html>Bad gateway</html>", status=502)) as server:
        async with client(server, MemoryCallLog(), attempts=3) as calls:
            with pytest.raises(TransientFailure):
                await calls.complete(ask(), SCOPE)
    assert server.calls == 3


async def test_proxy_in_the_environment_does_not_swallow_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with OpenAIServer(lambda body: "hi") as server:
        async with client(server, MemoryCallLog()) as calls:
            assert (await calls.complete(ask(), SCOPE)).text == "hi"


async def test_models_are_listed_in_order() -> None:
    with OpenAIServer(lambda body: "", models=["b", "a"], api_key=KEY) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert await calls.list_models() == ["b", "a"]
        async with Client(Endpoint(server.base_url, "wrong"), MemoryCallLog()) as calls:
            with pytest.raises(KeyRefused):
                await calls.list_models()


async def test_unknown_model_is_named() -> None:
    with OpenAIServer(lambda body: "", models=["a"]) as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(ModelNotFound, match="'m'"):
                await calls.complete(ask(), SCOPE)


@pytest.mark.parametrize("parameter", ["max_tokens", "temperature"])
async def test_refused_parameter_is_left_out_from_then_on(parameter: str) -> None:
    said = {"error": {"message": "no", "code": "unsupported_parameter", "param": parameter}}

    def answer(body: dict[str, object]) -> Reply:
        return Reply(raw=json.dumps(said).encode(), status=400) if parameter in body else Reply("hi")

    log = MemoryCallLog()
    with OpenAIServer(answer) as server:
        async with client(server, log, attempts=1) as calls:
            for prompt in ("one", "two", "three"):
                assert (await calls.complete(ask(prompt), SCOPE)).text == "hi"
    assert server.calls == 4
    assert ("max_completion_tokens" in server.received[-1].body) is (parameter == "max_tokens")
    assert log.failures == []


async def test_parameter_refused_for_ever_is_an_error() -> None:
    said = b'{"error":{"message":"no","code":"unsupported_parameter","param":"temperature"}}'
    with OpenAIServer(lambda body: Reply(raw=said, status=400)) as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(RequestRefused):
                await calls.complete(ask(), SCOPE)
    assert server.calls == 2


# --- secrets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
async def test_key_is_in_no_error_log_or_repr(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = MemoryCallLog()
    echo = f'{{"error":{{"message":"Incorrect API key provided: {KEY} Bearer {KEY}"}}}}'.encode()
    with OpenAIServer(lambda body: Reply(raw=echo, status=status)) as server:
        async with client(server, log, attempts=1) as calls:
            with pytest.raises(AutoSynthError) as caught:
                await calls.complete(ask(), SCOPE)
            shown = [repr(calls), repr(calls.endpoint), repr(vars(calls))]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    shown += ["".join(traceback.format_exception(caught.value)), repr(log.failures), caplog.text]
    assert not any(KEY in text for text in shown)


# --- truncation ---------------------------------------------------------------------------------------------------


async def test_truncated_answers_are_billed_and_never_found() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: Reply("half", finish_reason="length", usage=(10, 100))) as server:
        async with client(server, log, prices=PRICED) as calls:
            with pytest.raises(AnswerTruncated):
                await calls.complete(ask(), SCOPE)
            assert calls.budget.spent_tokens == 220
            assert calls.budget.spent_usd == pytest.approx(2 * 210e-6)
    assert server.calls == 2
    assert log.find(ask().key) is None
    assert [answer.status for answer in log.answers.values()] == ["truncated", "truncated"]
    assert all(log.find(key) is None for key in log.answers)


async def test_cut_off_digit_is_an_answer() -> None:
    with OpenAIServer(lambda body: Reply("4", finish_reason="length")) as server:
        async with client(server, MemoryCallLog()) as calls:
            assert (await calls.complete(ask(max_tokens=1), SCOPE)).text == "4"


async def test_empty_answers_are_billed_each_time() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: Reply("  \n", usage=(5, 5))) as server:
        async with client(server, log, attempts=3) as calls:
            with pytest.raises(TransientFailure, match="empty answer"):
                await calls.complete(ask(), SCOPE)
            assert calls.budget.spent_tokens == 30
    assert Counter(answer.status for answer in log.answers.values()) == {"empty": 3}


async def test_nothing_before_the_token_limit_is_truncated_not_empty() -> None:
    with OpenAIServer(lambda body: Reply("", finish_reason="length")) as server:
        async with client(server, MemoryCallLog()) as calls:
            with pytest.raises(AnswerTruncated):
                await calls.complete(ask(max_tokens=8), SCOPE)
    assert server.calls == 2


# --- budget -------------------------------------------------------------------------------------------------------


async def test_fifty_at_once_do_not_overrun_the_token_cap() -> None:
    cap = 1500
    with OpenAIServer(lambda body: Reply("x", usage=(20, 80)), delay_s=0.02) as server:
        async with client(server, MemoryCallLog(), budget=Budget(token_cap=cap)) as calls:
            results = await asyncio.gather(
                *(calls.complete(ask(f"p{n}"), SCOPE) for n in range(50)), return_exceptions=True
            )
            assert calls.budget.spent_tokens == server.billed_tokens <= cap
    reached = [result for result in results if isinstance(result, BudgetReached)]
    assert len(reached) + server.usable == 50
    assert server.usable >= 13  # what is in flight delays a call and does not end the run early


async def test_dollar_cap_holds_under_faults() -> None:
    cap = 0.004
    faults = Faults(0.4, seed=3, kinds=[Fault.EMPTY, Fault.CUT, Fault.SERVER_ERROR, Fault.MALFORMED])
    with OpenAIServer(lambda body: Reply("x", usage=(20, 90)), faults=faults, delay_s=0.01) as server:
        async with client(server, MemoryCallLog(), budget=Budget(usd_cap=cap), prices=PRICED) as calls:
            await asyncio.gather(*(calls.complete(ask(f"p{n}"), SCOPE) for n in range(50)), return_exceptions=True)
            assert 0 < calls.budget.spent_usd <= cap
            assert calls.budget.in_flight == 0
    assert server.usable * 200e-6 <= cap


async def test_dollar_cap_without_a_price_is_refused_before_the_call() -> None:
    with OpenAIServer(lambda body: "hi") as server:
        async with client(server, MemoryCallLog(), budget=Budget(usd_cap=1.0), prices=PriceTable()) as calls:
            with pytest.raises(SettingsError, match="AUTOSYNTH_PRICES"):
                await calls.complete(ask(), SCOPE)
    assert server.calls == 0


async def test_call_cancelled_on_the_network_is_recorded_and_charged_all_the_same() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: "hi", delay_s=0.5) as server:
        async with client(server, log) as calls:
            task = asyncio.create_task(calls.complete(ask(), SCOPE))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert calls.in_flight == 1
        assert log.find(ask().key) is not None
        assert calls.in_flight == 0
        assert calls.budget.spent_tokens > 0


async def test_equal_request_after_a_cancelled_one_waits_for_the_call_on_the_network() -> None:
    log = MemoryCallLog()
    with OpenAIServer(lambda body: "hi", delay_s=0.3) as server:
        async with client(server, log) as calls:
            leader, follower = (asyncio.create_task(calls.complete(ask(), SCOPE)) for _ in range(2))
            await asyncio.sleep(0.1)
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
            late = asyncio.create_task(calls.complete(ask(), SCOPE))
            assert [(await task).text for task in (follower, late)] == ["hi", "hi"]
    assert server.calls == 1
    assert len(log.reused) == 2


async def test_equal_request_tries_itself_when_the_cancelled_call_fails() -> None:
    faults = Faults(1.0, kinds=[Fault.SERVER_ERROR], in_a_row=1)
    with OpenAIServer(lambda body: "hi", delay_s=0.2, faults=faults) as server:
        async with client(server, MemoryCallLog()) as calls:
            leader, follower = (asyncio.create_task(calls.complete(ask(), SCOPE)) for _ in range(2))
            await asyncio.sleep(0.1)
            leader.cancel()
            assert (await follower).text == "hi"
            await asyncio.gather(leader, return_exceptions=True)
    assert server.calls == 2


# --- throttle and checkpoint --------------------------------------------------------------------------------------


async def test_a_storm_of_429_converges_and_nothing_fails() -> None:
    with OpenAIServer(lambda body: "hi", delay_s=0.01, max_in_flight=8) as server:
        async with client(server, MemoryCallLog(), attempts=20) as calls:
            answers = await asyncio.gather(*(calls.complete(ask(f"p{n}"), SCOPE) for n in range(300)))
            assert calls.throttle("m").limit <= 16
    assert len(answers) == server.usable == 300
    late = server.received[-150:]
    assert sum(received.fault == "overload" for received in late) < 40


async def test_no_more_than_the_ceiling_in_flight() -> None:
    with OpenAIServer(lambda body: "hi", delay_s=0.01) as server:
        async with client(server, MemoryCallLog(), max_in_flight=5) as calls:
            await asyncio.gather(*(calls.complete(ask(f"p{n}"), SCOPE) for n in range(40)))
    assert server.peak == 5


async def test_cancelled_calls_leak_no_slot() -> None:
    with OpenAIServer(lambda body: "hi", delay_s=0.05) as server:
        async with client(server, MemoryCallLog(), max_in_flight=3) as calls:
            tasks = [asyncio.create_task(calls.complete(ask(f"p{n}"), SCOPE)) for n in range(30)]
            await asyncio.sleep(0.02)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert calls.throttle("m").held == calls.in_flight == 0
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 15


async def test_stopped_run_starts_no_further_call() -> None:
    stopped = False

    async def checkpoint() -> None:
        if stopped:
            raise RunHalted("stopped")

    with OpenAIServer(lambda body: "hi", delay_s=0.05) as server:
        async with client(server, MemoryCallLog(), max_in_flight=2, checkpoint=checkpoint) as calls:
            tasks = [asyncio.create_task(calls.complete(ask(f"p{n}"), SCOPE)) for n in range(20)]
            await asyncio.sleep(0.02)
            stopped = True
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert calls.throttle("m").held == calls.budget.in_flight == 0
    assert server.calls == 2
    assert sum(isinstance(result, RunHalted) for result in results) == 18


async def test_paused_run_waits_at_the_checkpoint() -> None:
    resumed = asyncio.Event()

    async def checkpoint() -> None:
        await resumed.wait()

    with OpenAIServer(lambda body: "hi") as server:
        async with client(server, MemoryCallLog(), checkpoint=checkpoint) as calls:
            task = asyncio.create_task(calls.complete(ask(), SCOPE))
            await asyncio.sleep(0.05)
            assert server.calls == calls.in_flight == 0
            resumed.set()
            assert (await task).text == "hi"


@pytest.mark.parametrize("how", ["stopped", "paused"])
async def test_calls_that_waited_for_the_budget_are_not_sent_after_a_halt(how: str) -> None:
    going = asyncio.Event()
    going.set()

    async def checkpoint() -> None:
        if how == "stopped" and not going.is_set():
            raise RunHalted("stopped")
        await going.wait()

    with OpenAIServer(lambda body: Reply("x", usage=(5, 5)), delay_s=0.1) as server:
        async with client(server, MemoryCallLog(), budget=Budget(token_cap=300), checkpoint=checkpoint) as calls:
            tasks = [asyncio.create_task(calls.complete(ask(f"p{n}"), SCOPE)) for n in range(6)]
            await asyncio.sleep(0.03)
            going.clear()
            await asyncio.sleep(0.3)
            assert server.calls == 2  # two worst cases fit beside each other
            assert calls.budget.in_flight == 0
            going.set()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert calls.budget.in_flight == calls.throttle("m").held == 0
    assert sum(isinstance(result, RunHalted) for result in results) == (4 if how == "stopped" else 0)
    assert server.calls == (2 if how == "stopped" else 6)


async def test_checkpoint_is_asked_before_each_attempt() -> None:
    asked = 0

    async def checkpoint() -> None:
        nonlocal asked
        asked += 1

    with OpenAIServer(lambda body: "hi", faults=Faults(1.0, kinds=[Fault.SERVER_ERROR], in_a_row=2)) as server:
        async with client(server, MemoryCallLog(), checkpoint=checkpoint) as calls:
            await calls.complete(ask(), SCOPE)
    assert asked == 3


async def test_a_call_costs_little_of_this_thread() -> None:
    with OpenAIServer(lambda body: "hi", keep=False) as server:
        async with client(server, MemoryCallLog()) as calls:
            await calls.complete(ask("warm up"), SCOPE)
            started = time.thread_time()
            await asyncio.gather(*(calls.complete(ask(f"p{n}"), SCOPE) for n in range(300)))
            spent = time.thread_time() - started
    assert spent / 300 < 0.005  # seconds; 0.0012 where this was written
