"""How much scores move by chance alone, and what difference can be seen through it.

Owns the arithmetic of the A/A stage: one workflow run several times on the same seed inputs and judged several times
on the same texts, under one version of the metrics. Splits the scatter into what the judge adds, what differs from
sample to sample and what differs from seed input to seed input, and plans a comparison on it. Leaves running and
judging to others. Pure.

Model: ``score = mean + seed input + sample within the seed input + judge``, all effects independent with mean 0.
Estimates are the method of moments for the unbalanced nested random-effects analysis of variance (Searle, Casella and
McCulloch 1992, "Variance Components", chapters 3 to 5). Points are those of the 1..5 scale, variances points squared.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from statistics import fmean
from typing import NamedTuple

from scipy.special import chdtri, fdtri, nctdtrinc

from autosynth_core.judging.reward import t_quantile

__all__ = [
    "Component",
    "Noise",
    "NoiseRow",
    "Spend",
    "detectable_difference",
    "in_words",
    "measure_noise",
    "suggest",
]

_LOWEST, _HIGHEST = 1.0, 5.0
_TAIL = 0.025  # of a 95% interval, on each side
_LEAST_SEEDS = 3  # with fewer a paired comparison claims nothing
_DECIMALS = 9  # scores closer than this are the same score
_POWER = 0.8


class NoiseRow(NamedTuple):
    """One score of the workflow: the ``repeat``-th judgement of the ``replicate``-th sample on a seed input."""

    seed_id: str
    replicate: int
    repeat: int
    score: float | None  # 1..5; None: not read, left out


@dataclass(frozen=True, slots=True)
class Component:
    """One source of scatter: its variance (never below 0) with a 95% interval."""

    variance: float
    df: int  # degrees of freedom of its own mean square
    low: float
    high: float

    @property
    def sd(self) -> float:
        """In points."""
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Noise:
    """What the scatter of one workflow's scores is made of."""

    judge: Component | None  # None: nothing was judged twice, and ``sample`` holds the judge's part too
    sample: Component
    seed: Component | None  # None: a single seed input
    scores: int  # read ones
    seeds: int
    samples: int

    @property
    def judge_never_wavers(self) -> bool:
        """Whether every text that was judged again got the very same score: more repeats would show nothing."""
        return self.judge is not None and self.judge.variance == 0.0 and self.judge.high == 0.0

    def spread(self, replicates: int = 1, repeats: int = 1) -> float:
        """Standard deviation, in points, of one seed input's score by chance: ``sqrt(sample/r + judge/(r*k))``.

        For the mean of r ``replicates`` each judged k = ``repeats`` times. How hard a seed input is has no part in
        it: a paired comparison takes that out.
        """
        if replicates < 1 or repeats < 1:
            raise ValueError(f"at least one sample and one judgement, not {replicates} and {repeats}")
        judge = self.judge.variance if self.judge else 0.0
        return math.sqrt((self.sample.variance + judge / repeats) / replicates)


class Spend(NamedTuple):
    """A plan for comparing a workflow with its parent."""

    seeds: int
    replicates: int
    repeats: int
    calls: int  # judge calls for one workflow and one metric
    detects: float  # points: what it detects with the power asked for
    reached: bool  # whether that is as fine as was wanted; if not, this is the best within the limits


class _MeanSquare(NamedTuple):
    value: float
    df: float


class _Anova(NamedTuple):
    """Mean squares, and how their expectations are made up.

    ``E[judge] = J``, ``E[sample] = J + in_sample * S``, ``E[seed] = J + in_seed * S + seed_in_seed * I`` for the
    variances J of the judge, S of samples and I of seed inputs.
    """

    judge: _MeanSquare
    sample: _MeanSquare
    seed: _MeanSquare
    in_sample: float
    in_seed: float
    seed_in_seed: float


def measure_noise(rows: Iterable[NoiseRow]) -> Noise | None:
    """The components of the scatter; None where no seed input has two samples with a score.

    Rows may be unbalanced and in any order; two rows of the same place are one. Scores that are None or outside
    1..5 are left out. Intervals: chi-squared for the judge, modified large sample for differences of mean squares
    (see ``_component``). They are exact or close for normal scores in a balanced design, approximate elsewhere.
    """
    nested = _nested(rows)
    found = _anova(nested)
    if found.sample.df == 0:
        return None
    judge = _component(found.judge, _MeanSquare(0.0, 1), 1.0) if found.judge.df else None
    return Noise(
        judge=judge,
        sample=_component(found.sample, found.judge if judge else _MeanSquare(0.0, 1), found.in_sample),
        seed=_component(found.seed, _under_seed(found), found.seed_in_seed) if found.seed.df else None,
        scores=sum(len(scores) for samples in nested for scores in samples),
        seeds=len(nested),
        samples=sum(len(samples) for samples in nested),
    )


def detectable_difference(
    noise: Noise, seeds: int, replicates: int = 1, repeats: int = 1, power: float = _POWER
) -> float:
    """The least true difference, in points, that a paired comparison over ``seeds`` seed inputs finds with ``power``.

    ``delta = nc * sqrt(2) * spread / sqrt(seeds)``, where nc is the noncentrality at which Student's t with
    ``seeds - 1`` degrees of freedom passes its 97.5% quantile with probability ``power`` (Cohen 1988, "Statistical
    Power Analysis for the Behavioral Sciences", chapter 2; the chance of passing the other one is neglected).
    Both workflows are taken to scatter alike. Assumes no interaction of workflow and seed input: where a change helps
    on some inputs and harms on others, differences scatter by more, and no A/A stage can see it. Infinite for fewer
    than three seed inputs, where nothing is claimed; it may also be more than the 4 points that the scale has.
    """
    if not 0.5 <= power < 1.0:
        raise ValueError(f"the power must be from 0.5 to below 1, not {power}")
    if seeds < _LEAST_SEEDS:
        return math.inf
    return _noncentrality(seeds - 1, power) * math.sqrt(2 / seeds) * noise.spread(replicates, repeats)


def suggest(
    noise: Noise,
    wanted_difference: float,
    max_seeds: int,
    *,
    max_replicates: int = 4,
    max_repeats: int = 4,
    sample_calls: float = 0.0,
    power: float = _POWER,
) -> Spend:
    """The cheapest plan that detects ``wanted_difference`` points, or the best one within the limits.

    Cost is in judge calls a metric, ``seeds * replicates * repeats``. ``sample_calls`` is what making one sample costs
    in judge calls: with 0, judging a text again never pays, since a new text judged once costs the same and tells
    more. The best within the limits is the one that detects least; of equals, the cheaper.
    """
    if max_seeds < _LEAST_SEEDS:
        raise ValueError(f"a comparison needs at least {_LEAST_SEEDS} seed inputs, not {max_seeds}")
    if not wanted_difference > 0:
        raise ValueError(f"the difference to find must be above 0 points, not {wanted_difference}")
    counts = product(range(_LEAST_SEEDS, max_seeds + 1), range(1, max_replicates + 1), range(1, max_repeats + 1))
    plans = [
        Spend(s, r, k, s * r * k, detects, detects <= wanted_difference)
        for s, r, k in counts
        for detects in [detectable_difference(noise, s, r, k, power)]
    ]

    def cost(plan: Spend) -> float:
        return plan.calls + sample_calls * plan.seeds * plan.replicates

    enough = [plan for plan in plans if plan.reached]
    if enough:
        return min(enough, key=lambda plan: (cost(plan), plan.detects))
    return min(plans, key=lambda plan: (plan.detects, cost(plan)))


def in_words(noise: Noise, seeds: int, *, replicates: int = 1, repeats: int = 1, power: float = _POWER) -> str:
    """Two sentences for a teacher: what chance does to a score, and what can be told with ``seeds`` seed inputs."""
    detects = detectable_difference(noise, seeds, replicates, repeats, power)
    if detects > _HIGHEST - _LOWEST:
        told = f"On {seeds} inputs no difference between two recipes could be told from chance: use more inputs."
    elif detects == 0.0:
        told = "Any difference between two recipes would show, unless the judge cannot tell one text from another."
    else:
        told = (
            f"On {seeds} inputs, a recipe that is better by {_points(detects)} or more will be noticed in "
            f"{round(100 * power)} of 100 cases; smaller gains will mostly look like no difference."
        )
    return f"{_chance_in_words(noise)} {told}"


def _chance_in_words(noise: Noise) -> str:
    spread = noise.spread()
    if spread == 0.0:
        return "The same recipe got the same score every time it was tried on the same input."
    moves = f"When the same recipe is tried again on the same input, its score moves by about {_points(spread)}"
    if noise.judge is None:
        return f"{moves}; how much of that is the judge wavering was not measured."
    if noise.judge_never_wavers:
        return f"{moves}, all of it because the texts differ: the judge gave the same text the same score every time."
    share = noise.judge.variance / spread**2
    if share < 1 / 3:
        return f"{moves}, mainly because it writes a different text each time."
    if share > 2 / 3:
        return f"{moves}, mainly because the judge does not give the same text the same score twice."
    return f"{moves}, partly because it writes a different text each time and partly because the judge wavers."


def _points(value: float) -> str:
    shown = "less than 0.1" if value < 0.1 else f"{value:.1f}"
    return f"{shown} points" if shown != "1.0" else "1 point"


def _nested(rows: Iterable[NoiseRow]) -> list[list[list[float]]]:
    """The read scores by seed input, sample and repeat; sorted, so that sums do not hang on the order of arrival."""
    at = {
        row[:3]: round(row.score, _DECIMALS)
        for row in rows
        if row.score is not None and _LOWEST <= row.score <= _HIGHEST
    }
    seeds: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed_id, replicate, repeat in sorted(at):
        seeds[seed_id][replicate].append(at[seed_id, replicate, repeat])
    return [list(samples.values()) for samples in seeds.values()]


def _anova(seeds: list[list[list[float]]]) -> _Anova:
    """Sums of squares of the nested design (type I), and the coefficients of their expectations."""
    samples = [scores for each in seeds for scores in each]
    sizes = [sum(len(scores) for scores in each) for each in seeds]
    n = sum(sizes)
    seed_means = [fmean(y for scores in each for y in scores) for each in seeds]
    mean = fmean(y for scores in samples for y in scores) if n else 0.0
    judge = math.fsum((y - fmean(scores)) ** 2 for scores in samples for y in scores)
    sample = math.fsum(
        len(scores) * (fmean(scores) - centre) ** 2
        for each, centre in zip(seeds, seed_means, strict=True)
        for scores in each
    )
    seed = math.fsum(size * (centre - mean) ** 2 for size, centre in zip(sizes, seed_means, strict=True))
    a = math.fsum(len(scores) ** 2 / size for each, size in zip(seeds, sizes, strict=True) for scores in each)
    b = sum(len(scores) ** 2 for scores in samples) / n if n else 0.0
    c = sum(size**2 for size in sizes) / n if n else 0.0
    of_sample, of_seed = len(samples) - len(seeds), max(0, len(seeds) - 1)
    return _Anova(
        judge=_mean_square(judge, n - len(samples)),
        sample=_mean_square(sample, of_sample),
        seed=_mean_square(seed, of_seed),
        in_sample=(n - a) / max(1, of_sample),
        in_seed=(a - b) / max(1, of_seed),
        seed_in_seed=(n - c) / max(1, of_seed),
    )


def _mean_square(squares: float, df: int) -> _MeanSquare:
    # Means of equal floats may differ from them in the last digit; a judge that never wavers must come out as 0.
    value = squares / df if df else 0.0
    return _MeanSquare(value if value > 10.0 ** (-2 * _DECIMALS) else 0.0, df)


def _under_seed(found: _Anova) -> _MeanSquare:
    """What the mean square of seed inputs would be without them, with Satterthwaite's degrees of freedom."""
    share = found.in_seed / found.in_sample
    parts = [(share, found.sample), (1 - share, found.judge)]
    value = max(0.0, math.fsum(weight * part.value for weight, part in parts))
    scatter = math.fsum((weight * part.value) ** 2 / part.df for weight, part in parts if part.df)
    return _MeanSquare(value, max(1.0, value**2 / scatter) if scatter else 1.0)


def _component(above: _MeanSquare, below: _MeanSquare, k: float) -> Component:
    """``(above - below) / k`` with its modified large sample interval, both cut at 0.

    Ting, Burdick, Graybill, Jeyaratnam and Lu 1990, "Confidence intervals on linear combinations of variance
    components that are unrestricted in sign"; Burdick and Graybill 1992, "Confidence Intervals on Variance
    Components", section 3.3. With ``below`` 0 it is the chi-squared interval of a variance. Unlike Satterthwaite's it
    keeps its coverage where the two mean squares are close.
    """
    difference = above.value - below.value
    low, high = (_margin(above, below, side) for side in (_TAIL, 1 - _TAIL))
    return Component(
        variance=max(0.0, difference / k),
        df=round(above.df),
        low=max(0.0, (difference - low) / k),
        high=max(0.0, (difference + high) / k),
    )


def _margin(above: _MeanSquare, below: _MeanSquare, tail: float) -> float:
    """How far the bound is from the difference: the lower for a small ``tail``, the upper for a large one."""
    f = float(fdtri(above.df, below.df, 1 - tail))
    own = 1 - above.df / float(chdtri(above.df, tail))
    other = below.df / float(chdtri(below.df, 1 - tail)) - 1
    both = ((f - 1) ** 2 - (own * f) ** 2 - other**2) / f
    squares = (own * above.value) ** 2 + (other * below.value) ** 2 + both * above.value * below.value
    return math.sqrt(max(0.0, squares))


@lru_cache(maxsize=1024)
def _noncentrality(df: int, power: float) -> float:
    """The noncentrality at which t with ``df`` degrees of freedom passes its 97.5% quantile with ``power``."""
    return float(nctdtrinc(df, 1 - power, t_quantile(df)))
