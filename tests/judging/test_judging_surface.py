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
    }
    assert all(hasattr(judging, name) for name in judging.__all__)


def test_the_store_looks_for_workflow_verdicts_under_the_version_they_are_given() -> None:
    assert tree.WORKFLOW_VERSION == judging.WORKFLOW_VERSION


def test_reading_scores_loads_no_model_client() -> None:
    check = "import sys, autosynth_core.judging; sys.exit(bool({'openai', 'aiohttp'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
