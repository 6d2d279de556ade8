"""One model of an endpoint, asked for text, for JSON or for a score.

Owns how each is asked for, given what the endpoint can do, and how the answer is read. Retries, money and the record
are the client's; the words of a prompt are the caller's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from autosynth_core.errors import AnswerError, AnswerTruncated, AnswerUnreadable, RequestRefused
from autosynth_core.llm.client import Client
from autosynth_core.llm.digits import digit_in, expected_score
from autosynth_core.llm.protocol import printable
from autosynth_core.llm.schema import Extracted, extract, without_thinking
from autosynth_core.prompts import render
from autosynth_core.records import Answer, Capabilities, ChatRequest, Scope, VerdictMethod

TOP_LOGPROBS = 20
SAMPLED_TOKENS = 8
THINKING_TOKENS = 2048  # for models that think before they write the digit
SHOWN_CHARS = 6000  # of a bad answer, when it is shown for repair

_JSON_MODE = {"response_format": {"type": "json_object"}}


@dataclass(frozen=True, slots=True)
class Digit:
    """A score as read. ``score`` is in 1..5, or None with the ``reason`` why there is none; never 0."""

    score: float | None
    method: VerdictMethod
    reason: str = ""


class Model:
    """A model by name. ``extra`` are further parameters of every call, for servers that take them.

    ``draw`` in each method tells apart calls that are equal otherwise and must get answers of their own.
    All methods raise what ``Client.complete`` raises.
    """

    def __init__(
        self, client: Client, name: str, capabilities: Capabilities, *, extra: Mapping[str, object] | None = None
    ) -> None:
        self.client = client
        self.name = name
        self.capabilities = capabilities
        self._thinks = False  # learned from its answers
        self._extra = dict(extra or {})
        # a penalty on repeated tokens would count against digits that stand in the prompt's scale
        self._digit_extra = {name: value for name, value in self._extra.items() if "penalty" not in name}

    async def text(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        scope: Scope,
        temperature: float = 0.7,
        max_tokens: int = 1024,
        draw: str = "",
    ) -> str:
        """The answer as text, stripped. Raises AnswerUnreadable when it holds nothing but thinking."""
        request = self._request(messages, temperature, max_tokens, draw, self._extra)
        text = without_thinking((await self.client.complete(request, scope)).text)
        if not text:
            raise AnswerUnreadable(f"{self.name} gave its thoughts but no answer; allow more tokens.")
        return text

    async def json(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        schema: dict[str, Any],
        scope: Scope,
        temperature: float = 0.7,
        max_tokens: int = 1024,
        draw: str = "",
    ) -> dict[str, Any]:
        """An object that fits ``schema``, after at most one repair that shows the error. Raises AnswerUnreadable."""
        written = _canonical(schema)
        asked = self._with_form(messages, written)
        answer = await self._json_call(asked, written, scope, temperature, max_tokens, draw)
        found = extract(answer.text, schema)
        if found.value is None:
            repair = render("llm_json_repair", error=found.problem, schema=written)
            again = [*asked, ("assistant", answer.text[:SHOWN_CHARS]), ("user", repair)]
            answer = await self._json_call(again, written, scope, temperature, max_tokens, f"{draw}:repair")
            found = extract(answer.text, schema)
        return self._found(found)

    async def digit(
        self, messages: Sequence[tuple[str, str]], *, scope: Scope, draws: int = 3, draw: str = ""
    ) -> Digit:
        """A score from 1 to 5 in answer to a prompt that asks for one digit.

        With log-probabilities: the expected score of the first token. Without, or when the digits hold too little of
        the probability: the mean of the digits in ``draws`` sampled answers, unreadable ones left out.
        """
        if not self.capabilities.logprobs:
            return await self._sampled(messages, scope, draws, draw)
        request = self._request(messages, 0.0, 1, draw, self._digit_extra, top_logprobs=TOP_LOGPROBS)
        try:
            first = (await self.client.complete(request, scope)).first_token
        except RequestRefused:  # the probe is out of date, or this is no prompt for anyone: sampling will tell
            return await self._sampled(messages, scope, draws, draw, "log-probabilities were refused")
        if first is None:
            return await self._sampled(messages, scope, draws, draw, "no log-probabilities came back")
        expected = expected_score(first)
        if expected.score is not None:
            return Digit(expected.score, VerdictMethod.EXPECTED)
        why = f"digits hold {expected.mass:.0%} of the probability"
        return await self._sampled(messages, scope, draws, draw, why)

    async def _sampled(
        self, messages: Sequence[tuple[str, str]], scope: Scope, draws: int, draw: str, before: str = ""
    ) -> Digit:
        digit = Digit(None, VerdictMethod.SAMPLED)
        if not self._thinks:
            try:
                digit = await self._draw(messages, scope, draws, draw, SAMPLED_TOKENS)
            except AnswerTruncated:  # no text at all within so few tokens: it thinks where nobody sees it
                self._thinks = True
        if self._thinks:
            digit = await self._draw(messages, scope, draws, draw, THINKING_TOKENS)
        return replace(digit, reason=f"{before}; {digit.reason}") if before and digit.score is None else digit

    async def _draw(
        self, messages: Sequence[tuple[str, str]], scope: Scope, draws: int, draw: str, max_tokens: int
    ) -> Digit:
        requests = [
            self._request(messages, 1.0, max_tokens, f"{draw}#{number}", self._digit_extra) for number in range(draws)
        ]
        answers = await _all_or_answer_errors([self.client.complete(request, scope) for request in requests])
        digits = [digit_in(without_thinking(answer.text)) for answer in answers]
        read = [digit for digit in digits if digit is not None]
        if read:
            return Digit(fmean(read), VerdictMethod.SAMPLED)
        sample = answers[0].text.strip()[:60]
        self._thinks = self._thinks or sample.startswith("<think")
        return Digit(
            None, VerdictMethod.SAMPLED, f"no digit from 1 to 5 in {len(digits)} sampled answers, such as {sample!r}"
        )

    def _with_form(self, messages: Sequence[tuple[str, str]], schema: str) -> list[tuple[str, str]]:
        """The messages, with the form spelled out where the endpoint does not hold the model to it."""
        if self.capabilities.json_schema or not messages:
            return list(messages)
        *before, (role, content) = messages
        return [*before, (role, f"{content}\n\n{render('llm_json_form', schema=schema)}")]

    async def _json_call(
        self, messages: list[tuple[str, str]], schema: str, scope: Scope, temperature: float, max_tokens: int, draw: str
    ) -> Answer:
        held_to_it = self.capabilities.json_schema
        json_mode = _JSON_MODE if self.capabilities.json_mode and not held_to_it else {}
        request = self._request(
            messages, temperature, max_tokens, draw, self._extra | json_mode, schema=schema if held_to_it else ""
        )
        return await self.client.complete(request, scope)

    def _found(self, found: Extracted) -> dict[str, Any]:
        if found.value is None:
            raise AnswerUnreadable(
                f"{self.name} did not give the JSON that was asked for, also after a repair: {found.problem}; "
                "try again or use a more capable model."
            )
        return found.value

    def _request(
        self,
        messages: Sequence[tuple[str, str]],
        temperature: float,
        max_tokens: int,
        draw: str,
        extra: Mapping[str, object],
        *,
        schema: str = "",
        top_logprobs: int = 0,
    ) -> ChatRequest:
        return ChatRequest(
            model=self.name,
            messages=tuple((role, content) for role, content in messages),
            temperature=temperature,
            max_tokens=max_tokens,
            schema=schema,
            top_logprobs=top_logprobs,
            draw=draw,
            extra=json.dumps(extra, sort_keys=True, separators=(",", ":")) if extra else "",
        )


def _canonical(schema: dict[str, Any]) -> str:
    try:
        return printable(json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError) as error:  # schemas come from workflows too, which models write
        raise RequestRefused(f"The JSON schema of a request can't be written as JSON ({error}); correct it.") from error


async def _all_or_answer_errors(calls: Sequence[Any]) -> list[Answer]:
    """The answers there are. Raises what is no AnswerError, and the first AnswerError when all calls failed."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    fatal = [error for error in errors if not isinstance(error, AnswerError)]
    if fatal or len(errors) == len(results):
        raise (fatal or errors)[0]
    return [result for result in results if isinstance(result, Answer)]
