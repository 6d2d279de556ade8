"""The OpenAI chat protocol as values: a request to its body, a response to what it says.

Owns the reading of whatever an endpoint sends back, which is never trusted, and the kinds of failure. Pure; the
network, the retries and the record are the client's.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from autosynth_core.records import ChatRequest, TokenChoice

SHORT_ANSWER_TOKENS = 16  # who asks for so few wants only the beginning, a digit: cut off is as good as whole


class FailureKind(StrEnum):
    """Why an attempt failed, as recorded."""

    RATE_LIMITED = "rate limited"
    SERVER_ERROR = "server error"
    TIMEOUT = "time-out"
    CUT = "connection cut"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed answer"
    ERROR_BODY = "error body"
    EMPTY = "empty answer"
    TRUNCATED = "truncated answer"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Completion:
    """A response that was read. ``refusal`` is why the model or a filter gave no answer, "" when it did."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    first_token: TokenChoice | None
    refusal: str

    @property
    def is_empty(self) -> bool:
        """Nothing to use in it: an answer of white space still counts where its log-probabilities came along."""
        return not self.text.strip() and self.first_token is None


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an endpoint says about an error. All "" and None when it says nothing readable."""

    message: str = ""
    code: str = ""
    param: str = ""
    status: int | None = None  # an HTTP status given inside of the body


class Unreadable(ValueError):
    """The body is no chat completion. Stays within the client."""


def request_body(request: ChatRequest, dialect: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON body for ``request``; ``dialect`` names the parameters this model does not take.

    Newer models of OpenAI take ``max_completion_tokens`` for ``max_tokens``, and only their own temperature.
    """
    limit = "max_completion_tokens" if "max_tokens" in dialect else "max_tokens"
    body: dict[str, Any] = {
        "model": printable(request.model),
        "messages": [{"role": role, "content": printable(content)} for role, content in request.messages],
        limit: request.max_tokens,
    }
    if "temperature" not in dialect:
        body["temperature"] = request.temperature
    if request.top_logprobs:
        body["logprobs"], body["top_logprobs"] = True, request.top_logprobs
    if request.schema:
        body["response_format"] = _schema_format(request.schema)
    if request.extra:
        body.update(json.loads(request.extra))
    return body


def read_completion(raw: bytes) -> Completion | ErrorBody:
    """The completion, or the error, in a response with status 200. Raises Unreadable when it is neither."""
    body = _parse(raw)
    if body.get("error"):
        return error_in(body)
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise Unreadable("it has no choices")
    finish_reason = first.get("finish_reason")
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text=_text(message.get("content")),
        finish_reason=finish_reason if isinstance(finish_reason, str) else "",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        first_token=_first_token(first.get("logprobs")),
        refusal=_refusal(message, finish_reason),
    )


def read_error(raw: bytes) -> ErrorBody:
    """What the body of an error response says; never raises."""
    try:
        return error_in(_parse(raw))
    except Unreadable:
        return ErrorBody(message=raw[:200].decode("utf-8", "replace"))


def error_in(body: dict[str, Any]) -> ErrorBody:
    """The error in a parsed body, in any of the forms in use: an object, a text, or fields at the top."""
    error = body.get("error")
    fields = error if isinstance(error, dict) else body
    message = error if isinstance(error, str) else fields.get("message") or fields.get("detail") or ""
    code = fields.get("code")
    return ErrorBody(
        message=message if isinstance(message, str) else json.dumps(message)[:200],
        code=str(code) if isinstance(code, str | int) else "",
        param=str(fields.get("param") or ""),
        status=code if isinstance(code, int) and 400 <= code < 600 else None,
    )


def is_web_page(raw: bytes) -> bool:
    """Whether a body is HTML: a login page, or a server whose interface lies at another path."""
    return (
        raw[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html", b"<head", b"<body"))
    )


def printable(text: str) -> str:
    """``text`` with lone surrogates replaced: they fit neither a request nor a database."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        raise Unreadable("it is not JSON") from None
    if not isinstance(body, dict):
        raise Unreadable("it is no JSON object")
    return body


def _text(content: object) -> str:
    """A message's content: text, or a list of parts of which the text counts."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return printable("".join(part for part in parts if isinstance(part, str)))
    return ""


def _refusal(message: dict[str, Any], finish_reason: object) -> str:
    if finish_reason == "content_filter":
        return "a content filter stopped the answer"
    refusal = message.get("refusal")
    return f"the model declined: {refusal}" if isinstance(refusal, str) and refusal else ""


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000_000
    return value if is_count and isinstance(value, int) else None


def _first_token(logprobs: object) -> TokenChoice | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict):
        return None
    rows = first.get("top_logprobs")
    rows = rows if isinstance(rows, list) and rows else [first]
    pairs = ((row.get("token"), _finite(row.get("logprob"))) for row in rows if isinstance(row, dict))
    kept = tuple((printable(token), value) for token, value in pairs if isinstance(token, str) and value is not None)
    return TokenChoice(kept) if kept else None


def _finite(value: object) -> float | None:
    """A number as JSON gave it, unless it is none, or none that a float can hold: integers there have no bounds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


@lru_cache(maxsize=256)
def _schema_format(schema: str) -> dict[str, Any]:
    parsed = json.loads(schema)
    named = {"name": "answer", "schema": parsed, "strict": _is_strict(parsed)}
    return {"type": "json_schema", "json_schema": named}


_STRICT_KEYS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "description",
        "title",
        "anyOf",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
    }
)


def _is_strict(schema: object) -> bool:
    """Whether OpenAI takes the schema as strict: every field required, nothing further, its keywords alone.

    Others ignore the flag, and OpenAI refuses a request that sets it wrongly.
    """
    if not isinstance(schema, dict) or not schema.keys() <= _STRICT_KEYS:
        return False
    properties = schema.get("properties", {})
    inner = [*properties.values(), *schema.get("anyOf", [])] + ([schema["items"]] if "items" in schema else [])
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", [])) != set(properties):
            return False
    return all(_is_strict(part) for part in inner)
