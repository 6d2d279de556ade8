"""Dynamic metrics: what to look at next, proposed from the current samples (paper, "Dynamic Metric Regeneration").

Owns the proposal, the cleaning of its text and the choice among candidates by self-consistency. Leaves to others when
to ask for new metrics, whether to accept them, and what becomes of scores given under the old ones (``reward.link``).

A metric's text is a model's, written after reading samples which may have been made to shape it. It is cut, stripped
of markup, and put to judges as data.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autosynth_core.errors import AnswerError
from autosynth_core.judging.concurrently import concurrently
from autosynth_core.judging.material import (
    clean_line,
    describe_example,
    describe_metric,
    describe_seed,
    describe_task,
    render_output,
    shorten,
)
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Example, Metric, MetricSet, Sample, Scope, Task

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = [
    "MetricProposal",
    "agreements",
    "metrics_schema",
    "propose_metrics",
    "similarity",
    "starting_metrics",
    "with_anchors",
]

_TEMPERATURE = 0.8
_NAME, _DESCRIPTION, _END = (3, 40), (15, 240), (8, 160)  # characters, least and most; the prompt asks for less
_TOKENS_EACH = 360  # room for a metric in a language that takes a token a character
# What is shown is bounded so that question and answer fit the 4096 tokens that the embedded model has a slot.
_SAMPLES_SHOWN, _SAMPLE_CHARS = 3, 600
_TASK_CHARS, _TASK_PART_CHARS, _EXAMPLE_CHARS = 2000, 600, 600
_REASON_CHARS = 300
_OWN_WORDS = 300  # characters of the task in a metric made from it
# A word, or one character of a script that writes without gaps.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


class MetricProposal(NamedTuple):
    """What the evaluator proposed."""

    metric_set: MetricSet | None  # None: no candidate could be read; stay on the set in force
    agreement: float | None  # 0..1, of the chosen candidate with the others; None with fewer than two candidates
    candidates: tuple[MetricSet, ...]  # those that could be read, in the order they were asked for
    reason: str  # why candidates are missing; "" when none is


class _Candidate(NamedTuple):
    metric_set: MetricSet | None
    reason: str


class _ProposedMetric(BaseModel):
    """A metric as a model wrote it, text cleaned before its length is looked at."""

    model_config = ConfigDict(extra="ignore")

    name: str
    description: str
    low: str
    high: str
    importance: Annotated[int, Field(ge=1, le=3)] = 1


class _ProposedSet(BaseModel):
    model_config = ConfigDict(extra="ignore")

    metrics: list[_ProposedMetric]


async def propose_metrics(
    task: Task,
    samples: Sequence[Sample],
    previous: MetricSet | None,
    evaluator: Model,
    *,
    count: int,
    candidates: int,
    scope: Scope,
    draw: str,
) -> MetricProposal:
    """Ask for ``candidates`` sets of ``count`` metrics each and take the one that agrees most with the others.

    Agreement is ``agreements``' formula; ties go to the first. A candidate that can't be read is left out and named in
    ``reason``. ``draw`` tells this proposal from others on the same samples, so that each gets answers of its own.
    A candidate's two metrics of the same name are one, so that a set may have fewer than ``count``.
    """
    messages = _messages(task, samples, previous, count)

    async def ask(number: int) -> _Candidate:
        return await _candidate(messages, evaluator, count, scope, f"{draw}:candidate-{number}")

    answers = await concurrently(ask(number) for number in range(1, candidates + 1))
    readable = tuple(answer.metric_set for answer in answers if answer.metric_set is not None)
    missing = [f"candidate {n}: {answer.reason}" for n, answer in enumerate(answers, 1) if answer.metric_set is None]
    agreement = agreements(readable)
    chosen = max(range(len(readable)), key=lambda i: (agreement[i], -i)) if readable else None
    return MetricProposal(
        metric_set=None if chosen is None else readable[chosen],
        agreement=agreement[chosen] if chosen is not None and len(readable) > 1 else None,
        candidates=readable,
        reason="; ".join(missing),
    )


def with_anchors(metrics: MetricSet, anchors: Sequence[Metric], share: float) -> MetricSet:
    """The set with the educator's criteria in it, which then have ``share`` (0..1) of the whole weight.

    They are the same words in every version, so their verdicts on a sample are asked for once and found in the log
    ever after. A proposed metric of the same name as an anchor is left out. Without anchors the set stays as it is.
    """
    if not anchors or share <= 0:
        return metrics
    taken = {metric.name.casefold() for metric in anchors}
    others = [metric for metric in metrics.metrics if metric.name.casefold() not in taken and not metric.anchor]
    if share >= 1 or not any(metric.weight > 0 for metric in others):
        return MetricSet(tuple(replace(metric, anchor=True) for metric in anchors))
    frozen = math.fsum(metric.weight for metric in anchors)
    dynamic = math.fsum(metric.weight for metric in others)
    return MetricSet(
        (
            *(replace(metric, weight=round(share * metric.weight / frozen, 6), anchor=True) for metric in anchors),
            *(replace(metric, weight=round((1 - share) * metric.weight / dynamic, 6)) for metric in others),
        )
    )


def starting_metrics(task: Task) -> MetricSet:
    """Fixed metrics in the task's own words, for a run whose evaluator has not given a readable set yet.

    Two, and a third where the task has must-nevers, all of the same weight, the most important first. The same task,
    the same version.
    """
    asked, audience = (clean_line(text, _OWN_WORDS) for text in (task.description, task.audience))
    metrics = [
        Metric(
            "Does what was asked",
            f"The material is correct, complete and what the task asks for: {asked}",
            "It misses the task, or has errors that a teacher would have to put right.",
            "A teacher who asked for this would use it as it is.",
        ),
        Metric(
            "Right for its audience",
            f"Words, examples and length suit the audience: {audience}",
            "The audience would be lost, bored or talked down to.",
            "The audience follows every sentence and has a reason to read on.",
        ),
    ]
    if task.must_nevers:
        rules = clean_line("; ".join(task.must_nevers), 2 * _OWN_WORDS)
        metrics.insert(
            1,
            Metric(
                "Keeps the must-nevers",
                f"Nothing of this happens: {rules}",
                "At least one of them clearly happens.",
                "None of them happens, not even in part.",
            ),
        )
    return MetricSet(tuple(metrics))


def metrics_schema(count: int) -> dict[str, Any]:
    """JSON Schema of an answer: exactly ``count`` metrics, every text with a least and a greatest length.

    Without the least length a small model fills fields with a word; without the greatest it may never end.
    """

    def text(bounds: tuple[int, int]) -> dict[str, Any]:
        return {"type": "string", "minLength": bounds[0], "maxLength": bounds[1]}

    properties = {
        "name": text(_NAME),
        "description": text(_DESCRIPTION),
        "low": text(_END),
        "high": text(_END),
        "importance": {"type": "integer", "enum": [1, 2, 3]},
    }
    metric = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"metrics": {"type": "array", "items": metric, "minItems": count, "maxItems": count}},
        "required": ["metrics"],
        "additionalProperties": False,
    }


def agreements(candidates: Sequence[MetricSet]) -> list[float]:
    """Each candidate's agreement with the others, 0..1 (self-consistency without a common answer to vote on).

    ``agreement(A) = mean over B != A of sim(A, B)``, with
    ``sim(A, B) = (mean over a in A of max over b in B cos(a, b) + mean over b in B of max over a in A cos(a, b)) / 2``.
    Both directions count: else a set of one commonplace metric would win. ``cos`` is the cosine of TF-IDF vectors of
    the words of name and description, every metric of every candidate being a document and
    ``idf(t) = ln((1 + N) / (1 + df(t))) + 1``. It compares words, not meanings. A lone candidate gets 0.
    """
    vectors = _tf_idf([[_words(metric) for metric in candidate.metrics] for candidate in candidates])
    sums = [0.0] * len(candidates)
    for i, j in combinations(range(len(candidates)), 2):
        value = _set_similarity(vectors[i], vectors[j])
        sums[i] += value
        sums[j] += value
    # Rounded, or float noise would break ties.
    return [round(total / max(1, len(candidates) - 1), 9) for total in sums]


def similarity(one: MetricSet, other: MetricSet) -> float:
    """How much two sets speak of the same things, 0..1: ``sim`` of ``agreements`` for this pair."""
    return agreements((one, other))[0]


async def _candidate(
    messages: Sequence[tuple[str, str]], evaluator: Model, count: int, scope: Scope, draw: str
) -> _Candidate:
    try:
        answer = await evaluator.json(
            messages,
            schema=metrics_schema(count),
            scope=scope,
            temperature=_TEMPERATURE,
            max_tokens=150 + _TOKENS_EACH * count,
            draw=draw,
        )
    except AnswerError as error:
        return _Candidate(None, clean_line(str(error), _REASON_CHARS))
    return _read(answer, count)


def _read(answer: Mapping[str, Any], count: int) -> _Candidate:
    """A candidate from a model's answer: cleaned, at most ``count`` metrics, the same name only once."""
    try:
        proposed = _ProposedSet.model_validate(answer).metrics
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        return _Candidate(None, f"the answer has no usable {clean_line(place, 60) or 'metrics'}")
    metrics = _merge(_clean(metric) for metric in proposed)[:count]
    return _Candidate(MetricSet(metrics), "") if metrics else _Candidate(None, "every metric was empty")


def _clean(proposed: _ProposedMetric) -> Metric:
    return Metric(
        name=clean_line(proposed.name, _NAME[1]).strip(" .:-"),
        description=clean_line(proposed.description, _DESCRIPTION[1]),
        low=clean_line(proposed.low, _END[1]),
        high=clean_line(proposed.high, _END[1]),
        weight=float(proposed.importance),
    )


def _merge(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The first of each name, with the greatest weight given to it; those without a name or description left out."""
    merged: dict[str, Metric] = {}
    for metric in metrics:
        if not metric.name or not metric.description:
            continue
        key = " ".join(_WORD.findall(metric.name.casefold())) or metric.name
        first = merged.setdefault(key, metric)
        merged[key] = replace(first, weight=max(first.weight, metric.weight))
    return tuple(merged.values())


def _messages(
    task: Task, samples: Sequence[Sample], previous: MetricSet | None, count: int
) -> tuple[tuple[str, str], ...]:
    question = render(
        "metrics_propose",
        task=data_block("task", shorten(describe_task(task, limit=_TASK_PART_CHARS), _TASK_CHARS)),
        examples=_show_examples(task),
        samples=_show_samples(task, samples),
        previous=_show_previous(previous),
        count=count,
        language=clean_line(task.language, 40),
    )
    return (("system", render("metrics_system")), ("user", question))


def _show_examples(task: Task) -> str:
    """One good and one bad example: more would leave a small model's context too little room."""

    def show(label: str, examples: Sequence[Example]) -> list[str]:
        return [data_block(label, describe_example(task, example, limit=_EXAMPLE_CHARS)) for example in examples[:1]]

    blocks = show("good example", task.good_examples) + show("bad example", task.bad_examples)
    return "\n\n".join(blocks) or "None."


def _show_samples(task: Task, samples: Sequence[Sample]) -> str:
    shown = _spread([sample for sample in samples if sample.output is not None], _SAMPLES_SHOWN)
    blocks = [
        data_block(
            "sample", shorten(f"{describe_seed(s.seed.values)}\n\n{render_output(task, s.output or {})}", _SAMPLE_CHARS)
        )
        for s in shown
    ]
    return "\n\n".join(blocks) or "None yet."


def _show_previous(previous: MetricSet | None) -> str:
    if previous is None:
        return "No criteria are in force yet."
    rows = [f"{describe_metric(metric)}\nImportance: {metric.weight:g}" for metric in previous.metrics]
    return render("metrics_previous", metrics=data_block("criteria", "\n\n".join(rows)))


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most ``most`` of the samples, evenly over their order."""
    if len(samples) <= most:
        return list(samples)
    return [samples[i * len(samples) // most] for i in range(most)]


def _words(metric: Metric) -> list[str]:
    return _WORD.findall(f"{metric.name} {metric.description}".casefold())


def _tf_idf(sets: Sequence[Sequence[Sequence[str]]]) -> list[list[dict[str, float]]]:
    """Unit vectors of each set's documents."""
    documents = [document for documents in sets for document in documents]
    found_in = Counter(word for document in documents for word in set(document))
    return [[_unit_vector(document, found_in, len(documents)) for document in documents] for documents in sets]


def _unit_vector(document: Sequence[str], found_in: Mapping[str, int], documents: int) -> dict[str, float]:
    weights = {
        word: times * (math.log((1 + documents) / (1 + found_in[word])) + 1)
        for word, times in Counter(document).items()
    }
    length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
    return {word: weight / length for word, weight in weights.items()} if length else {}


def _set_similarity(one: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> float:
    if not one or not other:
        return 0.0
    cosines = [[_cosine(a, b) for b in other] for a in one]
    forth = math.fsum(max(row) for row in cosines) / len(one)
    back = math.fsum(max(column) for column in zip(*cosines, strict=True)) / len(other)
    return (forth + back) / 2


def _cosine(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    return min(1.0, math.fsum(weight * b[word] for word, weight in a.items() if word in b))
