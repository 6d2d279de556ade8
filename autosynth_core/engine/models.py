"""Which models a run uses: from settings and environment to four models ready to be called.

Owns the resolving of roles to models, the starting of the embedded model, and the remembering of what an endpoint can
do. Calls themselves are ``llm``'s business.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from autosynth_core.config import CallSettings, ModelSettings, RunSettings
from autosynth_core.errors import ModelNotFound
from autosynth_core.llm import (
    Budget,
    CallLog,
    Checkpoint,
    Client,
    Endpoint,
    MemoryCallLog,
    Model,
    PriceTable,
    embedded,
    never_pause,
    probe,
    resolve,
)
from autosynth_core.records import Capabilities, Scope
from autosynth_core.store import Store

__all__ = [
    "Models",
    "load_models",
    "open_models",
    "save_models",
    "suggested_settings",
    "test_connection",
    "uses_embedded",
]

Say = Callable[[str], None]

_SETTING = "models"
_JUDGES = ("Judges", "Second judge")
_EMBEDDED_SLOTS = 4
_EMBEDDED_TIMEOUT_S = 1800.0  # a long answer on two cores with four in flight takes minutes
OPENAI_DEFAULT = "gpt-4.1-mini"


@dataclass(frozen=True, slots=True)
class Models:
    """A model a role, over one client. ``can_rewrite``: None when the optimizer has not been tried."""

    client: Client
    optimizer: Model
    evaluator: Model
    generator: Model
    second_judge: Model | None
    embedded: bool
    can_rewrite: bool | None


def uses_embedded(settings: ModelSettings) -> bool:
    """Whether these settings, in this environment, mean the embedded model."""
    return resolve(settings, os.environ) is None


def suggested_settings(embedded: bool) -> RunSettings:
    """Defaults for a search: the paper's, or ones that the embedded model can get through while somebody waits."""
    if not embedded:
        return RunSettings()
    return RunSettings(iterations=8, workers=2, seed_inputs=4, metric_count=3, metric_candidates=2, metric_refresh=4)


def load_models(store: Store) -> ModelSettings:
    """The models a person chose in Settings, or none of their own."""
    saved = store.setting(_SETTING)
    return ModelSettings.model_validate_json(saved) if saved else ModelSettings()


def save_models(store: Store, models: ModelSettings) -> None:
    """Remember the choice. Raises SettingsError when the address can't be used."""
    resolve(models, os.environ)
    store.put_setting(_SETTING, models.model_dump_json())


@asynccontextmanager
async def open_models(
    settings: ModelSettings,
    calls: CallSettings,
    store: Store,
    *,
    log: CallLog,
    budget: Budget | None = None,
    checkpoint: Checkpoint = never_pause,
    opened: Callable[[Client], None] = lambda client: None,
    say: Say = lambda text: None,
    scope: Scope,
    fresh: bool = False,
) -> AsyncIterator[Models]:
    """The models of a run; ``opened`` is told of their client before its first call.

    Starts (and, the first time, fetches) the embedded model where it is used. With ``fresh`` what the models can do is
    found out anew, whatever is remembered. Raises SettingsError, EndpointError or ModelFileError, each with what to do.
    """
    endpoint = resolve(settings, os.environ) or await _embedded_endpoint(say)
    if endpoint.embedded:
        calls = calls.model_copy(
            update={
                "max_in_flight": min(calls.max_in_flight, _EMBEDDED_SLOTS),
                "timeout_s": max(calls.timeout_s, _EMBEDDED_TIMEOUT_S),
            }
        )
    prices = PriceTable.load(os.environ, local=endpoint.embedded or endpoint.is_loopback)
    async with Client(
        endpoint, log, settings=calls, prices=prices, budget=budget, checkpoint=checkpoint, say=say
    ) as client:
        opened(client)
        named = await _named_roles(client, settings)
        for name in {named.optimizer, named.evaluator, named.generator, named.second_judge} - {""}:
            client.budget.require_price(name, prices)

        async def model(name: str) -> Model:
            capabilities = await _capabilities(client, store, name, scope, say, fresh=fresh)
            return Model(client, name, capabilities, extra=embedded.CALL_EXTRA if endpoint.embedded else {})

        optimizer = await model(named.optimizer)
        yield Models(
            client,
            optimizer,
            await model(named.evaluator),
            await model(named.generator),
            await model(named.second_judge) if named.second_judge else None,
            endpoint.embedded,
            optimizer.capabilities.rewrites,
        )


async def test_connection(settings: ModelSettings, store: Store) -> list[str]:
    """What the endpoint and its models can do, a line each. Raises SettingsError, EndpointError or ModelFileError."""
    lines: list[str] = []
    scope = Scope("", "probe")
    calls = CallSettings(attempts=2, timeout_s=60)
    async with open_models(
        settings, calls, store, log=MemoryCallLog(), scope=scope, say=lines.append, fresh=True
    ) as models:
        lines = [f"Connected to {models.client.endpoint.base_url}."]
        for role, model in _by_role(models):
            lines.append(f"{role}: {_told(model.capabilities, judges=role in _JUDGES)}")
    return lines


def _by_role(models: Models) -> list[tuple[str, Model]]:
    """In the words of the form in Settings."""
    writers = [("Writes the samples", models.generator), ("Improves the recipes", models.optimizer)]
    judges = zip(_JUDGES, (models.evaluator, models.second_judge), strict=True)
    return [*writers, *((role, judge) for role, judge in judges if judge is not None)]


def _told(can: Capabilities, *, judges: bool) -> str:
    """How a model does in its role, and in brackets what that rests on."""
    if judges and can.logprobs:
        how = "works well, with fine-grained scores (log-probabilities)"
    elif judges:
        how = "works; each score is asked for several times (it gives no log-probabilities)"
    elif can.json_schema:
        how = "works well, in the form that is asked for (JSON by schema)"
    elif can.json_mode:
        how = "works; now and then an answer in the wrong form is asked for again (JSON without a schema)"
    else:
        how = "works with plain text; answers in the wrong form are asked for again (no JSON)"
    return f"{can.model} {how}. A short answer took {can.latency_ms / 1000:.1f} s."


async def _embedded_endpoint(say: Say) -> Endpoint:
    def start() -> embedded.RunningModel:
        if not embedded.installed():
            last = -1

            def told(progress: embedded.Progress) -> None:
                nonlocal last
                percent = int(100 * progress.done / progress.total) if progress.total else 0
                if percent // 5 != last:
                    last = percent // 5
                    say(f"Fetching the built-in model, {percent}% of {progress.total / 1e9:.1f} GB")

            embedded.pull(progress=told)
        say("Loading the built-in model")
        return embedded.shared()

    running = await asyncio.to_thread(start)
    return Endpoint(running.base_url, running.api_key, embedded=True)


async def _named_roles(client: Client, settings: ModelSettings) -> ModelSettings:
    """The settings with every role but the second judge named. Raises ModelNotFound where nothing can be named."""
    roles = (settings.optimizer, settings.evaluator, settings.generator)
    default = next((name for name in roles if name), "")
    if not default and client.endpoint.embedded:
        default = embedded.DEFAULT_MODEL
    if not default and client.endpoint.base_url.startswith("https://api.openai.com/"):
        default = OPENAI_DEFAULT
    if not default:
        listed = await client.list_models()
        if not listed:
            raise ModelNotFound(
                f"The endpoint {client.endpoint.base_url} lists no model; name a model for each role in Settings."
            )
        default = listed[0]
    return settings.model_copy(
        update={
            "optimizer": settings.optimizer or default,
            "evaluator": settings.evaluator or default,
            "generator": settings.generator or default,
        }
    )


async def _capabilities(
    client: Client, store: Store, name: str, scope: Scope, say: Say, *, fresh: bool
) -> Capabilities:
    """What the model can do: remembered, else probed now. The embedded model's is known, and its address changes."""
    if client.endpoint.embedded:
        return Capabilities("embedded", name, json_schema=True, json_mode=True, logprobs=True, rewrites=False)
    known = store.capabilities(client.endpoint.base_url, name)
    if known is not None and not fresh:
        return known
    say(f"Finding out what {name} can do")
    found = await probe(client, name, scope=scope)
    if known is not None:
        found = replace(found, rewrites=known.rewrites)
    store.put_capabilities(found)
    return found


def remember_rewrites(store: Store, capabilities: Capabilities, rewrites: bool) -> Capabilities:
    """Note whether a model rewrote a program that passed every check."""
    changed = replace(capabilities, rewrites=rewrites)
    store.put_capabilities(changed)
    return changed
