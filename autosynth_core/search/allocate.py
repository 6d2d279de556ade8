"""Staged sampling: on how many seed inputs a workflow is run, and which ones deserve a further look.

A child is run on a few seed inputs, a workflow that is built upon on some more. What that saves is spent where it may
change who is best, in the race at the end: on the leader and on those most likely to beat it (top-two sampling, Russo
2016, "Simple Bayesian Algorithms for Best Arm Identification"). Fixed sampling gives every child the whole number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil
from statistics import NormalDist

from autosynth_core.config import RunSettings, Sampling
from autosynth_core.judging import Scale

__all__ = ["chance_to_beat", "first_look", "leaders", "parent_look"]

_LEAST_LOOK = 3  # a paired comparison claims nothing below that
_HOPELESS = 0.01  # chance to beat the leader below which a workflow gets no further look


def first_look(settings: RunSettings) -> int:
    """Seed inputs a child is run on at first."""
    if settings.sampling is Sampling.FIXED:
        return settings.seed_inputs
    return min(settings.seed_inputs, max(_LEAST_LOOK, ceil(3 * settings.seed_inputs / 8)))


def parent_look(settings: RunSettings) -> int:
    """Seed inputs a workflow has been run on, or is being run on, once a child is made of it."""
    return max(first_look(settings), ceil(5 * settings.seed_inputs / 8))


def leaders(
    scale: Scale, programs: Mapping[int, float], among: Collection[int], most: int, weight: float
) -> tuple[int, ...]:
    """The one of ``among`` with the highest reward, and those most likely to beat it, ``most`` in all.

    Nobody with a chance below 1% is among them. ``programs`` holds each program's part of the reward, 0..1, and
    ``weight`` its share.
    """

    def reward(number: int) -> float:
        return (1 - weight) * (scale.quality(number).mean - 1) / 4 + weight * programs[number]

    leader = max(among, key=lambda number: (reward(number), -number))
    chances = {number: chance_to_beat(scale, programs, number, leader, weight) for number in among if number != leader}
    hopeful = [number for number, chance in chances.items() if chance >= _HOPELESS]
    return (leader, *sorted(hopeful, key=lambda number: (-chances[number], number))[: most - 1])


def chance_to_beat(scale: Scale, programs: Mapping[int, float], one: int, other: int, weight: float) -> float:
    """The probability that ``one``'s reward is above ``other``'s, given everything seen; 0.5 when nothing is known."""
    quality = scale.difference(one, other)
    gap = (1 - weight) * quality.mean / 4 + weight * (programs[one] - programs[other])
    sd = (1 - weight) * quality.sd / 4
    if sd <= 0:
        return 0.5 if gap == 0 else float(gap > 0)
    return NormalDist().cdf(gap / sd)
