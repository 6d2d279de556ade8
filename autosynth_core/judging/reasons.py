"""Reasons for a score, in plain words.

Owns the question and the length of its answer. A reason is written after the score and apart from it, and only where
somebody reads it: a teacher in the node view, or the optimizer as evidence. It explains a score, it never makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosynth_core.errors import AnswerUnreadable
from autosynth_core.judging.sample_judge import show_sample
from autosynth_core.judging.short_answer import short_answer
from autosynth_core.judging.verdicts import metric_block
from autosynth_core.prompts import render
from autosynth_core.records import Metric, Sample, Scope, Task

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["explain"]

_WORDS = 60
_CHARS, _FORM_CHARS = 600, 360
_MAX_TOKENS = 240  # room for 60 words in a language that takes several tokens a word


async def explain(task: Task, sample: Sample, metric: Metric, score: float, judge: Model, scope: Scope) -> str:
    """Why ``sample`` got ``score`` (1..5) on ``metric``: one line of at most 60 words, without markup.

    Raises AnswerError where the judge gives none: the score stands, and the metric's own words have to do.
    """
    if sample.output is None:
        raise ValueError(f"sample {sample.id} has no output, so no score of it can be explained")
    question = render("judge_reason", metric=metric_block(metric), score=f"{score:.1f}")
    messages = [("system", render("judge_reason_system")), ("user", f"{show_sample(task, sample)}\n\n{question}")]
    answer = await short_answer(
        judge, messages, scope, name="reason", form_chars=_FORM_CHARS, chars=_CHARS, tokens=_MAX_TOKENS
    )
    reason = _first_words(answer)
    if not reason:
        raise AnswerUnreadable("The judge gave no reason in words; look at the sample and the metric instead.")
    return reason


def _first_words(text: str) -> str:
    words = text.split()
    return text if len(words) <= _WORDS else " ".join(words[:_WORDS]) + "…"
