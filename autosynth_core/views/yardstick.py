"""What a search's scores are measured with: criteria and their versions, judge, noise, race and alarms.

Owns arranging what the store holds and recomputing the figures from stored verdicts, so that every number on a page
can be traced. What the figures mean is ``judging``'s, how they are said ``words`` and the pages'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.errors import InputError
from autosynth_core.judging import (
    Fitness,
    Known,
    Noise,
    Quality,
    Spend,
    detectable_difference,
    fitness,
    in_words,
    known_outputs,
    suggest,
)
from autosynth_core.records import (
    Comparison,
    Event,
    Metric,
    MetricSet,
    RaceResult,
    Run,
    RunKind,
    RunMetricSet,
    Standing,
    Verdict,
)
from autosynth_core.search import as_proposed, known_sample, known_scores, rule_broken_id
from autosynth_core.search.allocate import first_look
from autosynth_core.store import Store
from autosynth_core.views.kept import Kept
from autosynth_core.views.scored import ScoredRun, scored_run
from autosynth_core.views.settings import search_settings, task_of

__all__ = ["METRICS_ALARM", "Changes", "NoiseView", "RaceView", "VersionView", "Yardstick", "yardstick"]

_ALARM = "alarm "
METRICS_ALARM = "alarm metrics"
_EVENTS = 100_000  # of a run, all of them
_LEAST_PLANNED, _MOST_PLANNED = 3, 40  # inputs of a plan; beyond, nobody has the patience


class Changes(NamedTuple):
    """What a version changed against the one in force before it."""

    new: tuple[Metric, ...]
    gone: tuple[Metric, ...]
    reweighted: tuple[str, ...]  # names of those whose words stayed and whose share moved by a tenth or more


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of the criteria. ``shift`` is how much milder it is than the first one, in points of 1..5."""

    number: int  # 1 for the first, in the order they came
    metrics: MetricSet
    iteration: int
    provenance: str
    standing: Standing
    reason: str  # why it was set aside; "" when it was not
    current: bool  # recipes are judged by it now
    changes: Changes | None  # None: the first one
    shift: Quality | None  # None: nothing was scored under it, or scores are left as they come
    fitness: Fitness | None  # None: the judge was not tried by it

    @property
    def ordered(self) -> tuple[Metric, ...]:
        """Its criteria, the educator's first."""
        return tuple(sorted(self.metrics.metrics, key=lambda metric: not metric.anchor))

    def share(self, metric: Metric) -> float:
        """A criterion's share of a sample's score, 0..1."""
        whole = math.fsum(each.weight for each in self.metrics.metrics)
        return metric.weight / whole if whole > 0 else 0.0


@dataclass(frozen=True, slots=True)
class NoiseView:
    """What chance does to a score. Differences are in points of 1..5."""

    noise: Noise
    in_words: str
    shared_inputs: int  # of a new recipe and the one it is compared with
    detects: float  # with 80% probability, on so many inputs
    wanted: float  # what the run takes for a gain worth having
    plan: Spend  # how to find that


@dataclass(frozen=True, slots=True)
class RaceView:
    """A race, with what is to be made of its gain."""

    result: RaceResult
    verdict: Comparison  # the winner against the first recipe
    second_judge: bool

    @property
    def too_good(self) -> float:
        """How much more the search had claimed than the sealed inputs show, in reward units."""
        return self.result.claimed.total - self.result.sealed.total


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Everything that a search's scores rest on. ``versions`` oldest first, ``alarms`` newest first."""

    judge: str
    versions: tuple[VersionView, ...]
    noise: NoiseView | None
    race: RaceView | None  # the newest
    races: int
    alarms: tuple[Event, ...]

    @property
    def current(self) -> VersionView | None:
        return next((version for version in self.versions if version.current), None)

    @property
    def open_alarms(self) -> tuple[Event, ...]:
        """The newest of each kind, newest first; none about criteria that a person has decided on."""
        undecided = {version.iteration for version in self.waiting}
        asked = [event for event in self.alarms if event.kind != METRICS_ALARM or event.node in undecided]
        return tuple({event.kind: event for event in reversed(asked)}.values())[::-1]

    @property
    def waiting(self) -> tuple[VersionView, ...]:
        """Versions that a person has still to decide on."""
        return tuple(version for version in self.versions if version.standing is Standing.QUARANTINED)


def yardstick(store: Store, run_id: str) -> Yardstick:
    """Raises InputError when there is no such search, or none that can be read."""
    return _kept(store, run_id)


def _read(store: Store, run_id: str) -> Yardstick:
    run = store.run(run_id)
    if run.kind is not RunKind.SEARCH:
        raise InputError("A round of samples is not judged, so it has no criteria; choose a search.")
    settings, scored = search_settings(run), scored_run(store, run_id)
    events = store.events(run_id, limit=_EVENTS)
    races = store.races(run_id)
    return Yardstick(
        scored.judge,
        _versions(store, run, scored),
        _noise(scored.noise, settings, run, store) if scored.noise is not None else None,
        _race(races[-1], scored.judge) if races else None,
        len(races),
        tuple(event for event in reversed(events) if event.kind.startswith(_ALARM)),
    )


# --- versions ---------------------------------------------------------------------------------------------------------


def _versions(store: Store, run: Run, scored: ScoredRun) -> tuple[VersionView, ...]:
    entries = store.metric_sets(run.id)
    known = _known(store, run)
    used = [entry for entry in entries if entry.standing is not Standing.PROPOSED]
    now = _in_force(used, scored)
    shifts: Mapping[str, Quality] = scored.scale.shifts if scored.scale is not None else {}
    found: list[VersionView] = []
    before: MetricSet | None = None
    for number, entry in enumerate(used, 1):
        metrics = entry.metric_set
        shift = shifts.get(metrics.version)
        found.append(
            VersionView(
                number,
                metrics,
                entry.iteration,
                entry.provenance,
                entry.standing,
                entry.reason,
                entry is now,
                None if before is None else _changes(before, metrics),
                None if shift is None or math.isnan(shift.mean) else shift,
                _fitness(store, run.id, known, scored.judge, as_proposed(entries, entry)),
            )
        )
        before = metrics if before is None or entry.standing is Standing.IN_FORCE else before
    return tuple(found)


def _known(store: Store, run: Run) -> list[Known]:
    """What the judge was tried on; of the copy that breaks a rule it is only known here whether there was one."""
    task = task_of(store, run)
    copy = rule_broken_id(task)
    return known_outputs(task, "-" if copy and store.verdicts(run.id, subjects=[copy]) else "")


def _in_force(used: Sequence[RunMetricSet], scored: ScoredRun) -> RunMetricSet | None:
    """What the newest scored recipe was judged by; before there is one, what came in last."""
    newest = max(scored.scores, default=None)
    wanted = None if newest is None else scored.nodes[newest].metric_version
    usable = [entry for entry in used if entry.standing in (Standing.IN_FORCE, Standing.RELEASED)]
    judged_by = [entry for entry in usable if entry.metric_set.version == wanted]
    return next(reversed(judged_by or usable), None)


def _changes(before: MetricSet, metrics: MetricSet) -> Changes:
    def words(metric: Metric) -> tuple[str, str, str, str]:
        return metric.name, metric.description, metric.low, metric.high

    old, new = ({words(metric): metric for metric in each.metrics} for each in (before, metrics))
    shares = [math.fsum(metric.weight for metric in each.metrics) or 1.0 for each in (before, metrics)]
    moved = [
        key[0]
        for key in new.keys() & old.keys()
        if abs(new[key].weight / shares[1] - old[key].weight / shares[0]) >= 0.1
    ]
    return Changes(
        tuple(metric for key, metric in new.items() if key not in old),
        tuple(metric for key, metric in old.items() if key not in new),
        tuple(sorted(moved)),
    )


# --- the judge --------------------------------------------------------------------------------------------------------


def _fitness(store: Store, run_id: str, known: Sequence[Known], judge: str, metrics: MetricSet) -> Fitness | None:
    """The judge's fitness by a set as it was proposed; None where it was not tried."""
    subjects = [known_sample(each).id for each in known]
    given: list[Verdict] = store.verdicts(run_id, subjects=subjects, version=metrics.version) if known else []
    scores = known_scores(known, [verdict for verdict in given if verdict.judge == judge])
    return fitness(scores, known, metrics) if scores else None


# --- noise and race ---------------------------------------------------------------------------------------------------


def _noise(noise: Noise, settings: RunSettings, run: Run, store: Store) -> NoiseView:
    """``wanted``: the sample score that moves the reward by epsilon, or half a point where it has no share in it."""
    share = 1 - settings.workflow_weight
    wanted = 4 * settings.epsilon / share if share > 0 and settings.epsilon > 0 else 0.5
    shared = first_look(settings)
    most = max(_LEAST_PLANNED, min(_MOST_PLANNED, len(task_of(store, run).search_seeds)))
    return NoiseView(
        noise,
        in_words(noise, shared),
        shared,
        detectable_difference(noise, shared),
        wanted,
        suggest(noise, wanted, most, max_repeats=1),
    )


def _race(result: RaceResult, judge: str) -> RaceView:
    _, low, high = result.gain
    verdict = Comparison.BETTER if low > 0 else Comparison.WORSE if high < 0 else Comparison.CANT_TELL
    return RaceView(result, verdict, result.judge != judge)


_kept = Kept(_read)
