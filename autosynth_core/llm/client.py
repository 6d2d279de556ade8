"""One endpoint, called politely and on the record.

Owns the life of a call: the look in the log, single flight, checkpoint, throttle, budget, the network, the record,
and another try for what is transient. Owns the translation of every failure into the error tree. What an answer means
is ``model``'s business.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random as random_module
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import httpx2
import openai

from autosynth_core.config import CallSettings
from autosynth_core.errors import (
    AnswerTruncated,
    AutoSynthError,
    EndpointError,
    EndpointFailing,
    EndpointUnreachable,
    KeyRefused,
    ModelNotFound,
    NotAnEndpoint,
    RequestRefused,
    TransientFailure,
)
from autosynth_core.llm.budget import Budget, Reservation, counted, worst_case
from autosynth_core.llm.calls import CallLog, Checkpoint, never_pause
from autosynth_core.llm.endpoint import Endpoint, model_ids, redirect_target
from autosynth_core.llm.outage import Outage
from autosynth_core.llm.prices import PriceTable
from autosynth_core.llm.protocol import (
    SHORT_ANSWER_TOKENS,
    Completion,
    ErrorBody,
    FailureKind,
    Unreadable,
    is_web_page,
    read_completion,
    read_error,
    request_body,
)
from autosynth_core.llm.throttle import TOLD_FROM_S, Throttle, retry_after_s
from autosynth_core.prompts import render
from autosynth_core.records import Answer, ChatRequest, Scope

BACKOFF_S = 0.5  # doubled with each attempt; the wait is drawn between 0 and that ("full jitter")
BACKOFF_CAP_S = 20.0
CONNECT_S = 10.0
TRUNCATED_TRIES = 2

_log = logging.getLogger(__name__)

_CONNECTIONS = 2048  # the throttle decides; the pool only must not stand in its way
_DIALECT = frozenset({"max_tokens", "temperature"})  # parameters that some models refuse and can do without
_SECRET = re.compile(r"\b(?:(?:sk|pk|key|gsk|hf|xai)[-_][^\s'\"]{6,}|Bearer\s+\S+|AIza\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed attempt. ``error`` is set where another try would be no use."""

    kind: FailureKind
    detail: str
    error: AutoSynthError | None = None
    may_be_billed: bool = False
    slow_down: bool = False
    retry_after_s: float | None = None
    refused_parameter: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether the model, or who stands before it, has dealt with the request all the same."""
        return self.kind in (FailureKind.EMPTY, FailureKind.TRUNCATED, FailureKind.REFUSED)


class Client:
    """The calls of one run to one endpoint; an async context manager for one event loop.

    ``complete`` gives a usable answer or raises. ``say`` is told of long waits, in words for a run's feed. ``random``
    draws the waits between attempts; ``sleep``, ``clock`` (monotonic seconds) and ``wall_clock`` (UTC epoch seconds,
    for dated Retry-After and for when an outage began) are there for tests.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        log: CallLog,
        *,
        settings: CallSettings | None = None,
        prices: PriceTable | None = None,
        budget: Budget | None = None,
        checkpoint: Checkpoint = never_pause,
        say: Callable[[str], None] = lambda text: None,
        random: random_module.Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.settings = settings or CallSettings()
        self.prices = prices or PriceTable(local=endpoint.embedded or endpoint.is_loopback)
        self.budget = budget or Budget()
        self._log = log
        self._checkpoint = checkpoint
        self._say = say
        self._random = random or random_module.Random()
        self._sleep = sleep
        self._clock = clock
        self._wall_clock = wall_clock
        self._throttles: dict[str, Throttle] = {}
        self._outages: defaultdict[str, Outage] = defaultdict(Outage)
        self._dialects: dict[str, frozenset[str]] = {}
        self._flights: dict[str, asyncio.Future[AutoSynthError | None]] = {}
        self._calls: dict[str, asyncio.Future[Answer | _Failure]] = {}  # by request; one a flight
        self._in_flight = 0
        self._openai: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        timeout = httpx2.Timeout(self.settings.timeout_s, connect=min(CONNECT_S, self.settings.timeout_s))
        self._openai = openai.AsyncOpenAI(
            api_key=self.endpoint.api_key,
            base_url=self.endpoint.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=_CONNECTIONS, keepalive_expiry=30.0),
                follow_redirects=False,  # prompts go to the host that was configured, and to no other
                # a proxy from the environment must not swallow what goes to this machine
                trust_env=not self.endpoint.is_loopback,
            ),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._openai is not None:
            try:
                await asyncio.gather(*self._calls.values(), return_exceptions=True)
            finally:
                await self._openai.close()
                self._openai = None

    @property
    def in_flight(self) -> int:
        """Calls on the network now."""
        return self._in_flight

    def throttle(self, model: str) -> Throttle:
        """The throttle of ``model``."""
        if model not in self._throttles:
            self._throttles[model] = Throttle(
                self.settings.max_in_flight,
                clock=self._clock,
                sleep=self._sleep,
                tell=lambda seconds: self._tell_wait(f"calls to {model[:100]!r}", seconds),
            )
        return self._throttles[model]

    def _tell_wait(self, what: str, seconds: float) -> None:
        wait = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        self._say(f"{self.endpoint.base_url} asks to wait with {what}; next try in {wait}.")

    # --- one call -------------------------------------------------------------------------------------------------

    async def complete(self, request: ChatRequest, scope: Scope) -> Answer:
        """The answer to ``request``: from the log if it is there, else from the endpoint, recorded.

        Equal requests at the same time make one call. Raises AnswerError (this one call failed: TransientFailure,
        RequestRefused, AnswerTruncated), EndpointError (no call can work), BudgetReached, or what the checkpoint
        raises.
        """
        while True:
            known = self._log.find(request.key)
            if known is not None:
                self._log.reuse(request.key, scope)
                return known
            flight = self._flights.get(request.key)
            if flight is None:
                return await self._lead(request, scope)
            error = await asyncio.shield(flight)
            if error is not None:
                raise type(error)(*error.args)

    async def _lead(self, request: ChatRequest, scope: Scope) -> Answer:
        """Make the call that equal requests wait for; they share its error, or try themselves if it is cancelled.

        Cancelled amid a call, the flight goes on until that call is on record: they find its answer there.
        """
        flight: asyncio.Future[AutoSynthError | None] = asyncio.get_running_loop().create_future()
        self._flights[request.key] = flight
        failed: AutoSynthError | None = None
        try:
            return await self._try_until_done(request, scope)
        except AutoSynthError as error:
            failed = error
            raise
        finally:
            begun = self._calls.get(request.key)
            if begun is None:
                self._land(request.key, failed)
            else:
                begun.add_done_callback(lambda _: self._land(request.key, None))

    def _land(self, key: str, failed: AutoSynthError | None) -> None:
        flight = self._flights.pop(key)
        if not flight.done():
            flight.set_result(failed)

    async def _try_until_done(self, request: ChatRequest, scope: Scope) -> Answer:
        failures: list[_Failure] = []
        while len(failures) < self.settings.attempts:
            outcome = await self._attempt(request, scope)
            if isinstance(outcome, Answer):
                return outcome
            if self._adapt(request.model, outcome):
                continue
            self._log.failure(scope, outcome.kind, outcome.detail)
            if outcome.error is not None:
                raise outcome.error
            failures.append(outcome)
            if sum(failure.kind is FailureKind.TRUNCATED for failure in failures) >= TRUNCATED_TRIES:
                raise AnswerTruncated(
                    f"The answer of {request.model} was cut off at {request.max_tokens} tokens twice; ask for less "
                    "or allow more tokens."
                )
            if len(failures) < self.settings.attempts:
                await self._sleep(self._backoff(len(failures)))
        raise await self._given_up(request.model, scope, failures)

    async def _given_up(self, model: str, scope: Scope, failures: list[_Failure]) -> AutoSynthError:
        """What a call with no attempts left ends in: its own failure, or everybody's."""
        error = self._exhausted(model, failures)
        outage = self._outages[model]
        if not isinstance(error, TransientFailure) or failures[-1].is_answer:
            return error
        outage.call_given_up()
        if not await self._is_down(model, scope, outage):
            return error
        return EndpointFailing(f"{model[:100]!r} at {self.endpoint.base_url} {outage}; resume when it works again.")

    async def _is_down(self, model: str, scope: Scope, outage: Outage) -> bool:
        """Whether a model that fails call after call leaves a tiny question unanswered too.

        Else the calls have themselves to blame, and a run that ended for them would end again whenever it is resumed.
        """
        async with outage.checking:
            if not outage.suspected or outage.confirmed:
                return outage.confirmed
            tried = await self._attempt(_tiny_question(model), replace(scope, purpose="probe"))
            if isinstance(tried, _Failure):
                self._log.failure(scope, tried.kind, tried.detail)
                if isinstance(tried.error, EndpointError):
                    raise tried.error
            outage.confirmed = isinstance(tried, _Failure) and not tried.is_answer
            if not outage.confirmed:
                outage.answered()
            return outage.confirmed

    def _backoff(self, failures: int) -> float:
        return self._random.uniform(0.0, min(BACKOFF_CAP_S, BACKOFF_S * 2.0 ** (failures - 1)))

    def _adapt(self, model: str, failure: _Failure) -> bool:
        """Leave out from now on what the model says it does not take; False when that is no help or already done."""
        known = self._dialects.get(model, frozenset())
        if failure.refused_parameter not in _DIALECT - known:
            return False
        self._dialects[model] = known | {failure.refused_parameter}
        return True

    async def _attempt(self, request: ChatRequest, scope: Scope) -> Answer | _Failure:
        throttle = self.throttle(request.model)
        async with throttle.slot() as slot:
            held = await self.budget.reserve(worst_case(request, self.prices), self._checkpoint)
            outcome = await self._to_its_end(request.key, self._charged_attempt(request, scope, held))
            outage = self._outages[request.model]
            if isinstance(outcome, Answer) or outcome.kind in (FailureKind.EMPTY, FailureKind.TRUNCATED):
                throttle.succeeded()
                outage.answered()
                return outcome
            if outcome.slow_down:
                throttle.refused(slot, outcome.retry_after_s)
            if not outcome.is_answer:
                outage.attempt_failed(outcome.kind, self._wall_clock())
            return outcome

    async def _to_its_end(self, key: str, attempt: Coroutine[Any, Any, Answer | _Failure]) -> Answer | _Failure:
        """An attempt once begun is paid for: it is recorded also when whoever wanted it is cancelled meanwhile."""
        call = asyncio.ensure_future(attempt)
        self._calls[key] = call
        call.add_done_callback(lambda _: self._calls.pop(key))
        return await asyncio.shield(call)

    async def _charged_attempt(self, request: ChatRequest, scope: Scope, held: Reservation) -> Answer | _Failure:
        tokens: int | None = None  # until something is known, the worst is assumed: also when this is cancelled
        usd: float | None = None
        try:
            started = self._clock()
            read = await self._send(request)
            if isinstance(read, _Failure):
                if not read.may_be_billed:
                    tokens, usd = 0, 0.0
                return read
            answer = self._record(request, scope, read, round((self._clock() - started) * 1000))
            tokens, usd = (answer.prompt_tokens or 0) + (answer.completion_tokens or 0), answer.usd
            return answer if answer.status == "ok" else _unusable(answer, read, request.model, self._redact)
        finally:
            self.budget.settle(held, tokens, usd)

    def _record(self, request: ChatRequest, scope: Scope, read: Completion, ms: int) -> Answer:
        """Keep the answer; tokens that the endpoint does not report are recorded as the budget counts them."""
        status = _status(request, read)
        tokens = counted(request, read.prompt_tokens, read.completion_tokens)
        answer = Answer(
            # what can't be used is kept for the bill alone, under a key that no request has
            key=request.key if status == "ok" else f"{request.key}:{status}-{uuid4().hex[:8]}",
            model=request.model,
            text=read.text,
            finish_reason=read.finish_reason,
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            usd=self.prices.cost(request.model, *tokens),
            ms=ms,
            first_token=read.first_token if request.top_logprobs else None,
            status=status,
        )
        self._log.record(request, answer, scope)
        _log.debug("run=%s purpose=%s model=%s asked=%r", scope.run_id, scope.purpose, request.model, request.messages)
        return answer

    # --- the network ----------------------------------------------------------------------------------------------

    async def _send(self, request: ChatRequest) -> Completion | _Failure:
        body = request_body(request, self._dialects.get(request.model, frozenset()))
        response = await self._exchange("/chat/completions", body)
        if isinstance(response, _Failure):
            return response
        if response.status_code >= 300:
            return self._rejected(request.model, response)
        try:
            read = read_completion(response.content)
        except Unreadable as error:
            if is_web_page(response.content):
                return self._web_page()
            return _Failure(FailureKind.MALFORMED, f"the answer can't be read: {error}", may_be_billed=True)
        if isinstance(read, Completion):
            return read
        if read.status is not None and not _is_transient(read.status):
            return self._for_good(request.model, read.status, read)
        return _Failure(FailureKind.ERROR_BODY, self._redact(read.message), slow_down=read.status in (429, 503))

    async def _exchange(self, path: str, body: dict[str, object] | None = None) -> httpx2.Response | _Failure:
        """One request; the response whatever its status, or why there is none."""
        if self._openai is None:
            raise RuntimeError("the client is used outside of its `async with`")
        written = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if body is not None else b""
        self._in_flight += 1
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                if body is None:
                    return await self._openai.get(path, cast_to=httpx2.Response)
                return await self._openai.post(path, cast_to=httpx2.Response, content=written)
        except openai.APIStatusError as error:
            return error.response
        except (httpx2.InvalidURL, UnicodeError):  # of a host that passed our check, as theirs may grow stricter
            nowhere = f"{self.endpoint.base_url} names no server that could be looked up; correct the base URL."
            return _Failure(FailureKind.REFUSED, "the base URL names no server", EndpointUnreachable(nowhere))
        except ValueError:  # what a header says, such as where a redirection leads
            return _Failure(FailureKind.MALFORMED, "the answer's headers can't be read", may_be_billed=True)
        except (openai.APIError, httpx2.HTTPError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return self._no_response(error)
        finally:
            self._in_flight -= 1

    def _no_response(self, error: BaseException) -> _Failure:
        """Tell apart what the transport layers lump together, by the innermost cause."""
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        if any(isinstance(cause, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError) for cause in causes):
            return _Failure(FailureKind.UNREACHABLE, f"no connection ({type(causes[-1]).__name__})")
        if any(isinstance(cause, TimeoutError) for cause in causes):
            return _Failure(FailureKind.TIMEOUT, f"no answer within {self.settings.timeout_s:g} s", may_be_billed=True)
        return _Failure(FailureKind.CUT, f"the connection broke ({type(causes[-1]).__name__})", may_be_billed=True)

    def _rejected(self, model: str, response: httpx2.Response) -> _Failure:
        status, said = response.status_code, read_error(response.content)
        detail = self._redact(f"HTTP {status}: {said.message}")
        if 300 <= status < 400:
            return self._redirected(response)
        if said.code == "insufficient_quota" or not _is_transient(status):
            return self._for_good(model, status, said)
        kind = FailureKind.RATE_LIMITED if status == 429 else FailureKind.SERVER_ERROR
        asked = retry_after_s(response.headers.get("retry-after"), self._wall_clock())
        return _Failure(kind, detail, slow_down=status in (429, 503), retry_after_s=asked)

    def _for_good(self, model: str, status: int, said: ErrorBody) -> _Failure:
        where, message = self.endpoint.base_url, self._redact(said.message)
        error: AutoSynthError
        if status == 402 or said.code == "insufficient_quota":
            error = KeyRefused(f"The account behind the key has no credit left at {where}; add credit and resume.")
        elif status in (401, 403):
            error = KeyRefused(f"{where} refuses the key (HTTP {status}); check OPENAI_API_KEY and its permissions.")
        elif status == 404 or said.code == "model_not_found":
            error = ModelNotFound(
                f"{where} has no model {model[:100]!r}; choose one that it lists, and check that the base URL is right."
            )
        else:
            error = RequestRefused(
                f"The endpoint refused a request to {model[:100]!r} (HTTP {status}: {message or 'no reason given'}); "
                "shorten or change what is asked."
            )
        detail = f"HTTP {status}" if status in (401, 403) else f"HTTP {status}: {message}"
        is_dialect = status == 400 and said.code in ("unsupported_parameter", "unsupported_value")
        return _Failure(FailureKind.REFUSED, detail, error, refused_parameter=said.param if is_dialect else "")

    def _redirected(self, response: httpx2.Response) -> _Failure:
        base_url, status = self.endpoint.base_url, response.status_code
        there = self._redact(redirect_target(str(response.request.url), response.headers.get("location", "")))
        told = (
            f"{base_url} redirects to {there}; give that address as the base URL, if it is your model server's."
            if there and there != base_url
            else f"{base_url} sends calls elsewhere (HTTP {status}) and is no model server; check the base URL."
        )
        return _Failure(FailureKind.REFUSED, f"HTTP {status}", NotAnEndpoint(told))

    def _web_page(self) -> _Failure:
        told = f"{self.endpoint.base_url} answers with a web page; check the base URL, which usually ends in /v1."
        return _Failure(FailureKind.REFUSED, "a web page for an answer", NotAnEndpoint(told))

    def _exhausted(self, model: str, failures: list[_Failure]) -> AutoSynthError:
        if failures[-1].kind is FailureKind.UNREACHABLE:  # it may have died amid the first attempt
            return EndpointUnreachable(
                f"Nothing answers at {self.endpoint.base_url}; start the model server or correct the base URL."
            )
        tries = "1 attempt" if len(failures) == 1 else f"{len(failures)} attempts"
        kinds = ", ".join(sorted({failure.kind.value for failure in failures}))
        return TransientFailure(f"No usable answer from {model[:100]!r} after {tries} ({kinds}); try again later.")

    def _redact(self, text: str) -> str:
        """One short line of what the endpoint said, without anything that looks like a key."""
        line = " ".join(text.split())
        if len(self.endpoint.api_key) >= 4:
            line = line.replace(self.endpoint.api_key, "[key]")
        return _SECRET.sub("[key]", line)[:200]

    # --- the models -----------------------------------------------------------------------------------------------

    async def list_models(self) -> list[str]:
        """The ids the endpoint lists, in its order. Raises EndpointError, RequestRefused or TransientFailure."""
        failures: list[_Failure] = []
        while len(failures) < self.settings.attempts:
            outcome = await self._list_once()
            if isinstance(outcome, list):
                return outcome
            if outcome.error is not None:
                raise outcome.error
            failures.append(outcome)
            if len(failures) < self.settings.attempts:
                wait = max(outcome.retry_after_s or 0.0, self._backoff(len(failures)))
                if wait >= TOLD_FROM_S:
                    self._tell_wait("the list of models", wait)
                await self._sleep(wait)
        raise self._exhausted("the list of models", failures)

    async def _list_once(self) -> list[str] | _Failure:
        response = await self._exchange("/models")
        if isinstance(response, _Failure):
            return response
        if response.status_code == 404:
            error = EndpointUnreachable(
                f"{self.endpoint.base_url} lists no models; check the base URL, which usually ends in /v1."
            )
            return _Failure(FailureKind.REFUSED, "HTTP 404", error)
        if response.status_code >= 300:
            return self._rejected("the list of models", response)
        try:
            return model_ids(json.loads(response.content))
        except (ValueError, RecursionError):
            if is_web_page(response.content):
                return self._web_page()
            return _Failure(FailureKind.MALFORMED, "the list of models can't be read")


def _tiny_question(model: str) -> ChatRequest:
    """A request of its own each time, so that no answer from the log is taken for a sign of life."""
    messages = (("user", render("llm_probe_digit")),)
    return ChatRequest(model, messages, temperature=0.0, max_tokens=1, draw=f"sign of life {uuid4().hex[:8]}")


def _is_transient(status: int) -> bool:
    return status in (408, 409, 425, 429) or status >= 500


def _status(request: ChatRequest, read: Completion) -> str:
    if read.refusal:
        return "refused"
    if read.finish_reason == "length" and (request.max_tokens > SHORT_ANSWER_TOKENS or read.is_empty):
        return "truncated"  # an empty one too: a model that thinks before it answers used up its tokens
    return "empty" if read.is_empty else "ok"


def _unusable(answer: Answer, read: Completion, model: str, redact: Callable[[str], str]) -> _Failure:
    if answer.status == "truncated":
        return _Failure(FailureKind.TRUNCATED, f"cut off after {answer.completion_tokens} tokens")
    if answer.status == "empty":
        return _Failure(FailureKind.EMPTY, f"no text (finish reason {answer.finish_reason[:40]!r})")
    reason = redact(read.refusal)
    error = RequestRefused(f"{model[:100]!r} gave no answer: {reason}; change what is asked.")
    return _Failure(FailureKind.REFUSED, reason, error)
