"""What other packages may use of judging."""

from __future__ import annotations

import subprocess
import sys

import autosynth_core.judging as judging
from autosynth_core.store import tree


def test_public_surface_is_deliberate() -> None:
    assert set(judging.__all__) == {
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
        "reweighted",
        "rule_to_break",
        "score_rows",
        "replicate_scores",
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
    }
    assert all(hasattr(judging, name) for name in judging.__all__)


def test_the_store_looks_for_workflow_verdicts_under_the_version_they_are_given() -> None:
    assert tree.WORKFLOW_VERSION == judging.WORKFLOW_VERSION


def test_reading_scores_loads_no_model_client() -> None:
    check = "import sys, autosynth_core.judging; sys.exit(bool({'openai', 'aiohttp'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_reading_scores_loads_no_scipy_stats() -> None:
    check = "import sys, autosynth_core.judging; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_quantiles_are_loaded_before_a_run_is_under_way() -> None:
    """Loading them takes a third of a second, in which no answer is read and no heartbeat sent."""
    check = "import sys, autosynth_core.judging; sys.exit('scipy.special' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
