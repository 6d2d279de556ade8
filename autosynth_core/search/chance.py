"""The A/A stage: the first workflow against itself, before it is compared with anything.

Owns which samples are made and judged twice. What the scatter of their scores says is ``judging.noise``'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil, fsum

from autosynth_core.config import RunSettings
from autosynth_core.judging import Noise, NoiseRow, Spread, measure_noise
from autosynth_core.records import MetricSet, Sample, SeedInput, Verdict
from autosynth_core.search.scores import DEFAULT_SPREAD

__all__ = ["noise_from", "repeated_seeds", "spread_from"]

_LEAST_SEEDS = 3


def repeated_seeds(seeds: Sequence[SeedInput], settings: RunSettings) -> tuple[SeedInput, ...]:
    """The seed inputs on which the first workflow makes two samples: half of a full look, so that it costs no more."""
    return tuple(seeds[: max(_LEAST_SEEDS, ceil(settings.seed_inputs / 2))])


def noise_from(samples: Iterable[Sample], verdicts: Iterable[Verdict], metrics: MetricSet) -> Noise | None:
    """The noise behind the first workflow's scores; None where nothing was made or judged twice."""
    by_id = {sample.id: sample for sample in samples}
    weights = {metric.name: metric.weight for metric in metrics.metrics}
    read: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for verdict in verdicts:
        if verdict.subject in by_id and verdict.score is not None and verdict.metric in weights:
            read[verdict.subject, verdict.repeat][verdict.metric] = verdict.score
    rows = [
        NoiseRow(by_id[subject].seed.id, by_id[subject].replicate, repeat, _mean(scores, weights))
        for (subject, repeat), scores in sorted(read.items())
        if len(scores) == len(weights)  # a mean over other metrics would scatter for another reason
    ]
    return measure_noise(rows)


def spread_from(noise: Noise | None) -> Spread:
    """What to take as the spread of single observations until the run itself shows it.

    The judge's part is never below the default: an A/A stage asks the same question twice, and what another version
    would say of the same sample scatters by more than that.
    """
    if noise is None:
        return DEFAULT_SPREAD
    judge = noise.judge.sd if noise.judge is not None else 0.0
    return Spread(noise.sample.sd, max(judge, DEFAULT_SPREAD.judge))


def _mean(scores: dict[str, float], weights: dict[str, float]) -> float | None:
    whole = fsum(weights[name] for name in scores)
    return fsum(weights[name] * score for name, score in scores.items()) / whole if whole > 0 else None
