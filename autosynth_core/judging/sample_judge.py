"""The sample judge: what an output is worth on each metric (paper: the sample score of the hybrid reward).

Owns how a sample is put to a judge. Leaves the digit to ``llm.Model``, the mean to ``reward`` and what the metrics are
to ``metrics``. A sample is data: it stands in a block it can't close, and the judge is told to obey nothing in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from autosynth_core.judging.material import describe_seed, describe_task, render_output
from autosynth_core.judging.verdicts import Subject, judge_subject
from autosynth_core.prompts import data_block, render
from autosynth_core.records import MetricSet, Sample, Scope, Task, Verdict

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["judge_sample", "render_output", "show_sample"]


async def judge_sample(
    task: Task,
    sample: Sample,
    metrics: MetricSet,
    judge: Model,
    *,
    draws: int,
    scope: Scope,
    sequential: bool = False,
    repeat: int = 0,
) -> list[Verdict]:
    """One verdict for each metric, in the set's order; none for a sample without an output: nothing is asked then.

    ``draws`` is the number of digits sampled where there are no log-probabilities. ``sequential`` keeps the sample's
    verdicts one after another, as the embedded model wants it. A metric whose call got no answer has no score and
    says why. Calls are recorded under the sample's id. ``repeat`` above 0 asks the same again, for answers of its own.
    """
    if sample.output is None:
        return []
    return await judge_subject(
        Subject(sample.id, show_sample(task, sample), render("judge_sample", task="", input="", sample="")),
        metrics,
        metrics.version,
        judge,
        draws=draws,
        scope=replace(scope, sample_id=sample.id),
        sequential=sequential,
        repeat=repeat,
    )


def show_sample(task: Task, sample: Sample) -> str:
    """The task, the input and the sample as a judge reads them, each in a data block of its own."""
    return render(
        "judge_sample",
        task=data_block("task", describe_task(task)),
        input=data_block("input", describe_seed(sample.seed.values)),
        sample=data_block("sample", render_output(task, sample.output or {})),
    )
