"""What a search will ask of the models, before it is started.

Owns the arithmetic of an upper estimate of model calls and time. Pure; the figures of a run that has begun come from
its own pace (``runs.header``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.judging import WORKFLOW_METRICS

__all__ = ["Estimate", "estimate"]

_WRITE_S, _VERDICT_S, _SLOTS = 25.0, 2.5, 2.0  # embedded model on two cores: an answer, a verdict, gain of slots


class Estimate(NamedTuple):
    """Model calls of a whole search. ``seconds`` is for the embedded model, None for an endpoint of unknown speed."""

    calls: int
    seconds: float | None


def estimate(settings: RunSettings, *, stages: int, logprobs: bool, embedded: bool) -> Estimate:
    """The calls of a search that uses all its iterations, every workflow having ``stages`` model calls (>= 1).

    A recipe: one call to write it, its stages on every seed input, one verdict a metric on every sample and one a
    fixed metric on the recipe. Repairs are left out, and so is what duplicates and early convergence save.
    """
    recipes = settings.iterations + 1
    draws = 1 if logprobs else settings.verdict_draws
    written = recipes * (1 + settings.seed_inputs * max(1, stages))
    verdicts = recipes * draws * (settings.seed_inputs * settings.metric_count + len(WORKFLOW_METRICS.metrics))
    refreshes = 1 + (settings.iterations // settings.metric_refresh if settings.metric_refresh else 0)
    metrics = refreshes * settings.metric_candidates
    seconds = ((written + metrics) * _WRITE_S + verdicts * _VERDICT_S) / _SLOTS if embedded else None
    return Estimate(math.ceil(written + verdicts + metrics), seconds)
