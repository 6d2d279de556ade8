"""The values that pass between modules, all frozen.

Scores are on the judges' scale 1..5. Rewards are in 0..1: ``(score - 1) / 4``. Times are UTC seconds since the
epoch (float), durations milliseconds (int). A missing score is ``None`` and left out of every mean; an unknown
price is ``None`` and never counted as free.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple


def content_hash(*parts: object) -> str:
    """SHA-256 (hex, 64 characters) of the parts' canonical JSON: same content, same hash, on any machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# --- the task -------------------------------------------------------------------------------------------------


class FieldKind(StrEnum):
    """What an output field holds."""

    TEXT = "text"  # a string
    TURNS = "turns"  # a dialogue: a list of {"speaker": str, "text": str}


@dataclass(frozen=True, slots=True)
class OutputField:
    """One field that ``generate`` returns."""

    name: str
    description: str
    kind: FieldKind = FieldKind.TEXT


@dataclass(frozen=True, slots=True)
class SeedInput:
    """One input to generate from: the same field names throughout a task, all values text."""

    values: Mapping[str, str]

    @property
    def id(self) -> str:
        """First 12 hex digits of the content hash."""
        return _seed_id(tuple(sorted(self.values.items())))


@lru_cache(maxsize=50_000)  # asked for at every step of every sample
def _seed_id(items: tuple[tuple[str, str], ...]) -> str:
    return content_hash(dict(items))[:12]


@dataclass(frozen=True, slots=True)
class Example:
    """A good or a bad output, with what makes it so."""

    seed: Mapping[str, str]
    output: Mapping[str, Any]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What an educator wants: the whole of a task file."""

    title: str
    description: str
    audience: str
    output_fields: tuple[OutputField, ...]
    must_nevers: tuple[str, ...]
    good_examples: tuple[Example, ...]
    bad_examples: tuple[Example, ...]
    search_seeds: tuple[SeedInput, ...]
    sealed_seeds: tuple[SeedInput, ...]
    language: str = "English"
    expert_workflow: str | None = None

    @property
    def seed_fields(self) -> tuple[str, ...]:
        """The names of the seed inputs' fields, sorted."""
        return tuple(sorted(self.search_seeds[0].values))


# --- workflows and samples --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workflow:
    """A generation workflow: one text of Python with prompt constants and ``async def generate(seed)``."""

    source: str
    fingerprint: str  # of the normalised syntax tree; see autosynth_core.workflow.fingerprint


class Gate(StrEnum):
    """The preflight's gates, in order of cost. A broken workflow says at which it was stopped."""

    PROPOSAL = "proposal"  # the optimizer gave no usable answer
    SIZE = "size"
    PARSE = "parse"
    DUPLICATE = "duplicate"
    SIGNATURE = "signature"
    PROMPTS = "prompts"  # constants defined and used, placeholders filled, answers used
    TYPES = "types"
    DRY_RUN = "dry run"  # against a stub model: limits, forbidden access, inputs reaching prompts
    REAL_SAMPLE = "real sample"


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What preflight found. ``gate`` is None when every gate before the real sample was passed."""

    workflow: Workflow | None
    gate: Gate | None = None
    reason: str = ""

    @property
    def passed(self) -> bool:
        return self.gate is None


class SampleState(StrEnum):
    """How the making of a sample ended."""

    OK = "ok"
    WORKFLOW_FAILED = "workflow failed"  # its code raised, hit a limit, or returned the wrong fields
    MODEL_FAILED = "model failed"  # no usable answer from the endpoint; never the workflow's fault, never a score


@dataclass(frozen=True, slots=True)
class Sample:
    """One output of a workflow: workflow x seed input x replicate, within a run."""

    run_id: str
    fingerprint: str
    seed: SeedInput
    replicate: int
    state: SampleState
    output: Mapping[str, Any] | None  # None unless state is OK
    reason: str = ""
    ms: int = 0

    @property
    def id(self) -> str:
        """16 hex digits, the same for the same (run, workflow, seed input, replicate)."""
        return sample_id(self.run_id, self.fingerprint, self.seed.id, self.replicate)


@lru_cache(maxsize=50_000)
def sample_id(run_id: str, fingerprint: str, seed_id: str, replicate: int) -> str:
    """The id of a sample (16 hex digits), known before it exists."""
    return content_hash("sample", run_id, fingerprint, seed_id, replicate)[:16]


# --- judging ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing a judge scores from 1 to 5."""

    name: str
    description: str
    low: str  # what a 1 looks like
    high: str  # what a 5 looks like
    weight: float = 1.0  # >= 0, relative
    anchor: bool = False  # approved by the educator, and the same in every version


@dataclass(frozen=True, slots=True)
class MetricSet:
    """A version of the yardstick. Equal content, equal version."""

    metrics: tuple[Metric, ...]

    @property
    def version(self) -> str:
        """12 hex digits of the content hash of the metrics, in any order."""
        rows = sorted((m.name, m.description, m.low, m.high, m.weight, m.anchor) for m in self.metrics)
        return content_hash("metric set", rows)[:12]


class Standing(StrEnum):
    """What a metric set is to a run."""

    PROPOSED = "as proposed"  # before its weights were set by what its metrics tell apart; never judged by
    IN_FORCE = "in force"  # or was, until a newer one came
    QUARANTINED = "set aside"  # something speaks against it; a person decides
    RELEASED = "taken after all"  # by a person
    REJECTED = "left out"  # by a person


class RunMetricSet(NamedTuple):
    """A metric set as it came into a run."""

    metric_set: MetricSet
    iteration: int
    agreement: float | None  # None: there was no other candidate to agree with
    provenance: str
    standing: Standing
    reason: str  # why it was set aside; "" when it was not


class VerdictMethod(StrEnum):
    """How a digit came about."""

    EXPECTED = "expected score"  # mean over the digit tokens' probabilities
    SAMPLED = "sampled digits"  # mean of digits sampled


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judge's score of one subject on one metric. Append-only."""

    subject: str  # a sample's id, or a workflow's fingerprint
    metric: str
    version: str  # the metric set's version; "workflow" for the fixed workflow metrics
    judge: str  # the model's name
    prompt_hash: str
    score: float | None  # 1..5; None: no verdict could be read, left out of every mean
    method: VerdictMethod
    reason: str = ""  # why there is no score; reasons for scores are asked for separately
    repeat: int = 0  # the same question asked again, to learn how a judge agrees with itself


class ScoreRow(NamedTuple):
    """A verdict joined with the sample it judges: what scores are computed from. Repeated verdicts are left out."""

    fingerprint: str
    seed_id: str
    replicate: int
    version: str
    judge: str
    metric: str
    score: float | None  # 1..5


@dataclass(frozen=True, slots=True)
class Look:
    """What an iteration had judged: a node's samples on these seed inputs under a version.

    Scores are made of looks and not of whatever verdicts there are: verdicts of iterations still under way are stored
    too, and must not count before their iteration does.
    """

    iteration: int
    node: int
    version: str
    seeds: tuple[str, ...]  # seed input ids


@dataclass(frozen=True, slots=True)
class Reward:
    """A node's reward in 0..1, with a 95% interval over seed inputs."""

    total: float
    sample: float
    workflow: float
    low: float
    high: float
    n: int  # seed inputs behind the sample part


class Comparison(StrEnum):
    """A child against its parent on the same seed inputs under the same metric set."""

    BETTER = "better"
    WORSE = "worse"
    CANT_TELL = "can't tell"


@dataclass(frozen=True, slots=True)
class RaceResult:
    """A race of the best workflows on sealed seed inputs. Rewards are in 0..1, intervals 95%.

    The winner's ``sealed`` reward rests on seed inputs that had no part in choosing it. ``claimed`` is what the search
    itself had said of it, ``first`` the first workflow's sealed reward on the same inputs, ``gain`` the paired
    difference of the two.
    """

    run_id: str
    judge: str
    version: str
    contenders: Mapping[int, int]  # node -> samples it made on sealed seed inputs before it was out or the race over
    winner: int
    probability: float  # that the winner is the best of those raced
    sealed: Reward
    claimed: Reward
    first: Reward
    gain: tuple[float, float, float]  # mean, low, high
    at: float = 0.0


# --- the tree -----------------------------------------------------------------------------------------------------


class NodeState(StrEnum):
    """Where a node stands. Only SCORED nodes are selected from."""

    RUNNING = "running"
    SCORED = "scored"
    BROKEN = "broken"  # stopped at a gate; its reason says why; cost no judge call
    DUPLICATE = "duplicate"  # the same program as another node; nothing was run, unless both were under way at once
    UNSCORED = "unscored"  # ran, but too few samples or verdicts could be had; an endpoint's fault


class Form(StrEnum):
    """How a child is written."""

    ROOT = "root"
    REWRITE = "rewrite"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a child tries, in words, and the new text."""

    form: Form
    operator: str  # an edit operator's name; "" for a rewrite
    target: str  # the prompt or stage that the operator works on; "" for a rewrite
    modification: str  # what is changed and why, one or two sentences
    weakness: str  # the weakness it aims at
    source: str  # the whole new module
    repairs: int = 0  # how many times it was sent back with an error, 0..3


@dataclass(frozen=True, slots=True)
class Node:
    """One workflow in the tree. ``number`` is the iteration that made it; the root is 0."""

    run_id: str
    number: int
    parent: int | None
    state: NodeState
    form: Form
    operator: str = ""
    target: str = ""
    modification: str = ""
    weakness: str = ""
    source: str = ""
    fingerprint: str = ""  # "" when it never parsed
    gate: Gate | None = None
    reason: str = ""
    repairs: int = 0
    metric_version: str = ""  # the version it was judged under; "" unless SCORED
    duplicate_of: int | None = None


# --- runs ---------------------------------------------------------------------------------------------------------


class RunKind(StrEnum):
    SEARCH = "search"
    ROUND = "round"  # one round of an initialization: first or improved workflow and its samples


class RunState(StrEnum):
    """A run's state. All but FINISHED and FAILED can be resumed; FINISHED can be extended."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # by a person
    INTERRUPTED = "interrupted"  # its owner was lost
    FINISHED = "finished"
    FAILED = "failed"  # the endpoint can't be used; the reason says what to do; resumable


class StopReason(StrEnum):
    """Why a run is FINISHED."""

    CONVERGED = "converged"
    ITERATIONS = "iterations used"
    BUDGET = "budget used"


class Command(StrEnum):
    """What a page or a command may ask of a running engine."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    RACE = "race"  # the best of a search that is not running, on the inputs kept aside


@dataclass(frozen=True, slots=True)
class Project:
    """A task with its rounds of feedback and its runs."""

    id: str
    task: Task
    created: float


@dataclass(frozen=True, slots=True)
class Run:
    """A run as stored.

    ``settings`` is the JSON of ``config.RunSettings`` or ``config.RoundSettings``; ``brief`` the JSON snapshot of what
    it works on (see ``engine.brief``), so that editing the project later does not change a run under way.
    """

    id: str
    project_id: str
    kind: RunKind
    settings: str
    state: RunState
    reason: str
    created: float
    finished: float | None
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a run's feed, in plain words."""

    run_id: str
    at: float
    kind: str
    message: str
    node: int | None = None
    id: int = 0


class Rating(StrEnum):
    """An educator's word on a sample."""

    USE = "use as is"
    USE_EDITED = "use with edits"
    NOT_USABLE = "not usable"


@dataclass(frozen=True, slots=True)
class Feedback:
    """An educator's feedback on one sample of a round. The latest for a sample counts."""

    run_id: str  # the round
    sample_id: str
    rating: Rating
    reasons: tuple[str, ...] = ()
    comment: str = ""
    edited: Mapping[str, Any] | None = None
    at: float = 0.0


# --- model calls --------------------------------------------------------------------------------------------------


class Role(StrEnum):
    OPTIMIZER = "optimizer"
    EVALUATOR = "evaluator"
    GENERATOR = "generator"
    SECOND_JUDGE = "second judge"


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose behalf a call is made; decides nothing, recorded for the node view and the bill."""

    run_id: str
    purpose: str  # "propose", "repair", "sample", "verdict", "metrics", "workflow verdict", "reason", "probe" ...
    node: int | None = None
    sample_id: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat completion, as asked for. Its key is what makes two requests the same."""

    model: str
    messages: tuple[tuple[str, str], ...]  # (role, content)
    temperature: float
    max_tokens: int
    schema: str = ""  # JSON Schema as canonical JSON text; "" for plain text
    top_logprobs: int = 0
    draw: str = ""  # tells apart replicates that must get answers of their own
    extra: str = ""  # further parameters as canonical JSON text
    key: str = field(init=False, compare=False, repr=False)
    """The content key: model, messages, parameters and draw, and nothing else. Made once, asked for often."""

    def __post_init__(self) -> None:
        parts = (
            self.model, self.messages, self.temperature, self.max_tokens, self.schema, self.top_logprobs, self.draw,
            self.extra,
        )  # fmt: skip
        object.__setattr__(self, "key", content_hash("call", *parts))


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """The alternatives at one position of an answer: token text and natural-log probability."""

    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A completed call, as recorded before anything of it is parsed."""

    key: str
    model: str
    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    usd: float | None  # None: price or tokens unknown
    ms: int
    first_token: TokenChoice | None = None  # only where log-probabilities were asked for and given
    status: str = "ok"  # "ok", or why a billed answer was not usable: "empty", "truncated"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run has used. ``usd`` counts the priced calls; ``unpriced`` says how many are missing from it."""

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)  # kind of failure -> count, retries included


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an endpoint's model can do, probed once and remembered."""

    base_url: str
    model: str
    json_schema: bool
    json_mode: bool
    logprobs: bool
    rewrites: bool | None = None  # can rewrite a whole workflow; None: not tried
    latency_ms: int = 0
    probed: float = 0.0
