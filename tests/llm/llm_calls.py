"""What the tests of the client share: a request, a scope, a client that does not wait between attempts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from autosynth_core.config import CallSettings
from autosynth_core.llm import CallLog, Client, Endpoint
from autosynth_core.records import Capabilities, ChatRequest, Scope
from tests.support.openai_server import OpenAIServer

KEY = "sk-test-7f3a91c2d4"
SCOPE = Scope(run_id="run", purpose="sample", node=1)


class NoJitter(random.Random):
    """Draws the shortest wait."""

    def uniform(self, a: float, b: float) -> float:
        return a


def ask(prompt: str = "hello", **changes: Any) -> ChatRequest:
    given: dict[str, Any] = {"model": "m", "messages": (("user", prompt),), "temperature": 0.7, "max_tokens": 100}
    return ChatRequest(**(given | changes))


def client(server: OpenAIServer, log: CallLog, *, attempts: int = 6, timeout_s: float = 5.0, **given: Any) -> Client:
    settings = CallSettings(attempts=attempts, timeout_s=timeout_s, max_in_flight=given.pop("max_in_flight", 64))
    return Client(Endpoint(server.base_url, KEY), log, settings=settings, random=NoJitter(), **given)


def can(*, json_schema: bool = True, json_mode: bool = True, logprobs: bool = True) -> Capabilities:
    return Capabilities("http://127.0.0.1/v1", "m", json_schema, json_mode, logprobs)


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server that speaks whatever ``talk`` does; the port. All conversations have ended when it has."""
    talks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:  # the client gave up
            pass
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close one turn later
