"""What a search will ask of the models, before it is started.

Owns the arithmetic of an upper estimate of model calls, tokens and time. Pure; the figures of a run that has begun come
from its own pace (``runs.header``), and what a token costs is ``llm.prices``'.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.judging import WORKFLOW_METRICS
from autosynth_core.llm import PriceTable

__all__ = ["Estimate", "Tokens", "estimate"]

_PARENTS = 3  # the best few are built on: so many parents a renewal of the criteria are judged again
_SLOTS = 2.0  # gain of the embedded model's slots on two cores


class _Pace(NamedTuple):
    """Seconds of the embedded model on two cores: an answer, a verdict. Fitted to docs/embedded-run.md."""

    answer: float
    verdict: float


_QUIET, _BUSY = _Pace(45.0, 4.0), _Pace(105.0, 10.0)


class Tokens(NamedTuple):
    """Tokens of one role's calls."""

    prompt: int
    completion: int


# Of one call, rounded up from searches on the examples; a long task or long samples take more.
_PROPOSAL, _SAMPLE, _VERDICT, _METRICS = Tokens(2500, 900), Tokens(500, 400), Tokens(900, 2), Tokens(2000, 500)


class Estimate(NamedTuple):
    """A whole search: model calls, tokens by role, and seconds of the embedded model on a quiet and on a busy computer.

    ``seconds`` is None for an endpoint, whose speed is not known.
    """

    calls: int
    optimizer: Tokens
    evaluator: Tokens
    generator: Tokens
    seconds: tuple[float, float] | None

    @property
    def tokens(self) -> int:
        return sum(map(sum, (self.optimizer, self.evaluator, self.generator)))

    def usd(self, prices: PriceTable, *, optimizer: str, evaluator: str, generator: str) -> float | None:
        """US dollars with these models; None where the price of one is not known."""
        named = ((optimizer, self.optimizer), (evaluator, self.evaluator), (generator, self.generator))
        costs = [prices.cost(name, *tokens) for name, tokens in named]
        return None if None in costs else math.fsum(cost for cost in costs if cost is not None)


def estimate(settings: RunSettings, *, stages: int, logprobs: bool, embedded: bool) -> Estimate:
    """The calls of a search that uses all its iterations, every workflow having ``stages`` model calls (>= 1).

    A recipe: one call to write it, its stages on every seed input, one verdict a metric on every sample and one a
    fixed metric on the recipe. New metrics: their candidates, and verdicts by them on the parents' samples. Repairs
    are left out, and so is what duplicates and early convergence save.
    """
    recipes = settings.iterations + 1
    draws = 1 if logprobs else settings.verdict_draws
    written = recipes * settings.seed_inputs * max(1, stages)
    renewed = settings.iterations // settings.metric_refresh if settings.metric_refresh else 0
    again = min(settings.iterations, _PARENTS * renewed)
    on_samples = (recipes + again) * settings.seed_inputs * settings.metric_count
    verdicts = draws * (on_samples + recipes * len(WORKFLOW_METRICS.metrics))
    metrics = (1 + renewed) * settings.metric_candidates
    answers = recipes + written + metrics
    return Estimate(
        math.ceil(answers + verdicts),
        _times(_PROPOSAL, recipes),
        Tokens(*map(sum, zip(_times(_VERDICT, verdicts), _times(_METRICS, metrics), strict=True))),
        _times(_SAMPLE, written),
        (_seconds(_QUIET, answers, verdicts), _seconds(_BUSY, answers, verdicts)) if embedded else None,
    )


def _times(tokens: Tokens, calls: int) -> Tokens:
    return Tokens(tokens.prompt * calls, tokens.completion * calls)


def _seconds(pace: _Pace, answers: int, verdicts: int) -> float:
    return (answers * pace.answer + verdicts * pace.verdict) / _SLOTS
