"""One verdict: what is judged, a metric, a digit.

Owns the messages of a verdict, the hash of its prompt, and what becomes of a call without an answer. The judges of
samples and of workflows share it and own what stands before the metric. How a digit comes about is ``llm.Model``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from autosynth_core.errors import AnswerError
from autosynth_core.judging.concurrently import concurrently, one_by_one
from autosynth_core.judging.material import clean_line, describe_metric
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Metric, MetricSet, Scope, Verdict, VerdictMethod, content_hash

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["Subject", "judge_subject", "metric_block", "prompt_hash"]

_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: a sample or a workflow."""

    id: str
    prompt: str  # shows it; the same for every metric and in front, so that a prompt cache reads it once
    frame: str  # the same prompt with nothing filled in: the part of its wording that is ours


async def judge_subject(
    subject: Subject,
    metrics: MetricSet,
    version: str,
    judge: Model,
    *,
    draws: int,
    scope: Scope,
    sequential: bool,
    repeat: int = 0,
) -> list[Verdict]:
    """A verdict for each metric, in the set's order.

    ``sequential`` asks for one after another, which keeps a subject on one slot of the embedded model; else all at
    once. A metric without an answer becomes a verdict without a score. Errors that stop a run are raised.
    """

    async def one(metric: Metric) -> Verdict:
        return await _judge_metric(subject, metric, version, judge, draws=draws, scope=scope, repeat=repeat)

    gather = one_by_one if sequential else concurrently
    return await gather(one(metric) for metric in metrics.metrics)


@lru_cache(maxsize=4096)
def prompt_hash(frame: str, metric: Metric) -> str:
    """Hash of the wording that a verdict rests on: our templates and the metric, nothing of the subject or the task."""
    return content_hash("verdict", render("judge_system"), frame, _metric_prompt(metric))


def metric_block(metric: Metric) -> str:
    """The metric as data: its words are a model's, and came from samples that may have tried to shape them."""
    return data_block("criterion", describe_metric(metric))


async def _judge_metric(
    subject: Subject, metric: Metric, version: str, judge: Model, *, draws: int, scope: Scope, repeat: int
) -> Verdict:
    messages = [("system", render("judge_system")), ("user", f"{subject.prompt}\n\n{_metric_prompt(metric)}")]
    score: float | None = None
    method = VerdictMethod.EXPECTED if judge.capabilities.logprobs else VerdictMethod.SAMPLED
    try:
        digit = await judge.digit(messages, scope=scope, draws=draws, draw=f"repeat {repeat}" if repeat else "")
        score, method, reason = digit.score, digit.method, digit.reason
    except AnswerError as error:  # one verdict the less; never a low score
        reason = str(error)
    return Verdict(
        subject=subject.id,
        metric=metric.name,
        version=version,
        judge=judge.name,
        prompt_hash=prompt_hash(subject.frame, metric),
        score=score,
        method=method,
        reason=clean_line(reason, _REASON_CHARS),
        repeat=repeat,
    )


def _metric_prompt(metric: Metric) -> str:
    return render("judge_metric", metric=metric_block(metric))
