"""The race: the best workflows on sealed seed inputs that the search never saw.

Owns who runs, who is out when, who has won, and the sealed score. A round spends half of what is left on the leader and
those most likely to beat it, on the same seed inputs in the same order; so what the search saved is spent where it may
change who wins. One is out when it is surely behind the leader: the upper end of a confidence sequence for its paired
difference is below 0 (Robbins 1970; Howard et al. 2021), which holds at every look. The winner and the first workflow
then run on further sealed inputs that had no part in the choice, so that the score reported is not too good.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from autosynth_core.config import RunSettings
from autosynth_core.errors import AnswerUnreadable
from autosynth_core.judging import Observation, Scale, fit_scale, hybrid_reward, radius, t_quantile
from autosynth_core.judging.concurrently import concurrently
from autosynth_core.records import MetricSet, RaceResult, Reward, SeedInput, Task, Workflow
from autosynth_core.search.allocate import leaders
from autosynth_core.search.evaluate import MIN_SCORED_SHARE, Evaluator
from autosynth_core.search.scores import Board, NodeScore
from autosynth_core.search.simulate import Simulator
from autosynth_core.search.tree import Tree

__all__ = [
    "LEAST_SEALED",
    "Allowance",
    "Race",
    "at_the_end",
    "most_samples",
    "on_demand",
    "probability_best",
    "sealed_order",
]

_BLOCK = 2  # samples of each in a round at least, but for the last of all laps
_LEAST_CONFIRM = 4  # sealed seed inputs for the score that is reported
_CONFIRM = 8  # of these at least in the race that ends a search, where so many are kept
LEAST_SEALED = _BLOCK + _LEAST_CONFIRM  # below this there is no race
_DRAWS = 20_000
_MOST_LAPS = 4  # times that the rounds go over all of the track


def sealed_order(task: Task, settings: RunSettings) -> tuple[SeedInput, ...]:
    """The sealed seed inputs in the order in which races use them."""
    order = list(task.sealed_seeds)
    Random(f"{settings.seed}:sealed").shuffle(order)
    return tuple(order)


class Allowance(NamedTuple):
    """What a race may cost: samples made and judged in all, and the fewest inputs that the winner is confirmed on."""

    samples: int
    confirm: int


def at_the_end(sealed: int, saved: int) -> Allowance:
    """What the race that ends a search may cost; the search has ``saved`` so many samples."""
    return Allowance(saved, min(_kept(sealed), _CONFIRM))


def on_demand(contenders: int, sealed: int) -> Allowance:
    """What a race that a person asked for may cost: once over the track for so many, confirmed on all that is kept."""
    kept = _kept(sealed)
    return Allowance(contenders * (sealed - kept) + 2 * kept, kept)


def most_samples(contenders: int, sealed: int, allowance: Allowance) -> int:
    """The most samples that a race makes and judges, on ``sealed`` seed inputs; 0 where there can be none."""
    if contenders < 1 or sealed < LEAST_SEALED:
        return 0
    kept, least = _kept(sealed), 2 * allowance.confirm
    rounds = contenders > 1
    most = rounds * _MOST_LAPS * contenders * (sealed - kept) + 2 * kept
    return min(max(allowance.samples, rounds * _BLOCK * contenders + least), most)


def _kept(sealed: int) -> int:
    """How many of the sealed seed inputs are kept from the rounds, for the score that is reported."""
    return max(_LEAST_CONFIRM, sealed // 2)


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
    _ran: dict[int, int] = field(default_factory=dict)  # contender -> samples
    # by contender and place on the track
    _scores: defaultdict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    _out: set[int] = field(default_factory=set)

    async def run(self, allowance: Allowance) -> RaceResult | None:
        """Race for what is allowed; the first round, of the fewest samples, and the confirmation are run in any case.

        What the rounds leave goes to the confirmation. None when there are too few sealed seed inputs. Raises
        AnswerUnreadable when too little of what the judge said of the winner could be read for a score.
        """
        track = self.seeds[: len(self.seeds) - _kept(len(self.seeds))]
        if len(track) < _BLOCK:
            return None
        left = allowance.samples - 2 * allowance.confirm
        scale = self._scale_of_search
        running = self._leaders(scale, sorted(self.board.scores))
        while len(running) > 1 and (block := self._block(running, left, _MOST_LAPS * len(track))) > 0:
            self._ran |= {number: self._ran.get(number, 0) for number in running}
            await concurrently(self._run_on(number, track, block) for number in running)
            left -= block * len(running)
            self._out |= set(running) - set(self._still_in(running))
            scale = self._scale(track)
            running = self._leaders(scale, self._candidates(scale))
            if left < _BLOCK * len(running):
                break
        self._ran = self._ran or dict.fromkeys(running, 0)  # one alone has no rounds
        among = sorted(self._ran.keys() & set(scale.nodes))
        winner = self._leaders(scale, [number for number in among if number not in self._out])[0]
        chances = probability_best(scale, self._programs, among, self._weight) if len(among) > 1 else {winner: 1.0}
        kept = self.seeds[len(track) :]
        return await self._confirmed(winner, chances[winner], kept[: allowance.confirm + max(0, left) // 2])

    def _block(self, running: Sequence[int], left: int, most: int) -> int:
        """How many samples each makes in a round: for half of what is left, so that later rounds know more.

        0 when one of them has made the most that there are.
        """
        block = max(_BLOCK, left // (2 * len(running)))
        return min(block, most - max(self._ran.get(number, 0) for number in running))

    def _leaders(self, scale: Scale, among: Collection[int]) -> tuple[int, ...]:
        return leaders(scale, self._programs, among, self.settings.race_contenders, self._weight)

    def _candidates(self, scale: Scale) -> list[int]:
        """Who may still win. A second judge knows only those that it has seen."""
        known = self._ran.keys() if self.second else self.board.scores.keys()
        return sorted((known & set(scale.nodes)) - self._out)

    @property
    def _programs(self) -> dict[int, float]:
        """Each program's part of the reward, 0..1; 0 where it has no share and may not have been read."""
        return {number: each.reward.workflow if self._weight else 0.0 for number, each in self.board.scores.items()}

    @property
    def _weight(self) -> float:
        return self.settings.workflow_weight

    async def _run_on(self, number: int, track: Sequence[SeedInput], block: int) -> None:
        """One block further. When all of the track is used up, another sample is made on each seed input."""
        begun = self._ran[number]
        self._ran[number] += block
        laps: dict[int, list[int]] = defaultdict(list)
        for place in range(begun, begun + block):
            laps[place // len(track)].append(place)
        for lap, places in laps.items():
            found = await self._look(number, [track[place % len(track)] for place in places], lap)
            at = {track[place % len(track)].id: place for place in places}
            self._scores[number] |= {at[each.seed]: each.score for each in found}

    async def _look(self, number: int, seeds: Sequence[SeedInput], replicate: int = 0) -> list[Observation]:
        node = self.tree.nodes[number]
        workflow = Workflow(node.source, node.fingerprint)
        samples = await self.simulator.simulate(workflow, seeds, node=number, replicate=replicate)
        look = await self.judge.look(self.iteration, node, samples, self.metrics)
        return self.judge.observations([look], {number: node}, [self.metrics], replicate=replicate)

    def _still_in(self, running: Sequence[int]) -> list[int]:
        """Those that the leader has not surely left behind."""
        scores = {number: self._scores[number] for number in running}
        programs = self._programs

        def reward(number: int) -> float:
            quality = fmean(scores[number].values()) if scores[number] else 1.0
            return (1 - self._weight) * quality / 4 + self._weight * programs[number]

        leader = max(running, key=lambda number: (reward(number), -number))
        kept = []
        for number in running:
            shared = sorted(scores[number].keys() & scores[leader].keys())
            apart = [scores[number][place] - scores[leader][place] for place in shared]
            if number == leader or len(apart) < 2 or self._highest(number, leader, apart) >= 0:
                kept.append(number)
        return kept

    def _highest(self, number: int, leader: int, apart: Sequence[float]) -> float:
        """The upper end of the confidence sequence for the difference in reward."""
        spread = self._scale_of_search.spread
        sd = max(math.sqrt(2 * (spread.sample**2 + spread.judge**2)), stdev(apart))
        program = self._programs[number] - self._programs[leader]
        return (1 - self._weight) * (fmean(apart) + radius(len(apart), sd)) / 4 + self._weight * program

    @property
    def _scale_of_search(self) -> Scale:
        assert self.board.scale is not None
        return self.board.scale

    def _scale(self, track: Sequence[SeedInput]) -> Scale:
        """Everything known of the contenders: the search's looks too, where the same judge took them.

        Where nothing that the second judge said could be read, the search's own scale stands.
        """
        seen = list(self._seen(track))
        if not seen:
            return self._scale_of_search
        everything = seen if self.second else [*self.observations, *seen]
        nodes = {each.node for each in everything}
        parents = {number: self.tree.nodes[number].parent for number in nodes}
        first = self.metrics.version if self.second else self.tree.nodes[0].metric_version
        return fit_scale(everything, parents, self._scale_of_search.spread, first)

    def _seen(self, track: Sequence[SeedInput]) -> Iterator[Observation]:
        """What the contenders made of the track, replicates put together."""
        for number, scores in self._scores.items():
            by_seed: dict[str, list[float]] = defaultdict(list)
            for place, score in scores.items():
                by_seed[track[place % len(track)].id].append(score)
            for seed, given in by_seed.items():
                yield Observation(number, self.metrics.version, seed, fmean(given), len(given))

    async def _confirmed(self, winner: int, probability: float, seeds: Sequence[SeedInput]) -> RaceResult:
        ours = {each.seed: each.score for each in await self._look(winner, seeds)}
        firsts = ours if winner == 0 else {each.seed: each.score for each in await self._look(0, seeds)}
        shared = sorted(ours.keys() & firsts.keys())
        if len(shared) < max(2, MIN_SCORED_SHARE * len(seeds)):
            raise AnswerUnreadable(
                f"of what recipes {winner} and 0 made on {len(seeds)} inputs kept aside, the judge "
                f"{self.judge.judge_name} could be read on {len(shared)}; set another one in Settings, or try later"
            )
        apart = [ours[seed] - firsts[seed] for seed in shared]
        program = self._programs[winner] - self._programs[0]
        gain = _interval(apart)
        low, middle, high = (
            max(-1.0, min(1.0, (1 - self._weight) * each / 4 + self._weight * program))
            for each in (gain.low, gain.mean, gain.high)
        )
        return RaceResult(
            run_id=self.run_id,
            judge=self.judge.judge_name,
            version=self.metrics.version,
            contenders=dict(self._ran),
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
        shift = None if self.second else self._scale_of_search.shifts.get(self.metrics.version)
        mean, half = found.mean, (found.high - found.low) / 2
        if shift is not None:
            mean, half = mean - shift.mean, math.hypot(half, (shift.high - shift.low) / 2)
        return hybrid_reward(mean, mean - half, mean + half, score.workflow_score, self._weight, found.n)


def _interval(values: Sequence[float]) -> _Sealed:
    """Mean and 95% t interval over seed inputs, at least two."""
    mean = fmean(values)
    half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return _Sealed(mean, mean - half, mean + half, len(values))
