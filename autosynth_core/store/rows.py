"""Records to row values and back, pure.

Owns the JSON forms that are stored and the order of columns. JSON is written with ASCII escapes, so any text survives,
lone surrogates and NUL included. Reading trusts the database; ``task_from_json`` alone also meets text from outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autosynth_core.errors import InputError
from autosynth_core.records import (
    Answer,
    Capabilities,
    ChatRequest,
    Command,
    Event,
    Example,
    Feedback,
    FieldKind,
    Form,
    Gate,
    Look,
    Metric,
    MetricSet,
    Node,
    NodeState,
    OutputField,
    Project,
    RaceResult,
    Rating,
    Reward,
    Run,
    RunKind,
    RunState,
    Sample,
    SampleState,
    SeedInput,
    Task,
    TokenChoice,
    Verdict,
    VerdictMethod,
)

__all__ = [
    "CallRow",
    "Lease",
    "Request",
    "WorkflowScore",
    "task_from_json",
    "task_to_json",
]

Row = Sequence[Any]


class Lease(NamedTuple):
    """Who runs a run. Times are UTC seconds since the epoch."""

    run_id: str
    owner: str
    acquired: float
    heartbeat: float


class Request(NamedTuple):
    """A command that the engine has not handled yet."""

    id: int
    run_id: str
    command: Command
    at: float


class WorkflowScore(NamedTuple):
    """One readable verdict (1..5) on a workflow's text."""

    fingerprint: str
    judge: str
    metric: str
    score: float


class CallRow(NamedTuple):
    """One use of a call, for the node view."""

    at: float
    purpose: str
    node: int | None
    sample_id: str
    paid: bool  # False: the answer was there already
    request: ChatRequest
    answer: Answer


def text(value: str | bytes) -> str:
    """A text column's value; bytes where the text has lone surrogates."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# --- the task -------------------------------------------------------------------------------------------------


def task_to_json(task: Task) -> str:
    """The whole task as one JSON object."""
    return to_json(
        {
            "title": task.title,
            "description": task.description,
            "audience": task.audience,
            "language": task.language,
            "output_fields": [
                {"name": field.name, "description": field.description, "kind": field.kind}
                for field in task.output_fields
            ],
            "must_nevers": list(task.must_nevers),
            "good_examples": [_example(example) for example in task.good_examples],
            "bad_examples": [_example(example) for example in task.bad_examples],
            "search_seeds": [dict(seed.values) for seed in task.search_seeds],
            "sealed_seeds": [dict(seed.values) for seed in task.sealed_seeds],
            "expert_workflow": task.expert_workflow,
        }
    )


def task_from_json(stored: str) -> Task:
    """The task that ``task_to_json`` wrote. Raises InputError for anything else."""
    try:
        raw = json.loads(stored)
        return Task(
            title=_str(raw["title"]),
            description=_str(raw["description"]),
            audience=_str(raw["audience"]),
            language=_str(raw["language"]),
            output_fields=tuple(
                OutputField(_str(row["name"]), _str(row["description"]), FieldKind(row["kind"]))
                for row in raw["output_fields"]
            ),
            must_nevers=tuple(_str(row) for row in raw["must_nevers"]),
            good_examples=tuple(_read_example(row) for row in raw["good_examples"]),
            bad_examples=tuple(_read_example(row) for row in raw["bad_examples"]),
            search_seeds=tuple(SeedInput(_texts(row)) for row in raw["search_seeds"]),
            sealed_seeds=tuple(SeedInput(_texts(row)) for row in raw["sealed_seeds"]),
            expert_workflow=None if raw["expert_workflow"] is None else _str(raw["expert_workflow"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError("The stored task can't be read; load the task file again.") from error


def _example(example: Example) -> dict[str, object]:
    return {"seed": dict(example.seed), "output": dict(example.output), "why": example.why}


def _read_example(raw: Any) -> Example:
    return Example(_texts(raw["seed"]), _mapping(raw["output"]), _str(raw["why"]))


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"an object expected, not {type(value).__name__}")
    return value


def _texts(value: object) -> dict[str, str]:
    return {name: _str(content) for name, content in _mapping(value).items()}


# --- projects and runs ------------------------------------------------------------------------------------------


PROJECT = "id, task, created"
RUN = "id, project_id, kind, settings, state, reason, created, finished, brief"


def read_project(row: Row) -> Project:
    return Project(row[0], task_from_json(row[1]), row[2])


def read_run(row: Row) -> Run:
    run_id, project_id, kind, settings, state, reason, created, finished, brief = row
    return Run(
        id=run_id,
        project_id=project_id,
        kind=RunKind(kind),
        settings=text(settings),
        state=RunState(state),
        reason=text(reason),
        created=created,
        finished=finished,
        brief=text(brief),
    )


# --- the tree -----------------------------------------------------------------------------------------------------


NODE = (
    "run_id, number, parent, state, form, operator, target, modification, weakness, source, fingerprint, gate, reason, "
    "repairs, metric_version, duplicate_of"
)
SAMPLE = "id, run_id, fingerprint, seed_id, replicate, state, ms, reason, seed, output"
VERDICT = "run_id, subject, metric, version, judge, prompt_hash, score, method, reason, repeat"
LOOK = "run_id, iteration, node, version, seeds"
EVENT = "run_id, at, kind, message, node"
FEEDBACK = "run_id, sample_id, rating, reasons, comment, edited, at"


def node_row(node: Node) -> Row:
    return (
        node.run_id, node.number, node.parent, node.state, node.form, node.operator, node.target, node.modification,
        node.weakness, node.source, node.fingerprint, node.gate, node.reason, node.repairs,
        node.metric_version, node.duplicate_of,
    )  # fmt: skip


def read_node(row: Row) -> Node:
    (
        run_id, number, parent, state, form, operator, target, modification, weakness,
        source, fingerprint, gate, reason, repairs, metric_version, duplicate_of,
    ) = row  # fmt: skip
    return Node(
        run_id=run_id,
        number=number,
        parent=parent,
        state=NodeState(state),
        form=Form(form),
        operator=text(operator),
        target=text(target),
        modification=text(modification),
        weakness=text(weakness),
        source=text(source),
        fingerprint=fingerprint,
        gate=None if gate is None else Gate(gate),
        reason=text(reason),
        repairs=repairs,
        metric_version=metric_version,
        duplicate_of=duplicate_of,
    )


def sample_row(sample: Sample) -> Row:
    seed = to_json(dict(sample.seed.values))
    output = None if sample.output is None else to_json(dict(sample.output))
    return (
        sample.id, sample.run_id, sample.fingerprint, sample.seed.id, sample.replicate, sample.state, sample.ms,
        sample.reason, seed, output,
    )  # fmt: skip


def read_sample(row: Row) -> Sample:
    _, run_id, fingerprint, _, replicate, state, ms, reason, seed, output = row
    return Sample(
        run_id=run_id,
        fingerprint=fingerprint,
        seed=SeedInput(json.loads(seed)),
        replicate=replicate,
        state=SampleState(state),
        output=None if output is None else json.loads(output),
        reason=text(reason),
        ms=ms,
    )


def verdict_row(verdict: Verdict, run_id: str) -> Row:
    return (
        run_id, verdict.subject, verdict.metric, verdict.version, verdict.judge, verdict.prompt_hash, verdict.score,
        verdict.method, verdict.reason, verdict.repeat,
    )  # fmt: skip


def read_verdict(row: Row) -> Verdict:
    _, subject, metric, version, judge, prompt_hash, score, method, reason, repeat = row
    return Verdict(
        subject, text(metric), version, text(judge), prompt_hash, score, VerdictMethod(method), text(reason), repeat
    )


def look_row(look: Look, run_id: str) -> Row:
    return (run_id, look.iteration, look.node, look.version, to_json(look.seeds))


def read_look(row: Row) -> Look:
    _, iteration, node, version, seeds = row
    return Look(iteration, node, version, tuple(json.loads(seeds)))


def race_to_json(race: RaceResult) -> str:
    return to_json(
        {
            "judge": race.judge,
            "version": race.version,
            "contenders": [[node, seeds] for node, seeds in race.contenders.items()],
            "winner": race.winner,
            "probability": race.probability,
            "sealed": _reward_row(race.sealed),
            "claimed": _reward_row(race.claimed),
            "first": _reward_row(race.first),
            "gain": race.gain,
        }
    )


def read_race(row: Row) -> RaceResult:
    run_id, at, result = row
    raw = json.loads(result)
    mean, low, high = raw["gain"]
    return RaceResult(
        run_id=run_id,
        judge=raw["judge"],
        version=raw["version"],
        contenders={int(node): int(seeds) for node, seeds in raw["contenders"]},
        winner=int(raw["winner"]),
        probability=float(raw["probability"]),
        sealed=Reward(*raw["sealed"]),
        claimed=Reward(*raw["claimed"]),
        first=Reward(*raw["first"]),
        gain=(mean, low, high),
        at=at,
    )


def _reward_row(reward: Reward) -> Row:
    return (reward.total, reward.sample, reward.workflow, reward.low, reward.high, reward.n)


def metrics_to_json(metric_set: MetricSet) -> str:
    return to_json([[m.name, m.description, m.low, m.high, m.weight, m.anchor] for m in metric_set.metrics])


def metrics_from_json(stored: str) -> MetricSet:
    return MetricSet(tuple(Metric(*row) for row in json.loads(stored)))


def event_row(event: Event) -> Row:
    return (event.run_id, event.at, event.kind, event.message, event.node)


def read_event(row: Row) -> Event:
    """From the columns of ``EVENT`` and the id."""
    run_id, at, kind, message, node, number = row
    return Event(run_id, at, text(kind), text(message), node, number)


def feedback_row(feedback: Feedback) -> Row:
    edited = None if feedback.edited is None else to_json(dict(feedback.edited))
    return (
        feedback.run_id, feedback.sample_id, feedback.rating, to_json(feedback.reasons), feedback.comment, edited,
        feedback.at,
    )  # fmt: skip


def read_feedback(row: Row) -> Feedback:
    run_id, sample_id, rating, reasons, comment, edited, at = row
    return Feedback(
        run_id=run_id,
        sample_id=sample_id,
        rating=Rating(rating),
        reasons=tuple(json.loads(reasons)),
        comment=text(comment),
        edited=None if edited is None else json.loads(edited),
        at=at,
    )


# --- calls --------------------------------------------------------------------------------------------------------


ANSWER = "key, model, answer, finish_reason, prompt_tokens, completion_tokens, usd, ms, first_token, status"
CAPABILITIES = "base_url, model, json_schema, json_mode, logprobs, rewrites, latency_ms, probed"


def read_answer(row: Row) -> Answer:
    key, model, answer, finish_reason, prompt_tokens, completion_tokens, usd, ms, first_token, status = row
    return Answer(
        key=key,
        model=text(model),
        text=text(answer),
        finish_reason=text(finish_reason),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        usd=usd,
        ms=ms,
        first_token=None if first_token is None else token_choice_from_json(first_token),
        status=text(status),
    )


def token_choice_to_json(choice: TokenChoice) -> str:
    return to_json(choice.alternatives)


def token_choice_from_json(stored: str) -> TokenChoice:
    return TokenChoice(tuple((token, logprob) for token, logprob in json.loads(stored)))


def request_to_json(request: ChatRequest) -> str:
    return to_json(
        [
            request.model, request.messages, request.temperature, request.max_tokens, request.schema,
            request.top_logprobs, request.draw, request.extra,
        ]
    )  # fmt: skip


def request_from_json(stored: str) -> ChatRequest:
    model, messages, temperature, max_tokens, schema, top_logprobs, draw, extra = json.loads(stored)
    pairs = tuple((role, content) for role, content in messages)
    return ChatRequest(model, pairs, temperature, max_tokens, schema, top_logprobs, draw, extra)


def read_capabilities(row: Row) -> Capabilities:
    base_url, model, json_schema, json_mode, logprobs, rewrites, latency_ms, probed = row
    return Capabilities(
        base_url=base_url,
        model=text(model),
        json_schema=bool(json_schema),
        json_mode=bool(json_mode),
        logprobs=bool(logprobs),
        rewrites=None if rewrites is None else bool(rewrites),
        latency_ms=latency_ms,
        probed=probed,
    )


def capabilities_row(capabilities: Capabilities) -> Row:
    return (
        capabilities.base_url, capabilities.model, capabilities.json_schema, capabilities.json_mode,
        capabilities.logprobs, capabilities.rewrites, capabilities.latency_ms, capabilities.probed,
    )  # fmt: skip


def marks(columns: str | Mapping[str, object]) -> str:
    """As many question marks as there are columns."""
    count = columns.count(",") + 1 if isinstance(columns, str) else len(columns)
    return ", ".join("?" * count)
