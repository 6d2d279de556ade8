"""The workflow judge: what a program is worth as a program (paper: the workflow score of the hybrid reward).

Owns the four fixed metrics and how a workflow is put to a judge. They never change while a search runs, so workflow
scores need no linking. A workflow's text was written by a model: comments and prompts in it are data like any sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosynth_core.judging.material import describe_task
from autosynth_core.judging.verdicts import Subject, judge_subject
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Metric, MetricSet, Scope, Task, Verdict, Workflow

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["WORKFLOW_METRICS", "WORKFLOW_VERSION", "judge_workflow"]

WORKFLOW_VERSION = "workflow"

WORKFLOW_METRICS = MetricSet(
    (
        Metric(
            "Prompt specificity",
            "The prompts say exactly what to write for this task: content, audience, form and what to avoid.",
            "Prompts that would fit any task, such as 'write something good about it'.",
            "Prompts that name the audience, the parts of the answer, its form and length, and each thing to avoid.",
        ),
        Metric(
            "Code clarity",
            "A reader follows the program at once: named stages, one job each, no dead or repeated code.",
            "A tangle: unclear names, unused answers, the same text in several places.",
            "Short stages with telling names, in an order that explains itself.",
        ),
        Metric(
            "Robustness",
            "The program returns a complete output also when a model's answer is empty, too long or oddly formed.",
            "One odd answer breaks it or passes through to the output unseen.",
            "Answers are checked where it matters, with a sensible fallback or one more try.",
        ),
        Metric(
            "Structure fits the task",
            "Each stage earns its cost by making this task's output better, and nothing the task needs is missing.",
            "Stages that change nothing, or a single vague call for a task that needs planning or checking.",
            "Just the stages this task needs, each using the answer of the one before.",
        ),
    )
)


async def judge_workflow(
    task: Task,
    workflow: Workflow,
    judge: Model,
    *,
    draws: int,
    scope: Scope,
    sequential: bool = False,
) -> list[Verdict]:
    """One verdict for each of the fixed metrics, on the workflow's fingerprint, version "workflow".

    Parameters and failures as in ``judge_sample``.
    """
    prompt = render(
        "judge_workflow",
        task=data_block("task", describe_task(task)),
        workflow=data_block("program", workflow.source),
    )
    return await judge_subject(
        Subject(workflow.fingerprint, prompt, render("judge_workflow", task="", workflow="")),
        WORKFLOW_METRICS,
        WORKFLOW_VERSION,
        judge,
        draws=draws,
        scope=scope,
        sequential=sequential,
    )
