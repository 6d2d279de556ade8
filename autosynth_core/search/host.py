"""The host functions a workflow calls, served by the generator model.

Owns how a workflow's calls become requests, and which of them count as the same. The sandbox checks arguments and
limits before anything gets here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from autosynth_core.llm import Model
from autosynth_core.records import Scope, content_hash

__all__ = ["GeneratorHost"]


class GeneratorHost:
    """Serves one sample of one workflow.

    A request's draw is made of the run's seed, the seed input, the replicate and how often this sample has asked the
    very same thing before, but not of the workflow: a child that leaves its parent's first stage as it was gets
    the parent's answer for it. That saves the call, and removes its noise from the comparison of the two.
    """

    def __init__(self, model: Model, scope: Scope, draw: str) -> None:
        self._model = model
        self._scope = scope
        self._draw = draw
        self._asked: Counter[str] = Counter()

    async def llm(
        self, prompt: str, *, system: str | None = None, temperature: float = 0.7, max_tokens: int = 1024
    ) -> str:
        messages = _messages(prompt, system)
        draw = self._next_draw(messages, temperature, max_tokens)
        return await self._model.text(
            messages, scope=self._scope, temperature=temperature, max_tokens=max_tokens, draw=draw
        )

    async def llm_json(
        self,
        prompt: str,
        *,
        schema: dict[str, Any],
        system: str | None = None,
        temperature: float = 0.7,
        max_tokens: int = 1024,
    ) -> dict[str, Any]:
        messages = _messages(prompt, system)
        draw = self._next_draw(messages, temperature, max_tokens, schema)
        return await self._model.json(
            messages, schema=schema, scope=self._scope, temperature=temperature, max_tokens=max_tokens, draw=draw
        )

    async def chat(self, messages: list[dict[str, str]], *, temperature: float = 0.7, max_tokens: int = 1024) -> str:
        pairs = [(message["role"], message["content"]) for message in messages]
        draw = self._next_draw(pairs, temperature, max_tokens)
        return await self._model.text(
            pairs, scope=self._scope, temperature=temperature, max_tokens=max_tokens, draw=draw
        )

    def _next_draw(self, *content: object) -> str:
        key = content_hash(*content)
        self._asked[key] += 1
        return f"{self._draw}:{self._asked[key]}"


def _messages(prompt: str, system: str | None) -> list[tuple[str, str]]:
    return [*([("system", system)] if system else []), ("user", prompt)]
