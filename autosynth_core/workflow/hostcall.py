"""One call of a workflow to a host function: reading it and asking the host.

Owns the checks on what a workflow asks for. Everything arrives as JSON text from inside the sandbox and is hostile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from autosynth_core.records import content_hash
from autosynth_core.workflow.contract import MAX_MAX_TOKENS, MAX_PROMPT_CHARS, MAX_TEMPERATURE
from autosynth_core.workflow.output import clean

MAX_SCHEMA_CHARS = 20_000
MAX_SCHEMA_DEPTH = 12
MAX_MESSAGES = 100
ROLES = ("system", "user", "assistant")


class Host(Protocol):
    """The three functions that a workflow is lent, for one sample.

    They raise ``AnswerError`` when this call has no usable answer, and any other error to stop the run.
    """

    async def llm(self, prompt: str, *, system: str | None, temperature: float, max_tokens: int) -> str: ...

    async def llm_json(
        self, prompt: str, *, schema: dict[str, Any], system: str | None, temperature: float, max_tokens: int
    ) -> dict[str, Any]: ...

    async def chat(self, messages: list[dict[str, str]], *, temperature: float, max_tokens: int) -> str: ...


@dataclass(frozen=True, slots=True)
class HostCall:
    """A call whose arguments are of the right types and within limits."""

    function: str
    arguments: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Equal calls have equal keys."""
        return content_hash(self.function, dict(self.arguments))

    @property
    def max_tokens(self) -> int:
        return int(self.arguments["max_tokens"])

    def texts(self) -> list[str]:
        """Every text that a model would read of this call, its schema left out."""
        if self.function == "chat":
            return [message["content"] for message in self.arguments["messages"]]
        return [text for text in (self.arguments["prompt"], self.arguments["system"]) if text]

    async def ask(self, host: Host) -> str | dict[str, Any]:
        """The host's answer."""
        given = dict(self.arguments)
        if self.function == "chat":
            return await host.chat(given.pop("messages"), **given)
        if self.function == "llm_json":
            return await host.llm_json(given.pop("prompt"), **given)
        return await host.llm(given.pop("prompt"), **given)


def read_call(function: str, arguments: str) -> HostCall:
    """The call that a workflow made. Raises TypeError or ValueError with a sentence for the workflow's author."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{function}: the arguments are nested too deeply") from error
    checked: dict[str, Any] = {}
    if function == "chat":
        checked["messages"] = _messages(given["messages"])
    else:
        checked["prompt"] = _text(f"{function}: prompt", given["prompt"])
        system = given["system"]
        checked["system"] = None if system is None else _text(f"{function}: system", system)
    if function == "llm_json":
        checked["schema"] = _schema(given["schema"])
    checked["temperature"] = _temperature(function, given["temperature"])
    checked["max_tokens"] = _max_tokens(function, given["max_tokens"])
    return HostCall(function, checked)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{what} is empty")
    if len(value) > MAX_PROMPT_CHARS:
        raise ValueError(f"{what} has {len(value)} characters; at most {MAX_PROMPT_CHARS} are allowed")
    return clean(value)


def _messages(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise TypeError('chat: messages must be a list of {"role": ..., "content": ...}, and not empty')
    if len(value) > MAX_MESSAGES:
        raise ValueError(f"chat: {len(value)} messages; at most {MAX_MESSAGES} are allowed")
    messages = [_message(message) for message in value]
    if sum(len(message["content"]) for message in messages) > MAX_PROMPT_CHARS:
        raise ValueError(f"chat: the messages have more than {MAX_PROMPT_CHARS} characters together")
    return messages


def _message(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or set(value) != {"role", "content"}:
        raise TypeError('chat: a message must be {"role": ..., "content": ...} and nothing else')
    if value["role"] not in ROLES:
        raise ValueError(f"chat: a message's role must be one of {', '.join(ROLES)}")
    return {"role": value["role"], "content": _text("chat: a message's content", value["content"])}


def _schema(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise TypeError("llm_json: schema must be a JSON Schema as a dict, and not empty")
    if value.get("type") != "object":
        raise ValueError('llm_json: the schema\'s type must be "object", because a dict is returned')
    text = json.dumps(value)
    if len(text) > MAX_SCHEMA_CHARS:
        raise ValueError(f"llm_json: the schema has more than {MAX_SCHEMA_CHARS} characters")
    if _depth(value) > 2 * MAX_SCHEMA_DEPTH:
        raise ValueError(f"llm_json: the schema is nested more than {MAX_SCHEMA_DEPTH} levels deep")
    cleaned: dict[str, Any] = json.loads(clean(text))
    return cleaned


def _depth(value: object) -> int:
    """Levels of dicts and lists; counted level by level, as deep ones would exhaust the stack."""
    level, depth = [value], 0
    while level:
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level, depth = inner, depth + 1
    return depth


def _temperature(function: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{function}: temperature must be a number, not {type(value).__name__}")
    if not 0 <= value <= MAX_TEMPERATURE:  # NaN fails this too
        raise ValueError(f"{function}: temperature must lie in 0 to {MAX_TEMPERATURE:g}")
    return float(value)


def _max_tokens(function: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{function}: max_tokens must be a whole number, not {type(value).__name__}")
    if not 1 <= value <= MAX_MAX_TOKENS:
        raise ValueError(f"{function}: max_tokens must lie in 1 to {MAX_MAX_TOKENS}")
    return value
