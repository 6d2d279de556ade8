"""What a person may set, with units, ranges and defaults. Keys are never part of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autosynth_core.errors import SettingsError


class Strategy(StrEnum):
    """How the next parent is selected."""

    SOFT_TOP_K = "soft_top_k"
    UCT = "uct"
    BEST_OF_N = "best_of_n"
    RANDOM = "random"
    AFLOW = "aflow"


class Scoring(StrEnum):
    """How scores under different metric sets are put together."""

    LINKED = "linked"  # on one scale, see judging.scale
    RAW = "raw"  # as they come, as in the paper


class Sampling(StrEnum):
    """How many seed inputs a workflow is run on."""

    STAGED = "staged"  # a few, and more for those that are built upon or may be the best
    FIXED = "fixed"  # the same number for all


class Convergence(StrEnum):
    """When a search has found what it can."""

    BOUND = "bound"  # the upper 95% bound of the top three's gain is below epsilon
    PAPER = "paper"  # the top three's mean moved by less than epsilon
    UNCHANGED = "unchanged"  # the top three stayed the same (AFlow)
    NEVER = "never"


class Expansion(StrEnum):
    """How children are written."""

    AUTO = "auto"
    REWRITE = "rewrite"
    EDITS = "edits"


class ModelSettings(BaseModel):
    """One endpoint and a model for each role. An empty model means the endpoint's default (its first)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    base_url: str = Field(
        default="",
        description="OpenAI-compatible base URL; empty: OPENAI_BASE_URL, OpenAI's own where only a key is set, "
        "else the embedded model",
    )
    optimizer: str = Field(default="", description="model that writes and changes workflows")
    evaluator: str = Field(default="", description="model that writes metrics and judges")
    generator: str = Field(default="", description="model that the workflows call")
    second_judge: str = Field(default="", description="another model that judges; empty: none")


class CallSettings(BaseModel):
    """How calls are made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    attempts: Annotated[int, Field(ge=1, le=20)] = 6  # tries a call, the first included
    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 64  # ceiling of the throttle a model


class SampleLimits(BaseModel):
    """What one sample may use."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    run_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0  # of the workflow's own code, waiting not counted
    wall_seconds: Annotated[float, Field(gt=0, le=7200)] = 900.0
    memory_mb: Annotated[int, Field(ge=8, le=4096)] = 128
    host_calls: Annotated[int, Field(ge=1, le=1000)] = 24
    tokens: Annotated[int, Field(ge=100)] = 24_000  # asked for or used, over all calls of the sample
    output_chars: Annotated[int, Field(ge=100)] = 40_000


class RunSettings(BaseModel):
    """One search."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    iterations: Annotated[int, Field(ge=1, le=10_000, description="children tried, the first workflow not counted")] = (
        30
    )
    workers: Annotated[int, Field(ge=1, le=64, description="expansions at once")] = 4
    seed: Annotated[int, Field(ge=0, description="seed of all randomness")] = 0
    strategy: Strategy = Strategy.SOFT_TOP_K
    expansion: Expansion = Expansion.AUTO
    top_k: Annotated[int, Field(ge=1, le=50)] = 2
    seed_inputs: Annotated[
        int, Field(ge=2, le=200, description="seed inputs a workflow is run on; staged sampling stays below on average")
    ] = 6
    sampling: Sampling = Sampling.STAGED
    scoring: Scoring = Scoring.LINKED
    workflow_weight: Annotated[
        float,
        Field(ge=0, le=1, description="share of the workflow score in the reward: R = (1 - w) sample + w workflow"),
    ] = 0.5
    metric_count: Annotated[int, Field(ge=1, le=8)] = 4
    metric_candidates: Annotated[int, Field(ge=1, le=9, description="candidate metric sets for self-consistency")] = 3
    metric_refresh: Annotated[
        int, Field(ge=0, le=1000, description="metrics are regenerated every so many iterations; 0: never")
    ] = 15
    anchor_share: Annotated[
        float, Field(ge=0, le=1, description="share of the educator's approved criteria in a sample's score")
    ] = 0.5
    verdict_draws: Annotated[
        int, Field(ge=1, le=9, description="digits sampled a verdict where there are no log-probabilities")
    ] = 3
    measure_noise: Annotated[
        bool, Field(description="measure at the start how much scores vary when nothing has changed")
    ] = True
    check_fitness: Annotated[
        bool, Field(description="try the judge on known good and bad samples before anything else is spent")
    ] = True
    race_contenders: Annotated[
        int, Field(ge=0, le=20, description="best workflows raced at the end on sealed seed inputs; 0: no race")
    ] = 4
    stop_on_drift: Annotated[bool, Field(description="stop when an alarm about the judge goes off")] = False
    convergence: Convergence = Convergence.BOUND
    epsilon: Annotated[float, Field(ge=0, le=1, description="convergence threshold in reward units")] = 0.05
    patience: Annotated[int, Field(ge=1, le=1000, description="iterations over which the gain is measured")] = 5
    extended_after: Annotated[
        int,
        Field(ge=0, description="set when a finished run is extended: convergence is looked for after this iteration"),
    ] = 0
    repairs: Annotated[int, Field(ge=0, le=5, description="times a failing proposal is sent back with its error")] = 3
    budget_usd: Annotated[float | None, Field(gt=0, description="cap in US dollars; none: no cap")] = None
    budget_tokens: Annotated[
        int | None, Field(gt=0, description="cap in tokens, prompt and completion; none: no cap")
    ] = None
    models: ModelSettings = ModelSettings()
    calls: CallSettings = CallSettings()
    limits: SampleLimits = SampleLimits()


class RoundSettings(BaseModel):
    """One round of the initialization: some samples for the educator to look at."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: Annotated[int, Field(ge=1, le=1000)] = 1
    samples: Annotated[int, Field(ge=1, le=50)] = 6
    previous: str = Field(
        default="", description="run id of the round whose feedback this one answers; empty: first round"
    )
    seed: Annotated[int, Field(ge=0)] = 0
    repairs: Annotated[int, Field(ge=0, le=5)] = 3
    budget_usd: Annotated[float | None, Field(gt=0)] = None
    models: ModelSettings = ModelSettings()
    calls: CallSettings = CallSettings()
    limits: SampleLimits = SampleLimits()


_RANGES = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "finite_number": "a finite number",
}


def refusal(error: ValidationError) -> str:
    """The first thing wrong in what was set, as the middle of a sentence: ``iterations must be at least 1, not 0``."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:100] or "it"
    wanted = _RANGES.get(first["type"])
    if wanted is None:
        return f"{where} can't be used ({first['msg']})"
    return f"{where} must be {wanted.format(**first.get('ctx', {}))}, not {str(first['input'])[:40]}"


S = TypeVar("S", RunSettings, RoundSettings)


def read_settings(kind: type[S], text: str, run_id: str) -> S:
    """A run's settings from their JSON, which an archive or another version of the program may have written.

    Raises SettingsError, one sentence about that run.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise SettingsError(
            f"The settings of run {run_id} can't be read by this version of the program ({problem}); choose another."
        ) from error
