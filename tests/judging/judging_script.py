"""Models that answer from a script over the real protocol, and samples to judge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from openai_server import OpenAIServer

from autosynth_core.config import CallSettings
from autosynth_core.llm import Client, Endpoint, MemoryCallLog, Model
from autosynth_core.records import Capabilities, Sample, SampleState, SeedInput

KEY = "sk-of-the-test"


class Scripted(NamedTuple):
    """A model, the server that answers for it, and the log of its calls."""

    model: Model
    server: OpenAIServer
    log: MemoryCallLog


Script = Callable[..., Awaitable[Scripted]]


async def start(
    stack: AsyncExitStack, answer: Any, *, logprobs: bool = True, json_schema: bool = True, **options: Any
) -> Scripted:
    """A model that answers so, up until ``stack`` closes; no waits between attempts."""
    server = stack.enter_context(
        OpenAIServer(answer, logprobs=logprobs, json_schema=json_schema, json_mode=json_schema, **options)
    )
    log = MemoryCallLog()
    client = Client(Endpoint(server.base_url, KEY), log, settings=CallSettings(attempts=2), sleep=_at_once)
    await stack.enter_async_context(client)
    able = Capabilities(server.base_url, "judge", json_schema, json_schema, logprobs)
    return Scripted(Model(client, "judge", able), server, log)


async def _at_once(_: float) -> None:
    pass


def make_sample(analogy: str, concept: str = "cell membrane") -> Sample:
    """A sample of the task in ``conftest``."""
    return Sample("run", "w", SeedInput({"concept": concept}), 0, SampleState.OK, {"analogy": analogy})


def prompt_of(body: dict[str, Any]) -> str:
    """All that a request says."""
    return "\n".join(message["content"] for message in body["messages"])
