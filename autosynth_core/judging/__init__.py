"""Judging: metrics, verdicts and the rewards made of them.

``metrics`` proposes what to look at, ``sample_judge`` and ``workflow_judge`` ask for verdicts, ``reasons`` explains
them, ``reward`` turns them into numbers that can be compared. ``known`` and ``fitness`` say whether a judge is fit,
``noise`` what chance does to scores, ``sequential`` what holds at every look. What verdicts there are is the store's
business, and what is done with a reward the search's: judging is handed what it needs and imports neither.
"""

from __future__ import annotations

from autosynth_core.judging.drift import (
    LengthBias,
    PanelDrift,
    length_bias,
    panel_drift,
    quarantine_reason,
    word_distance,
)
from autosynth_core.judging.fitness import (
    Auc,
    Fitness,
    FitnessVerdict,
    Levels,
    MetricFitness,
    auc,
    fitness,
    reweighted,
)
from autosynth_core.judging.known import Known, KnownKind, known_outputs, rule_to_break, spoiled
from autosynth_core.judging.material import render_output
from autosynth_core.judging.metrics import MetricProposal, propose_metrics, similarity, starting_metrics, with_anchors
from autosynth_core.judging.noise import (
    Component,
    Noise,
    NoiseRow,
    Spend,
    detectable_difference,
    in_words,
    measure_noise,
    suggest,
)
from autosynth_core.judging.reasons import explain

# The functions ``reward`` and ``fitness`` hide their modules here; import from autosynth_core.judging.reward works.
from autosynth_core.judging.reward import (
    Difference,
    difference,
    hybrid_reward,
    read_workflow_scores,
    replicate_scores,
    score_rows,
    seed_scores,
    t_quantile,
    to_reward,
)
from autosynth_core.judging.rule_break import write_breach
from autosynth_core.judging.sample_judge import judge_sample
from autosynth_core.judging.scale import Observation, Quality, Scale, Spread, estimate_spread, fit_scale, raw_scale
from autosynth_core.judging.sequential import SequenceInterval, radius, sequence_interval
from autosynth_core.judging.workflow_judge import WORKFLOW_METRICS, WORKFLOW_VERSION, judge_workflow

__all__ = [
    "WORKFLOW_METRICS",
    "WORKFLOW_VERSION",
    "Auc",
    "Component",
    "Difference",
    "Fitness",
    "FitnessVerdict",
    "Known",
    "KnownKind",
    "LengthBias",
    "Levels",
    "MetricFitness",
    "MetricProposal",
    "Noise",
    "NoiseRow",
    "Observation",
    "PanelDrift",
    "Quality",
    "Scale",
    "SequenceInterval",
    "Spend",
    "Spread",
    "auc",
    "detectable_difference",
    "difference",
    "estimate_spread",
    "explain",
    "fit_scale",
    "fitness",
    "hybrid_reward",
    "in_words",
    "judge_sample",
    "judge_workflow",
    "known_outputs",
    "length_bias",
    "measure_noise",
    "panel_drift",
    "propose_metrics",
    "quarantine_reason",
    "radius",
    "raw_scale",
    "read_workflow_scores",
    "render_output",
    "replicate_scores",
    "reweighted",
    "rule_to_break",
    "score_rows",
    "seed_scores",
    "sequence_interval",
    "similarity",
    "spoiled",
    "starting_metrics",
    "suggest",
    "t_quantile",
    "to_reward",
    "with_anchors",
    "word_distance",
    "write_breach",
]
