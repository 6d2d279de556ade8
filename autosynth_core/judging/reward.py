"""From verdicts to rewards: the arithmetic alone, pure and free of models.

Owns the mean over metrics and replicates, the paired comparison of a child with its parent, and the reward
R(W) = (1 - w) sample(W) + w workflow(W) (paper, "Dataset-Free Hybrid Reward"). Leaves to others which verdicts are
asked for (``sample_judge``), how they are kept (the store), how scores under different metric sets come onto one
scale (``scale``) and what is done with a reward (the search).

Scores are on the judges' scale 1..5, keyed by seed input. A verdict that could not be read is left out of every
mean; it never counts as a low score.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.special import stdtrit

from autosynth_core.records import Comparison, Metric, MetricSet, Reward, Sample, ScoreRow, Verdict

__all__ = [
    "Z95",
    "Difference",
    "difference",
    "hybrid_reward",
    "read_workflow_scores",
    "replicate_scores",
    "score_rows",
    "seed_scores",
    "t_quantile",
    "to_reward",
]

Z95 = 1.959963984540054  # half of a 95% interval of a normal distribution, in standard deviations

_LOWEST, _HIGHEST = 1.0, 5.0
_SPAN = _HIGHEST - _LOWEST
_ENOUGH_SEEDS = 3  # below this a paired comparison claims nothing
_ENOUGH_WEIGHT = 0.5  # share of the metrics' weight that must have been read
_DECIMALS = 9  # differences finer than this are rounding noise of floats, not of judges


class Difference(NamedTuple):
    """A child's scores less its parent's on the seed inputs both have, in points of the 1..5 scale."""

    mean: float | None  # None: no shared seed input
    se: float | None  # None: fewer than two shared seed inputs
    low: float  # 95% interval; -4..4, all that is possible, with fewer than two
    high: float
    n: int  # shared seed inputs
    verdict: Comparison


class _Interval(NamedTuple):
    mean: float
    se: float
    low: float
    high: float


def to_reward(score: float) -> float:
    """``(score - 1) / 4``: 1..5 becomes 0..1. Linear also outside, because linked scores may leave 1..5."""
    return (score - _LOWEST) / _SPAN


def score_rows(samples: Iterable[Sample], verdicts: Iterable[Verdict]) -> list[ScoreRow]:
    """The verdicts whose subject is one of ``samples``, each joined with its sample."""
    by_id = {sample.id: sample for sample in samples}
    return [
        ScoreRow(
            sample.fingerprint, sample.seed.id, sample.replicate, each.version, each.judge, each.metric, each.score
        )
        for each in verdicts
        if (sample := by_id.get(each.subject)) is not None
    ]


def seed_scores(rows: Iterable[ScoreRow], metrics: MetricSet) -> dict[str, float]:
    """Each seed input's score, 1..5: the mean over its replicates; see ``replicate_scores``."""
    return {seed_id: fmean(scores) for seed_id, scores in replicate_scores(rows, metrics).items()}


def replicate_scores(rows: Iterable[ScoreRow], metrics: MetricSet) -> dict[str, list[float]]:
    """Each seed input's scores, 1..5, one a replicate: the weighted mean over metrics of a sample.

    ``rows`` are one workflow's, under one version of the metrics. Several verdicts on the same sample and metric
    count as their mean. Metrics without a read verdict are left out and the weights of the others renormalised;
    a sample with less than half of the weight read is unscored, and so is a seed input without a scored sample.
    Rows of metrics outside the set, and scores that are not numbers in 1..5, count as not read. Seed ids sorted.
    """
    read: defaultdict[tuple[str, int], defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.score is not None and _LOWEST <= row.score <= _HIGHEST:
            read[row.seed_id, row.replicate][row.metric].append(row.score)
    by_seed: defaultdict[str, list[float]] = defaultdict(list)
    for (seed_id, _), scores in read.items():
        score = _weighted_mean({name: fmean(values) for name, values in scores.items()}, metrics.metrics)
        if score is not None:
            by_seed[seed_id].append(score)
    return {seed_id: by_seed[seed_id] for seed_id in sorted(by_seed)}


def read_workflow_scores(verdicts: Iterable[Verdict], metrics: MetricSet) -> list[float]:
    """The scores of a workflow's verdicts, one a metric in the set's order; empty where fewer than half were read."""
    read: defaultdict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.score is not None and _LOWEST <= verdict.score <= _HIGHEST:
            read[verdict.metric].append(verdict.score)
    scores = [fmean(read[metric.name]) for metric in metrics.metrics if metric.name in read]
    return scores if len(scores) >= _ENOUGH_WEIGHT * len(metrics.metrics) else []


def difference(child: Mapping[str, float], parent: Mapping[str, float]) -> Difference:
    """The child against its parent, paired over the seed inputs both have, under one version of the metrics.

    The 95% interval is ``mean +- t(n - 1) * sd / sqrt(n)``. Better when it lies above 0, worse when below, else
    can't tell; with fewer than three shared seed inputs always can't tell. Assumes that the differences are
    independent over seed inputs and roughly normal. Where all of them are equal the interval has no width.
    """
    pairs = [round(child[seed] - parent[seed], _DECIMALS) for seed in sorted(child.keys() & parent.keys())]
    if len(pairs) < 2:
        mean = pairs[0] if pairs else None
        return Difference(mean, None, -_SPAN, _SPAN, len(pairs), Comparison.CANT_TELL)
    interval = _t_interval(pairs)
    return Difference(*interval, len(pairs), _compare(interval, len(pairs)))


def hybrid_reward(sample: float, low: float, high: float, workflow: float, weight: float, n: int) -> Reward:
    """R = (1 - w) * sample + w * workflow (paper: w = 0.5), scores on 1..5; ``low`` to ``high`` is the sample's 95%.

    The workflow part is taken as given. The interval is clipped to 0..1, which it leaves only to keep holding the
    total of a linked score that has left it. ``n`` is how many seed inputs stand behind the sample part.
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"the workflow's share of the reward must be in 0..1, not {weight}")
    given = weight * to_reward(workflow) if weight > 0 else 0.0  # an unread workflow is NaN
    total, lowest, highest = ((1 - weight) * to_reward(each) + given for each in (sample, low, high))
    return Reward(
        total=total,
        sample=to_reward(sample),
        workflow=to_reward(workflow),
        low=min(total, max(0.0, lowest)),
        high=max(total, min(1.0, highest)),
        n=n,
    )


@lru_cache(maxsize=2048)
def t_quantile(df: int, confidence: float = 0.95) -> float:
    """The t with ``confidence`` of Student's distribution between -t and t. ``df`` at least 1, confidence in 0..1."""
    if df < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(f"no t quantile for {df} degrees of freedom at confidence {confidence}")
    return float(stdtrit(df, (1 + confidence) / 2))


def _t_interval(values: Sequence[float]) -> _Interval:
    """Mean, standard error and 95% interval of two or more values."""
    mean = fmean(values)
    se = stdev(values) / math.sqrt(len(values))
    half = t_quantile(len(values) - 1) * se
    return _Interval(mean, se, mean - half, mean + half)


def _compare(interval: _Interval, n: int) -> Comparison:
    if n >= _ENOUGH_SEEDS and interval.low > 0:
        return Comparison.BETTER
    if n >= _ENOUGH_SEEDS and interval.high < 0:
        return Comparison.WORSE
    return Comparison.CANT_TELL


def _weighted_mean(scores: Mapping[str, float], metrics: Sequence[Metric]) -> float | None:
    """The mean over the read metrics, weights renormalised; None below half of the whole weight."""
    whole = math.fsum(metric.weight for metric in metrics if metric.weight > 0)
    read = [(metric.weight, scores[metric.name]) for metric in metrics if metric.weight > 0 and metric.name in scores]
    weight = math.fsum(part for part, _ in read)
    # The tolerance keeps "exactly half" a half for weights such as 0.1 and 0.2.
    if weight <= 0 or weight < _ENOUGH_WEIGHT * whole * (1 - 1e-12):
        return None
    return math.fsum(part * score for part, score in read) / weight
