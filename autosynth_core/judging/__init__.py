"""Judging: metrics, verdicts and the rewards made of them.

``metrics`` proposes what to look at, ``sample_judge`` and ``workflow_judge`` ask for verdicts, ``reasons`` explains
them, ``reward`` turns them into numbers that can be compared. What verdicts there are is the store's business, and what
is done with a reward the search's: judging is handed what it needs and imports neither.
"""

from __future__ import annotations

from autosynth_core.judging.material import render_output
from autosynth_core.judging.metrics import MetricProposal, propose_metrics, similarity, starting_metrics
from autosynth_core.judging.reasons import explain

# The function ``reward`` hides its module of the same name here; import from autosynth_core.judging.reward works.
from autosynth_core.judging.reward import (
    Difference,
    difference,
    link,
    read_workflow_scores,
    reward,
    score_rows,
    seed_scores,
    t_quantile,
    to_reward,
)
from autosynth_core.judging.sample_judge import judge_sample
from autosynth_core.judging.workflow_judge import WORKFLOW_METRICS, WORKFLOW_VERSION, judge_workflow

__all__ = [
    "WORKFLOW_METRICS",
    "WORKFLOW_VERSION",
    "Difference",
    "MetricProposal",
    "difference",
    "explain",
    "judge_sample",
    "judge_workflow",
    "link",
    "propose_metrics",
    "read_workflow_scores",
    "render_output",
    "reward",
    "score_rows",
    "seed_scores",
    "similarity",
    "starting_metrics",
    "t_quantile",
    "to_reward",
]
