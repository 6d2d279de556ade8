"""Alarms: signs that the search is climbing on its judge's weaknesses instead of on better material.

Owns which signs are looked for after an iteration and after a race, and what is said of each: what was seen, in
figures, and what a person can do. The figures are ``judging``'s; putting them into the feed and stopping is the
search's. Pure. None of the signs is a proof, so each rule asks for one that chance hardly gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from autosynth_core.judging import Fitness, Observation, length_bias, render_output, starting_metrics, word_distance
from autosynth_core.judging.drift import ENOUGH_PAIRS, is_gamed_by_length
from autosynth_core.judging.known import BAD_EXAMPLE
from autosynth_core.judging.reward import Z95
from autosynth_core.records import MetricSet, RaceResult, Sample, SampleState, Task
from autosynth_core.search.scores import Board

__all__ = ["Alarm", "alarms", "metrics_alarm", "race_alarm", "text_lengths"]

_JUMP = 0.2  # of the distance in words, which is 0..1
_ENOUGH_RATED = 3  # of each side
_NO_GOOD_JUDGE = 0.75  # a judge that surely tells fewer pairs apart than this parts from people
_CHOICES = "You can go on, stop the search, or set another judge model in Settings for the next one."


class Alarm(NamedTuple):
    """One sign. ``kind`` is the same each time it is seen, so that it need be told only once a run."""

    kind: str
    text: str


def text_lengths(task: Task, samples: Iterable[Sample]) -> dict[str, int]:
    """Characters of the text on each seed input (by id), of one workflow's first samples."""
    return {
        sample.seed.id: len(render_output(task, sample.output))
        for sample in samples
        if sample.state is SampleState.OK and sample.output is not None and sample.replicate == 0
    }


def alarms(
    board: Board,
    observations: Sequence[Observation],
    lengths: Mapping[int, Mapping[str, int]],
    *,
    task: Task,
    metrics: MetricSet,
    first: MetricSet,
    fitness: Fitness | None,
) -> list[Alarm]:
    """What can be seen after an iteration.

    ``lengths`` holds ``text_lengths`` by node; ``metrics`` is in force, ``first`` was the run's first set; ``fitness``
    is the judge's on known outputs by ``metrics``, None where it was not tried.
    """
    seen = [
        _constant(observations),
        _length(board, observations, lengths),
        _words(task, metrics, first),
        _people(fitness),
    ]
    return [alarm for alarm in seen if alarm is not None]


def metrics_alarm(reason: str) -> Alarm:
    """A new metric set was set aside for this reason."""
    return Alarm(
        "metrics",
        f"New criteria were proposed and set aside, because {reason}. The old ones stay in force. "
        "Look at both under Criteria: you may take the new ones after all, or leave them.",
    )


def race_alarm(board: Board, result: RaceResult, weight: float, *, second: bool) -> Alarm | None:
    """The second judge parting from the first: the gain it sees is surely less than what the search saw.

    Gains are compared and not scores: one judge may be milder than another without being wrong. ``second``: the race
    was judged by a second judge.
    """
    if not second or board.scale is None or not {0, result.winner} <= board.scores.keys() or result.winner == 0:
        return None
    quality = board.scale.difference(result.winner, 0)
    program = board.scores[result.winner].reward.workflow - board.scores[0].reward.workflow if weight > 0 else 0.0
    mean, half = (1 - weight) * quality.mean / 4 + weight * program, (1 - weight) * Z95 * quality.sd / 4
    gain, low, high = result.gain
    if mean - half <= high:
        return None
    return Alarm(
        "second judge",
        f"The second judge sees less in the winner than the search did: against the first recipe it gives recipe "
        f"{result.winner} {gain:+.2f} ({low:+.2f} to {high:+.2f}), where the search had seen {mean:+.2f} "
        f"({mean - half:+.2f} to {mean + half:+.2f}). The search may have learned what its own judge likes. Read "
        f"samples of both recipes before you use the winner. {_CHOICES}",
    )


def _constant(observations: Sequence[Observation]) -> Alarm | None:
    """Every sample of several workflows gets the same score."""
    given = {each.score for each in observations}
    if len(given) > 1 or len(observations) < ENOUGH_PAIRS or len({each.node for each in observations}) < 2:
        return None
    return Alarm(
        "constant",
        f"The judge gives every sample the same score ({given.pop():.1f} of 5), {len(observations)} times until now. "
        f"So nothing that it says can tell one recipe from another. {_CHOICES}",
    )


def _length(
    board: Board, observations: Sequence[Observation], lengths: Mapping[int, Mapping[str, int]]
) -> Alarm | None:
    """Workflows with longer samples get the higher scores. A workflow counts once: its samples are not independent."""
    looked: dict[int, set[str]] = {}
    for each in observations:
        looked.setdefault(each.node, set()).add(each.seed)
    pairs = [
        (score.quality.mean, fmean(known))
        for number, score in sorted(board.scores.items())
        if (known := [lengths[number][seed] for seed in looked.get(number, ()) if seed in lengths.get(number, {})])
    ]
    found = length_bias([score for score, _ in pairs], [length for _, length in pairs])
    if found is None or not is_gamed_by_length(found):
        return None
    shortest, longest = min(length for _, length in pairs), max(length for _, length in pairs)
    return Alarm(
        "length",
        f"Longer texts get higher scores: over {found.n} recipes, score and length go together with a rank "
        f"correlation of {found.correlation:.2f} (surely above {found.low:.2f}; 1 is the most), and texts now have "
        f"{shortest:,.0f} to {longest:,.0f} characters. Either longer is better here, or the judge is taken in by "
        f"length. Read a long and a short sample; if the long one is no better, approve a criterion about length for "
        f"the next search. {_CHOICES}",
    )


def _words(task: Task, metrics: MetricSet, first: MetricSet) -> Alarm | None:
    """The criteria in force speak of the task surely less than the first ones did."""
    wanted = starting_metrics(task)
    before, now = word_distance(first, wanted), word_distance(metrics, wanted)
    if metrics.version == first.version or now - before <= _JUMP:
        return None
    return Alarm(
        "task",
        f"The criteria are moving away from the task: they share less of its words than the first ones did "
        f"(distance {now:.2f}, before {before:.2f}; 1 is nothing in common). Look at both under Criteria. If the new "
        f"ones miss the point, approve criteria of your own for the next search, or have them thought over less "
        f"often. {_CHOICES}",
    )


def _people(fitness: Fitness | None) -> Alarm | None:
    """The judge orders what people rated in another way than they did."""
    found = fitness.by_how.get(BAD_EXAMPLE) if fitness is not None else None
    if found is None or min(found.n_good, found.n_bad) < _ENOUGH_RATED or found.high >= _NO_GOOD_JUDGE:
        return None
    return Alarm(
        "people",
        f"The judge does not see what you see: of 100 pairs of a sample you would use and one you would not, it "
        f"prefers the first in {100 * found.value:.0f} ({100 * found.low:.0f} to {100 * found.high:.0f}), where "
        f"guessing gets 50. Higher scores need not be better material. Rate more samples, or say in your criteria "
        f"what made the difference. {_CHOICES}",
    )
