"""The race: the best workflows on sealed seed inputs that the search never saw.

Owns who runs, who is out when, who has won, and the sealed score. All that are still in run on the same next seed
inputs (blocks). One is out when it is surely behind the leader: the upper end of a confidence sequence for its paired
difference is below 0 (Robbins 1970; Howard et al. 2021), which holds at every look. The winner and the first workflow
then run on further sealed inputs that had no part in the choice, so that the score reported is not too good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from autosynth_core.config import RunSettings
from autosynth_core.judging import Observation, Scale, Spread, fit_scale, hybrid_reward, radius, t_quantile
from autosynth_core.records import MetricSet, RaceResult, Reward, SeedInput, Task, Workflow
from autosynth_core.search.allocate import chance_to_beat
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.scores import Board, NodeScore
from autosynth_core.search.simulate import Simulator
from autosynth_core.search.tree import Tree

__all__ = ["LEAST_SEALED", "Race", "contenders", "probability_best", "sealed_order"]

_BLOCK = 2  # seed inputs between looks
_LEAST_CONFIRM = 4  # sealed seed inputs for the score that is reported
LEAST_SEALED = _BLOCK + _LEAST_CONFIRM  # below this there is no race
_DRAWS = 20_000
_NO_HOPE = 0.02


def sealed_order(task: Task, settings: RunSettings) -> tuple[SeedInput, ...]:
    """The sealed seed inputs in the order in which races use them."""
    order = list(task.sealed_seeds)
    Random(f"{settings.seed}:sealed").shuffle(order)
    return tuple(order)


def contenders(board: Board, most: int, weight: float) -> tuple[int, ...]:
    """The best by reward, ``most`` at most, without those that have next to no chance to beat the first of them."""
    assert board.scale is not None
    ranked = sorted(board.scores, key=lambda number: (-board.scores[number].reward.total, number))[:most]
    leader = ranked[0]
    scale = board.scale
    return tuple(
        number
        for number in ranked
        if number == leader or chance_to_beat(scale, board.scores, number, leader, weight) > _NO_HOPE
    )


def probability_best(
    scale: Scale, programs: Mapping[int, float], among: Sequence[int], weight: float
) -> dict[int, float]:
    """The probability of each to have the highest reward among them, by draws from what is known (seeded)."""
    at = [scale.nodes.index(number) for number in among]
    draws = np.random.default_rng(0).multivariate_normal(
        scale.means[at], scale.covariance[np.ix_(at, at)], size=_DRAWS, method="svd"
    )
    rewards = (1 - weight) * (draws - 1) / 4 + weight * np.array([programs[number] for number in among])
    won = np.bincount(rewards.argmax(axis=1), minlength=len(among)) / _DRAWS
    return {number: float(share) for number, share in zip(among, won, strict=True)}


class _Sealed(NamedTuple):
    mean: float
    low: float
    high: float
    n: int


@dataclass(slots=True)
class Race:
    """One race of one run. ``judge`` is the evaluator of the second judge where there is one."""

    run_id: str
    settings: RunSettings
    tree: Tree
    board: Board
    metrics: MetricSet
    simulator: Simulator
    judge: Evaluator
    seeds: tuple[SeedInput, ...]
    observations: Sequence[Observation]
    second: bool  # the judge is not the search's: what the search saw counts for nothing here
    iteration: int

    async def run(self, allowance: int) -> RaceResult | None:
        """Race for at most ``allowance`` samples judged, the confirmation included.

        None when there are too few sealed seed inputs.
        """
        among = contenders(self.board, self.settings.race_contenders, self._weight)
        confirm = max(_LEAST_CONFIRM, len(self.seeds) // 2)
        track = self.seeds[: len(self.seeds) - confirm]
        if len(track) < _BLOCK:
            return None
        seen: list[Observation] = []
        ran = dict.fromkeys(among, 0)
        running = list(among)
        left = allowance - 2 * confirm
        for start in range(0, len(track), _BLOCK):
            block = track[start : start + _BLOCK]
            if len(running) < 2 or (start and left < len(running) * len(block)):
                break
            for number in running:
                seen += await self._look(number, block)
                ran[number] += len(block)
                left -= len(block)
            running = self._still_in(running, seen)
        scale = self._scale(seen)
        programs = {number: self._program(number) for number in among}
        chances = probability_best(scale, programs, among, self._weight) if len(among) > 1 else {among[0]: 1.0}
        winner = max(running, key=lambda number: (chances[number], -number))
        return await self._confirmed(winner, chances[winner], ran, self.seeds[len(track) :])

    def _program(self, number: int) -> float:
        """The program's part of the reward, 0..1; 0 where it has no share and may not have been read."""
        return self.board.scores[number].reward.workflow if self._weight else 0.0

    @property
    def _weight(self) -> float:
        return self.settings.workflow_weight

    async def _look(self, number: int, seeds: Sequence[SeedInput]) -> list[Observation]:
        node = self.tree.nodes[number]
        samples = await self.simulator.simulate(Workflow(node.source, node.fingerprint), seeds, node=number)
        look = await self.judge.look(self.iteration, node, samples, self.metrics)
        return self.judge.observations([look], {number: node}, [self.metrics])

    def _still_in(self, running: Sequence[int], seen: Sequence[Observation]) -> list[int]:
        """Those that the leader has not surely left behind."""
        scores = {number: {each.seed: each.score for each in seen if each.node == number} for number in running}

        def reward(number: int) -> float:
            quality = fmean(scores[number].values()) if scores[number] else 1.0
            return (1 - self._weight) * quality / 4 + self._weight * self._program(number)

        leader = max(running, key=lambda number: (reward(number), -number))
        kept = []
        for number in running:
            shared = sorted(scores[number].keys() & scores[leader].keys())
            apart = [scores[number][seed] - scores[leader][seed] for seed in shared]
            if number == leader or len(apart) < 2 or self._highest(number, leader, apart) >= 0:
                kept.append(number)
        return kept

    def _highest(self, number: int, leader: int, apart: Sequence[float]) -> float:
        """The upper end of the confidence sequence for the difference in reward."""
        spread = self._spread
        sd = max(math.sqrt(2 * (spread.sample**2 + spread.judge**2)), stdev(apart))
        program = self._program(number) - self._program(leader)
        return (1 - self._weight) * (fmean(apart) + radius(len(apart), sd)) / 4 + self._weight * program

    @property
    def _spread(self) -> Spread:
        assert self.board.scale is not None
        return self.board.scale.spread

    def _scale(self, seen: Sequence[Observation]) -> Scale:
        """Everything known of the contenders: the search's looks too, where the same judge took them."""
        everything = list(seen) if self.second else [*self.observations, *seen]
        nodes = {each.node for each in everything}
        parents = {number: self.tree.nodes[number].parent for number in nodes}
        first = self.metrics.version if self.second else self.tree.nodes[0].metric_version
        return fit_scale(everything, parents, self._spread, first)

    async def _confirmed(
        self, winner: int, probability: float, ran: Mapping[int, int], seeds: Sequence[SeedInput]
    ) -> RaceResult:
        ours = {each.seed: each.score for each in await self._look(winner, seeds)}
        firsts = ours if winner == 0 else {each.seed: each.score for each in await self._look(0, seeds)}
        shared = sorted(ours.keys() & firsts.keys())
        apart = [ours[seed] - firsts[seed] for seed in shared]
        program = self._program(winner) - self._program(0)
        gain = _interval(apart)
        low, middle, high = (
            (1 - self._weight) * each / 4 + self._weight * program for each in (gain.low, gain.mean, gain.high)
        )
        return RaceResult(
            run_id=self.run_id,
            judge=self.judge.judge_name,
            version=self.metrics.version,
            contenders=dict(ran),
            winner=winner,
            probability=probability,
            sealed=self._sealed(self.board.scores[winner], list(ours.values())),
            claimed=self.board.scores[winner].reward,
            first=self._sealed(self.board.scores[0], list(firsts.values())),
            gain=(middle, low, high),
        )

    def _sealed(self, score: NodeScore, values: Sequence[float]) -> Reward:
        """The reward on sealed inputs, on the run's scale: the shift of the version judged by is taken out."""
        found = _interval(values)
        assert self.board.scale is not None
        shift = None if self.second else self.board.scale.shifts.get(self.metrics.version)
        mean, half = found.mean, (found.high - found.low) / 2
        if shift is not None:
            mean, half = mean - shift.mean, math.hypot(half, 1.96 * shift.sd)
        return hybrid_reward(mean, mean - half, mean + half, score.workflow_score, self._weight, found.n)


def _interval(values: Sequence[float]) -> _Sealed:
    """Mean and 95% t interval over seed inputs; as wide as the scale with fewer than two."""
    if len(values) < 2:
        mean = values[0] if values else 3.0
        return _Sealed(mean, mean - 4.0, mean + 4.0, len(values))
    mean = fmean(values)
    half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return _Sealed(mean, mean - half, mean + half, len(values))
