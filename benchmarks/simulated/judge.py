"""What the simulated judge makes of a sample: the truth, and everything that comes between.

Owns the model of a judge's error. In reward units, 0..1::

    mean    = quality + difficulty of the input + length bias + style bias - faults
    sample  = Beta(mean, luck) + shift of the rubric         one draw a sample: it stays when the sample is judged again
    verdict = Beta(sample, noise of the verdict)             one draw for sample x criterion x judge x draw

Beta draws stay within 0..1 and keep the mean exact, so that nothing has to be clipped and a winner's score can be held
against the truth. ``noise`` is the standard deviation of a node's score: of its mean over ``seed_inputs`` samples with
``metrics`` verdicts each. ``luck_share`` is the part of that variance that lies in the samples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.simulated.draws import between, generator, number
from benchmarks.simulated.texts import SampleText

__all__ = ["Judge", "Poison", "Rubric", "read_rubric", "write_rubric"]

_RUBRIC = re.compile(r"rubric:([np])(\d+)x(\d+);")
_FAULT = 0.35  # what one fault costs
_NO_GENOME = 0.1  # the quality of a text that no workflow wrote
_LOWEST, _HIGHEST = 0.02, 0.98


class Poison(StrEnum):
    """What a poisoned metric set looks at instead of the quality."""

    LENGTH = "length"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Rubric:
    """One metric of one version. ``iteration`` is the one that brought it; fixed ones, not the models' own, have 0."""

    iteration: int = 0
    poisoned: bool = False


def write_rubric(rubric: Rubric, index: int) -> str:
    return f"rubric:{'p' if rubric.poisoned else 'n'}{rubric.iteration}x{index};"


def read_rubric(text: str) -> Rubric:
    found = _RUBRIC.search(text)
    return Rubric(int(found.group(2)), found.group(1) == "p") if found else Rubric()


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge's errors. ``difficulty`` is how far an input may move all samples alike, either way (uniform)."""

    noise: float = 0.05
    luck_share: float = 0.7
    seed_inputs: int = 8
    metrics: int = 2
    difficulty: float = 0.1
    length_bias: float = 0.0  # added for the longest, taken from the shortest
    style_bias: float = 0.0
    drift: float = 0.0  # how much easier the rubric grows an iteration; below 0: harder
    drift_from: int = 0  # the iteration at which the rubric is as it should be
    span: float = 1.0  # share of the judge's scale that qualities of 0..1 fill, around its middle
    poison: Poison = Poison.LENGTH
    seed: int = 0

    def reward(
        self, sample: SampleText, text: str, given: str, criterion: str, who: str, quality: Callable[[str], float]
    ) -> float:
        """The verdict on one sample by one criterion, 0..1, as the mean of the judge's digits."""
        rubric = read_rubric(criterion)
        made = self._sample_value(sample, text, given, quality)
        if rubric.poisoned:
            made = 0.5 + 0.3 * sample.length if self.poison is Poison.LENGTH else 0.2 + 0.6 * number(self.seed, text)
        shift = self.span * self.drift * (rubric.iteration - self.drift_from)
        shown = min(0.999, max(0.001, made + shift))
        return between(
            shown,
            self._verdict_spread(shown, sample, given, quality, shift),
            generator(self.seed, "verdict", text, criterion, who),
        )

    def _sample_value(self, sample: SampleText, text: str, given: str, quality: Callable[[str], float]) -> float:
        mean = self._mean(sample, given, quality)
        return between(mean, self._luck(), generator(self.seed, "luck", text, given))

    def _mean(self, sample: SampleText, given: str, quality: Callable[[str], float]) -> float:
        """What samples of this workflow on this input are worth on average, on the judge's scale."""
        true = quality(sample.genome) if sample.genome else _NO_GENOME
        hard = self.difficulty * (2 * number(self.seed, "difficulty", given) - 1)
        biased = true + hard + self.length_bias * sample.length + self.style_bias * sample.style
        return min(_HIGHEST, max(_LOWEST, 0.5 + self.span * (biased - _FAULT * sample.faults - 0.5)))

    def _luck(self) -> float:
        return self.span * self.noise * math.sqrt(self.luck_share * self.seed_inputs)

    def _verdict_spread(
        self, shown: float, sample: SampleText, given: str, quality: Callable[[str], float], shift: float
    ) -> float:
        """The spread of one verdict on a sample worth ``shown``.

        A verdict near an end of the scale can't scatter far. ``spread = c sqrt(shown (1 - shown))``, with c such that
        the variance over all samples of the workflow is what was asked for: ``E[x (1 - x)] = m (1 - m) - luck^2``.
        """
        wanted = (self.span * self.noise) ** 2 * (1 - self.luck_share) * self.seed_inputs * self.metrics
        mean = min(_HIGHEST, max(_LOWEST, self._mean(sample, given, quality) + shift))
        room = max(1e-6, mean * (1 - mean) - self._luck() ** 2)
        return math.sqrt(min(0.95, wanted / room) * shown * (1 - shown))
