"""Staged sampling: which workflow deserves another look.

Every child is run on a few seed inputs. What that saves is spent, a little with every iteration, where it may change
who is best: on the leader and on the one most likely to beat it, whichever of the two was looked at less (top-two
sampling, Russo 2016, "Simple Bayesian Algorithms for Best Arm Identification"). Nothing is spent when nobody is left
who might. Fixed sampling gives every child the whole number at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from statistics import NormalDist

from autosynth_core.config import RunSettings, Sampling
from autosynth_core.judging import Scale
from autosynth_core.search.scores import NodeScore

__all__ = ["chance_to_beat", "first_look", "further_look", "top_two"]

_LEAST_LOOK = 3  # a paired comparison claims nothing below that
_HOPELESS = 0.01  # chance to beat the leader below which a workflow gets no further look


def first_look(settings: RunSettings) -> int:
    """Seed inputs a child is run on at first."""
    if settings.sampling is Sampling.FIXED:
        return settings.seed_inputs
    return min(settings.seed_inputs, max(_LEAST_LOOK, ceil(3 * settings.seed_inputs / 8)))


def further_look(settings: RunSettings) -> int:
    """Further seed inputs that an iteration gives to one of the workflows that may be the best."""
    return 0 if settings.sampling is Sampling.FIXED else max(1, settings.seed_inputs // 4)


def top_two(scale: Scale, scores: Mapping[int, NodeScore], looks: Mapping[int, int], weight: float) -> int | None:
    """The node to look at again: of the leader and its strongest challenger the one with fewer looks.

    ``looks`` counts the seed inputs each node has been looked at on, those under way included. None when nobody has a
    chance of more than 1% to beat the leader.
    """
    ranked = sorted(scores, key=lambda number: (-scores[number].reward.total, number))
    if len(ranked) < 2:
        return None
    leader, *others = ranked
    chances = {number: chance_to_beat(scale, scores, number, leader, weight) for number in others}
    challenger = max(others, key=lambda number: (chances[number], -number))
    if chances[challenger] < _HOPELESS:
        return None
    return min((leader, challenger), key=lambda number: (looks.get(number, 0), number != leader))


def chance_to_beat(scale: Scale, scores: Mapping[int, NodeScore], one: int, other: int, weight: float) -> float:
    """The probability that ``one``'s reward is above ``other``'s, given everything seen; 0.5 when nothing is known."""
    quality = scale.difference(one, other)
    # without a share in the reward, a program may have no score at all
    program = scores[one].reward.workflow - scores[other].reward.workflow if weight > 0 else 0.0
    gap, sd = (1 - weight) * quality.mean / 4 + weight * program, (1 - weight) * quality.sd / 4
    if sd <= 0:
        return 0.5 if gap == 0 else float(gap > 0)
    return NormalDist().cdf(gap / sd)
