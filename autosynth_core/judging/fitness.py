"""Whether a judge is fit for its work, told from outputs of known worth before anything is spent.

Owns the power of metrics and of their weighted mean to separate good from bad, the weights that follow from it, the
scale that this judge uses, and the verdict. Leaves making known outputs to ``known`` and asking the judge to
``sample_judge``. Pure. A score that could not be read is left out; it is never a low one.

AUC is the share of pairs of a good and a bad output in which the good one scored higher, ties counting half: 1 for a
judge that never errs, 0.5 for one that guesses.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from statistics import fmean
from typing import NamedTuple

from autosynth_core.judging.known import Known, KnownKind
from autosynth_core.judging.reward import Z95, seed_scores
from autosynth_core.records import MetricSet, ScoreRow

__all__ = ["Auc", "Fitness", "FitnessVerdict", "Levels", "MetricFitness", "auc", "fitness", "reweighted"]

_LOWEST, _HIGHEST = 1.0, 5.0
_NOTHING = 0.55  # a metric with no more AUC than this separates nothing
_EQUAL_PULL = 12  # known outputs at which data and equal power count alike
_ENOUGH = 3  # good outputs, and bad ones, for a verdict
# Measured in docs/statistics.md: with six good and six bad outputs a judge of AUC 0.6 is called FIT, and one of 0.95
# UNFIT, in less than 5 of 100 cases.
_UNFIT_BELOW = 0.7
_FIT_FROM, _FIT_LOW_ABOVE = 0.8, 0.6


class Auc(NamedTuple):
    """Power to separate, 0..1, with a 95% interval."""

    value: float
    low: float
    high: float
    n_good: int
    n_bad: int


class FitnessVerdict(StrEnum):
    """What is to be made of a judge."""

    FIT = "fit"
    WEAK = "weak"  # better than guessing, or not yet shown to be much better
    UNFIT = "unfit"
    UNKNOWN = "unknown"  # too little is known to say


class Levels(NamedTuple):
    """The mean score, in points, that this judge gives to each kind of output; None: none of it was scored."""

    good: float | None
    bad: float | None
    spoiled: float | None


@dataclass(frozen=True, slots=True)
class MetricFitness:
    """What one metric separates."""

    name: str
    overall: Auc | None  # good against bad and spoiled together; None: one side has no score
    by_how: Mapping[str, Auc]  # good against each sort of bad or spoiled output
    given: float  # its weight in the metric set
    weight: float  # the weight that its power earns; 0: it separates nothing


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a judge is worth with these metrics."""

    verdict: FitnessVerdict
    sentence: str  # for a teacher: what was found and what to do
    overall: Auc | None  # the weighted mean under the new weights, each pair under weights that it had no part in
    as_given: Auc | None  # the weighted mean under the weights of the metric set
    by_how: Mapping[str, Auc]  # as ``overall``, against each sort of bad or spoiled output
    metrics: tuple[MetricFitness, ...]  # in the set's order
    scale: Levels  # under the new weights
    missing: int  # scores that could not be read
    decisive: Auc | None = None  # what the verdict goes by: ``overall``, or against bad ones alone where that is less


_Pair = tuple[str, str]  # the ids of a good output and of one that is not
_Pairs = Mapping[_Pair, float]  # 1: the good one scored higher, 0.5: the same, 0: lower
_Table = Mapping[str, Mapping[str, float]]  # known id -> metric -> read score


def auc(good_scores: Iterable[float | None], bad_scores: Iterable[float | None]) -> Auc | None:
    """How well scores tell good from bad; None where one side has no score. Scores that are None or NaN are left out.

    The interval is the fifth method of Newcombe 2006, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", Statistics in Medicine 25:559-573: all A with
    ``(A - found)**2 <= z**2 * V(A)``, where ``V(A) = A (1 - A) (1 + N (1 - A) / (2 - A) + N A / (1 + A)) / (g b)`` and
    ``N = (g + b) / 2 - 1`` (the variance of Hanley and McNeil 1982 at equal group sizes). It has width at 0 and 1 too.
    Assumes independent outputs; several spoiled copies of one good output are not quite that.
    """
    good, bad = (
        {str(i): x for i, x in enumerate(side) if x is not None and x == x} for side in (good_scores, bad_scores)
    )
    return _auc({(g, b): _won(good[g], bad[b]) for g, b in product(good, bad)})


def fitness(scores: Mapping[str, Mapping[str, float | None]], known: Sequence[Known], metrics: MetricSet) -> Fitness:
    """What a judge is worth that gave ``scores`` (known id -> metric name -> 1..5) to ``known`` outputs.

    Bad and spoiled outputs count as not good. New weights: see ``_earned``. ``overall`` is cross-validated: each pair
    is compared under the weights that the other outputs earn (leave-pair-out; Airola et al. 2011, "An experimental
    comparison of cross-validation techniques for estimating the area under the ROC curve"), because weights chosen on
    a few outputs flatter themselves on the same ones: a guessing judge would look better than guessing.
    Scores that are None or outside 1..5 are left out; an output with less than half of the weight read has no score.
    """
    table = _readable(scores, known, metrics)
    good = [each.id for each in known if each.kind is KnownKind.GOOD]
    rest = [each.id for each in known if each.kind is not KnownKind.GOOD]
    contests = {each.name: _contest(_column(table, each.name), good, rest) for each in metrics.metrics}
    earned = _earned(metrics, {name: contest.without() for name, contest in contests.items()}, _size(table, good, rest))
    final = _weighted(metrics, earned)
    pairs = _left_out_pairs(table, good, rest, metrics, contests)
    totals = seed_scores(_rows(table), final)
    overall, by_how = _auc(pairs), _by_how(pairs, known)
    against_bad = _auc(_against(pairs, {each.id for each in known if each.kind is KnownKind.BAD}))
    decisive = _hardest(overall, against_bad)
    verdict, sentence = _judge(overall, decisive, against_bad, Counter(each.kind for each in known))
    return Fitness(
        verdict=verdict,
        sentence=sentence,
        overall=overall,
        as_given=_auc(_contest(seed_scores(_rows(table), metrics), good, rest).pairs),
        by_how=by_how,
        metrics=tuple(
            MetricFitness(
                each.name,
                _auc(contests[each.name].pairs),
                _by_how(contests[each.name].pairs, known),
                each.weight,
                earned[each.name],
            )
            for each in metrics.metrics
        ),
        scale=Levels(
            *(_mean(totals[each.id] for each in known if each.kind is kind and each.id in totals) for kind in KnownKind)
        ),
        decisive=decisive,
        missing=len({each.id for each in known}) * len(metrics.metrics) - sum(len(row) for row in table.values()),
    )


def reweighted(metrics: MetricSet, found: Fitness) -> MetricSet:
    """The metric set with the weights that its metrics earned: a new version."""
    return _weighted(metrics, {each.name: each.weight for each in found.metrics})


# --- scores ---


def _readable(
    scores: Mapping[str, Mapping[str, float | None]], known: Iterable[Known], metrics: MetricSet
) -> dict[str, dict[str, float]]:
    """Every known output's readable scores on metrics of the set."""
    names = {metric.name for metric in metrics.metrics}
    return {
        each.id: {
            name: score
            for name, score in scores.get(each.id, {}).items()
            if name in names and score is not None and _LOWEST <= score <= _HIGHEST
        }
        for each in known
    }


def _column(table: _Table, metric: str) -> dict[str, float]:
    return {id_: row[metric] for id_, row in table.items() if metric in row}


def _rows(table: _Table) -> list[ScoreRow]:
    """The table as the rows that ``seed_scores`` reads, each output standing for a seed input."""
    return [ScoreRow("", id_, 0, "", "", name, score) for id_, row in table.items() for name, score in row.items()]


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


# --- pairs ---


@dataclass(frozen=True, slots=True)
class _Contest:
    """All pairs of a good output and another, with sums by output for leaving some out quickly."""

    pairs: _Pairs
    sums: Mapping[str, float]
    counts: Mapping[str, int]
    whole: float

    def without(self, pair: _Pair | None = None) -> float | None:
        """The AUC over pairs that share no output with ``pair``; None where there are none."""
        if pair is None:
            return self.whole / len(self.pairs) if self.pairs else None
        both = pair in self.pairs
        count = len(self.pairs) - sum(self.counts.get(each, 0) for each in pair) + both
        total = self.whole - math.fsum(self.sums.get(each, 0.0) for each in pair) + (self.pairs[pair] if both else 0.0)
        return total / count if count else None


def _contest(scores: Mapping[str, float], good: Iterable[str], rest: Iterable[str]) -> _Contest:
    pairs = {(g, b): _won(scores[g], scores[b]) for g, b in product(good, rest) if g in scores and b in scores}
    sums: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for pair, won in pairs.items():
        for each in pair:
            sums[each] += won
            counts[each] += 1
    return _Contest(pairs, sums, counts, math.fsum(pairs.values()))


def _left_out_pairs(
    table: _Table, good: Sequence[str], rest: Sequence[str], metrics: MetricSet, contests: Mapping[str, _Contest]
) -> dict[_Pair, float]:
    """Each pair compared by the weighted mean, under weights earned on the outputs that are not in the pair."""
    pairs = {}
    size = _size(table, good, rest)
    for pair in product(good, rest):
        apart = {name: contest.without(pair) for name, contest in contests.items()}
        scores = seed_scores(
            _rows({each: table[each] for each in pair}), _weighted(metrics, _earned(metrics, apart, size))
        )
        if len(scores) == 2:
            pairs[pair] = _won(scores[pair[0]], scores[pair[1]])
    return pairs


def _won(good: float, bad: float) -> float:
    return 1.0 if good > bad else 0.5 if good == bad else 0.0


def _against(pairs: _Pairs, ids: Collection[str]) -> dict[_Pair, float]:
    return {pair: won for pair, won in pairs.items() if pair[1] in ids}


def _by_how(pairs: _Pairs, known: Iterable[Known]) -> dict[str, Auc]:
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for each in known:
        if each.kind is not KnownKind.GOOD:
            ids[each.how].add(each.id)
    found = {how: _auc(_against(pairs, some)) for how, some in ids.items()}
    return {how: value for how, value in found.items() if value is not None}


def _auc(pairs: _Pairs) -> Auc | None:
    if not pairs:
        return None
    value, n_good, n_bad = fmean(pairs.values()), len({g for g, _ in pairs}), len({b for _, b in pairs})
    high = _bound(value, n_good, n_bad)
    return Auc(value, 1 - _bound(1 - value, n_good, n_bad), high, n_good, n_bad)


def _bound(value: float, n_good: int, n_bad: int) -> float:
    """The upper bound on an AUC, by bisection; the lower one is that of its mirror image, ``V(A) = V(1 - A)``."""
    extra = (n_good + n_bad) / 2 - 1
    inside, outside = value, 1.0
    while outside - inside > 1e-9:
        a = (inside + outside) / 2
        variance = a * (1 - a) * (1 + extra * (1 - a) / (2 - a) + extra * a / (1 + a)) / (n_good * n_bad)
        inside, outside = (a, outside) if (a - value) ** 2 <= Z95**2 * variance else (inside, a)
    return outside


# --- weights ---


def _size(table: _Table, good: Iterable[str], rest: Iterable[str]) -> float:
    """The number of scored outputs; with unequal sides that of the equal sides that would tell as much."""
    g, b = (sum(1 for each in side if table[each]) for side in (good, rest))
    return 4 * g * b / (g + b) if g + b else 0.0


def _earned(metrics: MetricSet, aucs: Mapping[str, float | None], size: float) -> dict[str, float]:
    """The weights that AUCs earn.

    ``weight * (s * power / mean power + 1 - s)`` with ``power = 2 AUC - 1`` and ``s = size / (size + 12)``, and 0 for
    an AUC of at most 0.55; then scaled so that their sum stays. The pull ``1 - s`` towards equal power is there because
    an AUC from a dozen outputs may be wrong by 0.15 either way, which is about as much as metrics truly differ by. The
    mean is over metrics that separate. One without an AUC counts as average. Where nothing separates the weights stay
    as they are: a set without weights could not be used, and the verdict says what is to be said.
    """
    power = {name: 2 * value - 1 for name, value in aucs.items() if value is not None and value > _NOTHING}
    share = size / (size + _EQUAL_PULL)
    mean = fmean(power.values()) if power else 1.0

    def factor(name: str) -> float:
        if aucs[name] is None:
            return 1.0
        return share * power[name] / mean + 1 - share if name in power else 0.0

    raw = {metric.name: metric.weight * factor(metric.name) for metric in metrics.metrics}
    whole, given = math.fsum(raw.values()), math.fsum(metric.weight for metric in metrics.metrics)
    if whole <= 0:
        return {metric.name: metric.weight for metric in metrics.metrics}
    return {name: weight * given / whole for name, weight in raw.items()}


def _weighted(metrics: MetricSet, weights: Mapping[str, float]) -> MetricSet:
    return MetricSet(tuple(replace(metric, weight=weights[metric.name]) for metric in metrics.metrics))


# --- the verdict ---


def _hardest(overall: Auc | None, against_bad: Auc | None) -> Auc | None:
    """Where enough bad outputs are known, telling spoiled copies is not enough."""
    if overall is None or against_bad is None or against_bad.n_bad < _ENOUGH:
        return overall
    return against_bad if against_bad.value < overall.value else overall


def _judge(
    overall: Auc | None, hardest: Auc | None, against_bad: Auc | None, given: Counter[KnownKind]
) -> tuple[FitnessVerdict, str]:
    """The verdict and its sentence."""
    if overall is None or hardest is None or min(overall.n_good, overall.n_bad) < _ENOUGH:
        return FitnessVerdict.UNKNOWN, _too_few(given)
    enough_bad = against_bad is not None and against_bad.n_bad >= _ENOUGH
    pairs = f"{round(100 * hardest.value)} of 100 pairs of a good and a bad example"
    if hardest.value < _UNFIT_BELOW:
        return FitnessVerdict.UNFIT, (
            f"This judge does not tell good from bad: it got {pairs} right, where guessing gets 50. Set a stronger "
            "judge model, or say in the criteria more clearly what makes an example good, before you start."
        )
    if not enough_bad:
        return FitnessVerdict.UNKNOWN, _too_few(given)
    if hardest.value < _FIT_FROM:
        return FitnessVerdict.WEAK, (
            f"This judge tells good from bad only roughly: it got {pairs} right. Set a stronger judge model, or read "
            "samples yourself before you trust a score."
        )
    if hardest.low <= _FIT_LOW_ABOVE:
        return FitnessVerdict.WEAK, (
            f"This judge seems to tell good from bad: it got {pairs} right, which may be luck with so few examples. "
            "Give more good and bad examples to be sure."
        )
    return FitnessVerdict.FIT, f"This judge tells good from bad: it got {pairs} right. You can start."


def _too_few(given: Mapping[KnownKind, int]) -> str:
    wanted = {kind: _ENOUGH - given[kind] for kind in (KnownKind.GOOD, KnownKind.BAD) if given[kind] < _ENOUGH}
    if not wanted:
        return (
            "Whether this judge tells good from bad can't be said: too few of its scores could be read. "
            "Try again, or set another judge model."
        )
    asked = " and ".join(f"{count} more {kind.value} example{'s' * (count > 1)}" for kind, count in wanted.items())
    return f"Whether this judge tells good from bad can't be said yet: give {asked}."
