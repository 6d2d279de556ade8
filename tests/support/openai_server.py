"""A server on loopback that speaks the OpenAI protocol, for tests and benchmarks.

Owns the protocol's server side and its faults; what it answers is the caller's function. It runs in a thread with an
event loop of its own, so that both synchronous and asynchronous callers can use it::

    with OpenAIServer(answer=lambda body: "hello", faults=Faults(rate=0.2, seed=1)) as server:
        ...  # server.base_url
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

__all__ = ["Fault", "Faults", "OpenAIServer", "Received", "Reply"]

_JSON = {"Content-Type": "application/json"}


class Fault(StrEnum):
    """What can go wrong with a call."""

    RATE_LIMIT = "rate limit"  # 429 without Retry-After
    RATE_LIMIT_RETRY_AFTER = "rate limit with Retry-After"
    SERVER_ERROR = "server error"  # 500
    HANG = "hang"  # until the client gives up
    CUT = "cut"  # connection closed amid the body
    MALFORMED = "malformed"  # 200, half of the JSON
    EMPTY = "empty"  # 200, billed, no text
    TRUNCATED = "truncated"  # 200, billed, finish_reason "length"
    ERROR_BODY = "error body"  # 200 with an error in it


@dataclass(frozen=True, slots=True)
class Faults:
    """Which calls fail and how: decided by the request's content, how often it was tried, and the seed alone.

    ``rate`` is 0..1 an attempt; ``in_a_row`` bounds how often one request fails in a row (None: no bound).
    ``retry_after`` is the header's value where one is sent.
    """

    rate: float
    seed: int = 0
    kinds: Sequence[Fault] = tuple(Fault)
    in_a_row: int | None = None
    retry_after: str = "0.05"
    hang_s: float = 30.0

    def of(self, content: bytes, attempt: int) -> Fault | None:
        """The fault of the ``attempt``-th (from 0) try of ``content``; None: it goes well."""
        if self.in_a_row is not None and attempt % (self.in_a_row + 1) == self.in_a_row:
            return None
        digest = hashlib.blake2b(content, digest_size=16, key=f"{self.seed}:{attempt}".encode()).digest()
        if int.from_bytes(digest[:8]) / 2**64 >= self.rate:
            return None
        return self.kinds[int.from_bytes(digest[8:]) % len(self.kinds)]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in full. ``raw`` replaces the whole body; ``first_token`` are (token, natural-log probability) pairs.

    ``usage`` is (prompt, completion) tokens, or None for none in the body; left out, a token is four characters.
    """

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    first_token: Sequence[tuple[str, float]] | None = None
    finish_reason: str = "stop"
    usage: tuple[int, int] | str | None = "counted"
    delay_s: float = 0.0
    message: Mapping[str, Any] = field(default_factory=dict)  # further fields of the message


@dataclass(frozen=True, slots=True)
class Received:
    """A chat completion request as it arrived. ``usable`` says whether a whole, good answer was sent back."""

    body: dict[str, Any]
    at: float  # monotonic seconds
    usable: bool
    fault: str  # a Fault, "overload", "unauthorized", "unknown model", "unsupported", "" for none
    answered: float = 0.0  # monotonic seconds


Answerer = Callable[[dict[str, Any]], "str | Reply | Awaitable[str | Reply]"]


class OpenAIServer:
    """``/v1/chat/completions``, ``/v1/models`` and ``/health`` on a free port of 127.0.0.1.

    ``answer`` gets the request's body and runs in the server's thread. Beyond ``max_in_flight`` calls it answers 429.
    ``models`` None: any model is known. ``received``, ``faults_sent`` and ``peak`` may be read at any time.
    """

    def __init__(
        self,
        answer: Answerer,
        *,
        delay_s: float = 0.0,
        faults: Faults | None = None,
        max_in_flight: int | None = None,
        api_key: str | None = None,
        models: Sequence[str] | None = None,
        json_schema: bool = True,
        json_mode: bool = True,
        logprobs: bool = True,
        port: int = 0,
        keep: bool = True,
    ) -> None:
        self._answer = answer
        self._delay_s = delay_s
        self._faults = faults
        self._max_in_flight = max_in_flight
        self._api_key = api_key
        self._models = models
        self._takes = {"json_schema": json_schema, "json_object": json_mode}
        self._logprobs = logprobs
        self._keep = keep
        self.port = port
        self.received: list[Received] = []
        self.faults_sent: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.peak = 0
        self.calls = 0
        self.usable = 0  # whole, good answers sent
        self.billed_tokens = 0  # in all answers with a usage, the unusable ones too
        self._tries: Counter[bytes] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def turn_away(self, retry_after: str) -> None:
        """Answer every call from now on with 429 and this Retry-After."""
        self._faults = Faults(1.0, kinds=(Fault.RATE_LIMIT_RETRY_AFTER,), retry_after=retry_after)

    # --- serving --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        # the low-level server: no router, no middlewares, no access log
        runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
        )
        try:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
            await site.start()
            self.port = runner.addresses[0][1]
        except OSError as error:
            self._failed = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/health":
            return _response({"status": "ok"})
        if self._api_key is not None and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            self.faults_sent["unauthorized"] += 1
            sent = request.headers.get("Authorization", "")
            return _error(401, f"Incorrect API key provided: {sent}", code="invalid_api_key")
        if request.path == "/v1/models":
            return _response(
                {"object": "list", "data": [{"id": name, "object": "model"} for name in self._models or ["test"]]}
            )
        if request.path != "/v1/chat/completions":
            return _error(404, "Not Found")
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._chat(request)
        finally:
            self.in_flight -= 1

    async def _chat(self, request: web.BaseRequest) -> web.StreamResponse:
        content = await request.read()
        body = json.loads(content)
        self.calls += 1
        at = time.monotonic()
        if self._keep:
            self.headers.append(dict(request.headers))
        if self._max_in_flight is not None and self.in_flight > self._max_in_flight:
            return self._turned_away(body, at, "overload", _error(429, "too many requests"))
        if self._models is not None and body.get("model") not in self._models:
            return self._turned_away(body, at, "unknown model", _error(404, "no such model", code="model_not_found"))
        if (lacking := self._lacking(body)) is not None:
            return self._turned_away(body, at, "unsupported", _error(400, f"{lacking} is not supported"))
        fault = self._next_fault(content)
        reply = await self._reply(body)
        wait = reply.delay_s or self._delay_s
        if wait:
            await asyncio.sleep(wait)
        if fault is not None:
            return await self._spoiled(request, body, at, fault, reply)
        usable = reply.status == 200 and reply.raw is None
        self._note(body, at, usable, "")
        return self._bill(reply, body) if reply.raw is None and usable else _raw(reply)

    def _lacking(self, body: dict[str, Any]) -> str | None:
        form = str((body.get("response_format") or {}).get("type"))
        if not self._takes.get(form, True):
            return f"response_format {form}"
        return "logprobs" if body.get("logprobs") and not self._logprobs else None

    def _next_fault(self, content: bytes) -> Fault | None:
        if self._faults is None:
            return None
        key = hashlib.blake2b(content, digest_size=16).digest()
        attempt = self._tries[key]
        self._tries[key] += 1
        return self._faults.of(content, attempt)

    async def _reply(self, body: dict[str, Any]) -> Reply:
        answered = self._answer(body)
        if inspect.isawaitable(answered):
            answered = await answered
        return answered if isinstance(answered, Reply) else Reply(answered)

    async def _spoiled(
        self, request: web.BaseRequest, body: dict[str, Any], at: float, fault: Fault, reply: Reply
    ) -> web.StreamResponse:
        assert self._faults is not None
        self._note(body, at, False, fault)
        if fault is Fault.RATE_LIMIT:
            return _error(429, "slow down")
        if fault is Fault.RATE_LIMIT_RETRY_AFTER:
            return _error(429, "slow down", headers={"Retry-After": self._faults.retry_after})
        if fault is Fault.SERVER_ERROR:
            return _error(500, "something broke")
        if fault is Fault.HANG:
            await asyncio.sleep(self._faults.hang_s)
            return _error(504, "too late")
        if fault is Fault.ERROR_BODY:
            return _response({"error": {"message": "upstream failed", "code": 502}})
        if fault is Fault.EMPTY:
            return self._bill(Reply("", usage=reply.usage), body)
        if fault is Fault.TRUNCATED:
            return self._bill(Reply(reply.text[: len(reply.text) // 2] or ".", finish_reason="length"), body)
        whole = self._bill(reply, body).body
        assert isinstance(whole, bytes)
        if fault is Fault.MALFORMED:
            return web.Response(body=whole[: len(whole) // 2], headers=_JSON)
        return await _cut(request, whole)

    def _turned_away(self, body: dict[str, Any], at: float, why: str, response: web.Response) -> web.Response:
        self._note(body, at, False, why)
        return response

    def _note(self, body: dict[str, Any], at: float, usable: bool, fault: str) -> None:
        self.usable += usable
        if fault:
            self.faults_sent[fault] += 1
        if self._keep:
            self.received.append(Received(body, at, usable, fault, time.monotonic()))

    def _bill(self, reply: Reply, body: dict[str, Any]) -> web.Response:
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": reply.text, **reply.message},
            "finish_reason": reply.finish_reason,
        }
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [_token(reply, int(body.get("top_logprobs", 0)))]}
        answer: dict[str, Any] = {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model"),
            "choices": [choice],
        }
        usage = _usage(body, reply)
        if usage is not None:
            self.billed_tokens += sum(usage)
            prompt, completion = usage
            answer["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": sum(usage)}
        return web.Response(body=json.dumps(answer).encode(), headers={**_JSON, **reply.headers})


def _usage(body: dict[str, Any], reply: Reply) -> tuple[int, int] | None:
    if isinstance(reply.usage, tuple) or reply.usage is None:
        return reply.usage
    prompt = sum(len(str(message.get("content"))) for message in body.get("messages", []))
    return max(1, prompt // 4), max(1, len(reply.text) // 4)


def _token(reply: Reply, top: int) -> dict[str, Any]:
    pairs = list(reply.first_token or [(reply.text[:1], math.log(0.9)), ("?", math.log(0.1))])
    rows = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in pairs]
    return {**rows[0], "top_logprobs": rows[:top]}


def _response(body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, headers={**_JSON, **(headers or {})})


def _error(status: int, message: str, *, code: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    return _response({"error": {"message": message, "type": "error", "code": code or None}}, status, headers)


def _raw(reply: Reply) -> web.Response:
    body = reply.raw if reply.raw is not None else json.dumps({"error": {"message": reply.text}}).encode()
    return web.Response(body=body, status=reply.status, headers={**_JSON, **reply.headers})


async def _cut(request: web.BaseRequest, whole: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={**_JSON, "Content-Length": str(len(whole))})
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response
