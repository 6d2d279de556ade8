"""Linked scores: every workflow on one scale, whatever metric set it was judged under, with what is uncertain about it.

Owns the model behind linked scores and its fit, pure and free of judges and of the store. A judge's score, in points
of 1..5, is taken to be

    score(node, version, seed) = quality(node) + shift(version) + difficulty(seed) + luck(node, seed) + noise

The shifts are mean equating in a common-item design (Kolen and Brennan, "Test Equating, Scaling, and Linking"): the
common items are samples judged under more than one version, the anchor panel's and every parent's beside its child. A
sample keeps its luck from version to version, so a shift is known far better than any quality. The first version has
the shift 0 and the difficulties of a run's seed inputs have the mean 0: a quality is the mean score over the run's seed
inputs, had they all been judged under the first version. Not clipped to 1..5, or gains would vanish at the ends. How
much the difficulties scatter is estimated, so that a seed input that only one workflow was run on tells something too
(recovery of inter-block information, Yates 1940, Annals of Eugenics 10:317).

Children are like their parents: quality(child) ~ N(quality(parent) + drift, step^2), drift and step estimated from the
run itself. So a lucky child is drawn towards its family until more is known about it, and the best of many is not too
good on average. The estimates are best linear unbiased predictions (Henderson 1975, Biometrics 31:423) from one set of
normal equations, and every interval has the uncertainty of the shifts in it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autosynth_core.judging.reward import Z95

__all__ = ["Observation", "Quality", "Scale", "Spread", "estimate_spread", "fit_scale", "raw_scale"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.intp]

_ROUNDS, _MANY_NODES, _FEW_ROUNDS = 12, 300, 3  # of estimating step and drift
_SUM_TO_ZERO = 1e3  # weight, per points squared, of the difficulties' having the sum 0
_LEAST_SD = 0.02  # points: a judge that repeats itself to the letter would make the equations singular
# What is believed of a search before its first child, with the weight of so many children or comparisons.
_STEP_BELIEF, _STEP_WEIGHT = 0.2, 10.0
_DIFFICULTY_BELIEF, _DIFFICULTY_WEIGHT = 0.5, 4.0
_DRIFT_WEIGHT = 4.0
_SPREAD_WEIGHT = 8.0


class Observation(NamedTuple):
    """A node's score on one seed input under one version: the mean over its replicates there."""

    node: int
    version: str
    seed: str
    score: float  # 1..5
    n: int = 1  # replicates


class Spread(NamedTuple):
    """Standard deviations behind one observation, in points."""

    sample: float  # luck: what another sample of the same workflow on the same seed input would change
    judge: float  # noise: what the same sample would get under another version, or when asked again


class Quality(NamedTuple):
    """An estimate in points, with its standard error and 95% interval."""

    mean: float
    sd: float

    @property
    def low(self) -> float:
        return self.mean - Z95 * self.sd

    @property
    def high(self) -> float:
        return self.mean + Z95 * self.sd


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """A fit. Row and column i of ``covariance`` (points squared) belong to ``nodes[i]``.

    ``shifts`` are the versions' against the first: above 0 where a version is the milder one. ``step`` and ``drift``
    are a child's change against its parent: sd and mean, in points.
    """

    nodes: tuple[int, ...]
    means: Vector
    covariance: Matrix
    shifts: Mapping[str, Quality]
    difficulties: Mapping[str, float]
    spread: Spread
    step: float
    drift: float

    def quality(self, node: int) -> Quality:
        """Raises KeyError for a node that was not observed."""
        at = self._at(node)
        return Quality(float(self.means[at]), math.sqrt(max(0.0, float(self.covariance[at, at]))))

    def difference(self, one: int, other: int) -> Quality:
        """How much better ``one`` is than ``other``; what is uncertain about both alike cancels."""
        i, j = self._at(one), self._at(other)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        return Quality(float(self.means[i] - self.means[j]), math.sqrt(max(0.0, float(variance))))

    def _at(self, node: int) -> int:
        at = int(np.searchsorted(self.nodes, node))
        if at >= len(self.nodes) or self.nodes[at] != node:
            raise KeyError(node)
        return at


def fit_scale(
    observations: Sequence[Observation], parents: Mapping[int, int | None], spread: Spread, first: str
) -> Scale:
    """Fit the model to all observations at once.

    ``parents`` maps every observed node to its parent (None: the root); a parent that was not observed counts as
    none. ``first`` is the version whose shift is 0. A version that shares no sample and no family with another has a
    shift of its own that nothing ties down: its interval says so. Time grows with the cube of nodes plus versions.
    """
    observations = sorted(observations)  # their order must not move even the last digit of a score
    nodes = tuple(sorted({each.node for each in observations}))
    versions = sorted({each.version for each in observations} - {first})
    seeds = sorted({each.seed for each in observations})
    columns = _Columns(
        {node: at for at, node in enumerate(nodes)},
        {version: len(nodes) + at for at, version in enumerate(versions)},
        {seed: len(nodes) + len(versions) + at for at, seed in enumerate(seeds)},
    )
    related = [
        (columns.nodes[node], columns.nodes[parent])
        for node in nodes
        if (parent := parents[node]) is not None and parent in columns.nodes
    ]
    families = _Families(*np.array(related, dtype=np.intp).reshape(-1, 2).T)
    data = _normal_equations(observations, columns, spread)
    at_seeds = np.array(list(columns.seeds.values()), dtype=np.intp)
    scatter = _Scatter(_STEP_BELIEF, _DIFFICULTY_BELIEF)
    means, covariance = _solve(data, families, at_seeds, scatter)
    for _ in range(_ROUNDS if len(nodes) < _MANY_NODES else _FEW_ROUNDS):
        before, scatter = scatter, _scatter(means, covariance, families, at_seeds)
        means, covariance = _solve(data, families, at_seeds, scatter)
        if max(abs(old - new) for old, new in zip(before, scatter, strict=True)) < 1e-3:
            break

    def quality(at: int) -> Quality:
        return Quality(float(means[at]), math.sqrt(max(0.0, float(covariance[at, at]))))

    return Scale(
        nodes,
        means[: len(nodes)],
        covariance[: len(nodes), : len(nodes)],
        {first: Quality(0.0, 0.0), **{version: quality(at) for version, at in columns.versions.items()}},
        {seed: float(means[at]) for seed, at in columns.seeds.items()},
        spread,
        scatter.step,
        float(families.moved(means).sum() / (families.size + _DRIFT_WEIGHT)),
    )


def raw_scale(observations: Sequence[Observation], versions: Mapping[int, str], spread: Spread) -> Scale:
    """Scores as they come, each node under its own version (``versions``): what the paper compares, for the comparison.

    No shift, no family; what the interval holds is chance alone.
    """
    own: dict[int, list[float]] = defaultdict(list)
    for each in sorted(observations):
        if versions.get(each.node) == each.version:
            own[each.node].append(each.score)
    nodes = tuple(sorted(own))
    variance = max(spread.sample, _LEAST_SD) ** 2 + max(spread.judge, _LEAST_SD) ** 2
    return Scale(
        nodes,
        np.array([np.mean(own[node]) for node in nodes]),
        np.diag([variance / len(own[node]) for node in nodes]),
        dict.fromkeys(sorted(set(versions.values())), Quality(0.0, 0.0)),
        {each.seed: 0.0 for each in observations},
        spread,
        math.nan,
        math.nan,
    )


def estimate_spread(observations: Collection[Observation], before: Spread) -> Spread:
    """The spread of single samples as the run itself shows it; ``before``, from its start, weighs as 8 comparisons.

    Noise: samples judged under two versions, as they part beyond the shift between the two. Luck and noise: pairs of
    nodes judged under the same version, as their differences vary over the seed inputs. Moments, never below 0.02.
    """
    by_version: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    by_node: dict[int, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for each in sorted(each for each in observations if each.n == 1):
        by_version[each.version][each.node][each.seed] = each.score
        by_node[each.node][each.version][each.seed] = each.score
    again = _within(pair for versions in by_node.values() for pair in combinations(versions.values(), 2))
    apart = _within(pair for nodes in by_version.values() for pair in _neighbours(list(nodes.values())))
    noise = (_SPREAD_WEIGHT * before.judge**2 + again.squares) / (_SPREAD_WEIGHT + again.df)
    both = (_SPREAD_WEIGHT * (before.judge**2 + before.sample**2) + apart.squares) / (_SPREAD_WEIGHT + apart.df)
    return Spread(math.sqrt(max(_LEAST_SD**2, both - noise)), math.sqrt(max(_LEAST_SD**2, noise)))


class _Squares(NamedTuple):
    squares: float  # of single observations
    df: int


def _neighbours(nodes: Sequence[Mapping[str, float]]) -> list[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Each node beside the one before: all pairs would count the same luck again and again."""
    return list(pairwise(nodes))


def _within(pairs: Iterable[tuple[Mapping[str, float], Mapping[str, float]]]) -> _Squares:
    squares, df = 0.0, 0
    for one, other in pairs:
        shared = sorted(one.keys() & other.keys())
        if len(shared) > 1:
            differences = np.array([one[seed] - other[seed] for seed in shared])
            squares += float(((differences - differences.mean()) ** 2).sum()) / 2
            df += len(shared) - 1
    return _Squares(squares, df)


# --- the normal equations -----------------------------------------------------------------------------------------


class _Columns(NamedTuple):
    """Where each unknown stands."""

    nodes: Mapping[int, int]
    versions: Mapping[str, int]
    seeds: Mapping[str, int]


class _Equations(NamedTuple):
    left: Matrix
    right: Vector


def _normal_equations(observations: Sequence[Observation], columns: _Columns, spread: Spread) -> _Equations:
    """Generalised least squares. The verdicts on one sample share its luck: V = noise^2 I + luck^2 J.

    The inverse of V by Sherman and Morrison is (I - c J) / noise^2 with c = luck^2 / (noise^2 + m luck^2), m verdicts.
    A mean of n replicates has 1/n of both variances, so its row and column are weighed by the root of n.
    Added up entry by entry, since a row has three that are not 0; the first version's go to a column that is dropped.
    """
    luck, noise = max(spread.sample, _LEAST_SD) ** 2, max(spread.judge, _LEAST_SD) ** 2
    size = len(columns.nodes) + len(columns.versions) + len(columns.seeds)
    samples: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, each in enumerate(observations):
        samples[each.node, each.seed].append(row)
    pairs = [
        (row, other, (row == other) - luck / (noise + len(rows) * luck))
        for rows in samples.values()
        for row in rows
        for other in rows
    ]
    one, other = np.array([pair[:2] for pair in pairs], dtype=np.intp).reshape(-1, 2).T
    roots = np.sqrt([each.n for each in observations])
    weights = np.array([pair[2] for pair in pairs]) * roots[one] * roots[other] / noise
    at = np.array(
        [
            (columns.nodes[each.node], columns.versions.get(each.version, size), columns.seeds[each.seed])
            for each in observations
        ],
        dtype=np.intp,
    ).reshape(-1, 3)
    scores = np.array([each.score for each in observations])
    left, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for column in at.T:
        np.add.at(right, column[one], weights * scores[other])
        for across in at.T:
            np.add.at(left, (column[one], across[other]), weights)
    seeds = list(columns.seeds.values())
    left[np.ix_(seeds, seeds)] += _SUM_TO_ZERO  # else every interval would hold what the seed inputs' mean might be
    return _Equations(left[:size, :size], right[:size])


class _Families(NamedTuple):
    """Columns of children and of their parents, pair by pair."""

    children: Places
    parents: Places

    @property
    def size(self) -> int:
        return len(self.children)

    def moved(self, means: Vector) -> Vector:
        """Each child less its parent."""
        return means[self.children] - means[self.parents]

    def total(self, size: int) -> Vector:
        """The row that adds up all children less their parents."""
        row = np.zeros(size)
        np.add.at(row, self.children, 1.0)
        np.add.at(row, self.parents, -1.0)
        return row


class _Scatter(NamedTuple):
    """Standard deviations, in points: of children about their parents, and of the seed inputs' difficulties."""

    step: float
    difficulty: float


def _solve(data: _Equations, families: _Families, seeds: Places, scatter: _Scatter) -> tuple[Vector, Matrix]:
    """Means and covariance of all unknowns, given how widely children and seed inputs differ.

    The drift, with the prior N(0, step^2 / 4), is integrated out, so that not knowing it is part of every interval.
    """
    step = scatter.step
    left = data.left.copy()
    left[seeds, seeds] += 1 / scatter.difficulty**2
    for one, other in product(families, families):
        np.add.at(left, (one, other), (1.0 if one is other else -1.0) / step**2)
    total = families.total(len(left))
    left -= np.outer(total, total) / (families.size + _DRIFT_WEIGHT) / step**2
    left[np.diag_indices_from(left)] += 1e-6  # a version that nothing ties down gets a wide interval, not an error
    covariance: Matrix = np.linalg.inv(left).astype(np.float64)
    return covariance @ data.right, covariance


def _scatter(means: Vector, covariance: Matrix, families: _Families, seeds: Places) -> _Scatter:
    """One round of expectation maximisation, with the belief before the search weighing in."""
    squares = float((means[seeds] ** 2 + covariance[seeds, seeds]).sum())
    variance = _DIFFICULTY_WEIGHT * _DIFFICULTY_BELIEF**2 + squares
    difficulty = math.sqrt(variance / (_DIFFICULTY_WEIGHT + len(seeds)))
    return _Scatter(_step(means, covariance, families), max(_LEAST_SD, difficulty))


def _step(means: Vector, covariance: Matrix, families: _Families) -> float:
    child, parent = families
    moved, total = families.moved(means), families.total(len(means))
    unsure = covariance[child, child] + covariance[parent, parent] - 2 * covariance[child, parent]
    squares = float((moved**2 + unsure).sum())
    squares -= float(moved.sum() ** 2 + total @ covariance @ total) / (families.size + _DRIFT_WEIGHT)
    step = math.sqrt((_STEP_WEIGHT * _STEP_BELIEF**2 + squares) / (_STEP_WEIGHT + families.size))
    return max(_LEAST_SD, step)
