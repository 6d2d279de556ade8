"""Finding out what an endpoint's model can do, with three tiny calls.

Owns the questions and what counts as a yes. Whether a model can rewrite a workflow is tried elsewhere; who remembers
the result, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from autosynth_core.errors import AnswerTruncated, RequestRefused
from autosynth_core.llm.client import Client
from autosynth_core.llm.digits import expected_score
from autosynth_core.llm.model import TOP_LOGPROBS
from autosynth_core.llm.schema import mismatch
from autosynth_core.prompts import render
from autosynth_core.records import Answer, Capabilities, ChatRequest, Scope

_SCOPE = Scope(run_id="", purpose="probe")
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "legs": {"type": "integer"}},
    "required": ["colour", "legs"],
    "additionalProperties": False,
}


class _Tried(NamedTuple):
    answer: Answer | None
    can: bool


async def probe(
    client: Client, model: str, *, scope: Scope = _SCOPE, wall_clock: Callable[[], float] = time.time
) -> Capabilities:
    """What ``model`` can do at the client's endpoint; ``latency_ms`` is the median of the calls answered.

    A request that is refused means "no"; so does an answer that only happens to be right, such as JSON in prose.
    Raises EndpointError, TransientFailure or BudgetReached.
    """
    base_url = client.endpoint.base_url  # the same name may be another model elsewhere
    digit = await _try(
        client, scope, _request(model, base_url, "digit", max_tokens=1, top_logprobs=TOP_LOGPROBS), _gives_digits
    )
    schema = await _try(client, scope, _request(model, base_url, "schema", schema=json.dumps(_SCHEMA)), _fits_schema)
    mode = await _try(
        client, scope, _request(model, base_url, "json", extra='{"response_format":{"type":"json_object"}}'), _is_object
    )
    waits = [tried.answer.ms for tried in (digit, schema, mode) if tried.answer is not None]
    return Capabilities(
        base_url=base_url,
        model=model,
        json_schema=schema.can,
        json_mode=mode.can,
        logprobs=digit.can,
        latency_ms=round(median(waits)) if waits else 0,
        probed=wall_clock(),
    )


def _request(
    model: str,
    base_url: str,
    name: str,
    *,
    max_tokens: int = 256,
    schema: str = "",
    top_logprobs: int = 0,
    extra: str = "",
) -> ChatRequest:
    messages = (("user", render(f"llm_probe_{name}")),)
    return ChatRequest(model, messages, 0.0, max_tokens, schema, top_logprobs, f"probe at {base_url}", extra)


async def _try(client: Client, scope: Scope, request: ChatRequest, judge: Callable[[Answer], bool]) -> _Tried:
    try:
        answer = await client.complete(request, scope)
    except (RequestRefused, AnswerTruncated):
        return _Tried(None, False)
    return _Tried(answer, judge(answer))


def _gives_digits(answer: Answer) -> bool:
    return (
        answer.first_token is not None
        and len(answer.first_token.alternatives) > 1
        and (expected_score(answer.first_token).score is not None)
    )


def _fits_schema(answer: Answer) -> bool:
    value = _parsed(answer)
    return value is not None and mismatch(value, _SCHEMA) is None


def _is_object(answer: Answer) -> bool:
    return isinstance(_parsed(answer), dict)


def _parsed(answer: Answer) -> object:
    try:
        return json.loads(answer.text)
    except (ValueError, RecursionError):
        return None
