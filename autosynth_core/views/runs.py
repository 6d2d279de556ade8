"""A run at a glance: its header, its best-so-far line and its feed.

Owns what is counted and how the time left is guessed. Leaves scores to ``scored`` and wording to ``words``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from autosynth_core.config import RoundSettings, RunSettings
from autosynth_core.judging import difference, replicate_scores
from autosynth_core.records import Command, Comparison, Event, Node, NodeState, Run, RunKind, RunState, Standing, Usage
from autosynth_core.search.scores import NodeScore, with_failures
from autosynth_core.store import Store
from autosynth_core.views import words
from autosynth_core.views.scored import ScoredRun, scored_run
from autosynth_core.views.settings import read_settings

__all__ = ["BestPoint", "Gain", "RunHeader", "best_so_far", "feed", "header", "time_left"]

_USED = (Standing.IN_FORCE, Standing.RELEASED)
_PACE_OVER = 12  # finished recipes that the pace is measured over
_STOP_WITHIN = 20  # events in which a stop under way is looked for; little else is told behind it


@dataclass(frozen=True, slots=True)
class Gain:
    """The best recipe against the first.

    ``reward`` is in 0..1, ``samples`` and ``workflow`` in points of the 1..5 scale. The verdict is on the samples of
    the two under the same criteria on the same inputs; can't tell where they have too few of those in common. The
    workflow part has no uncertainty of its own.
    """

    reward: float
    samples: float
    workflow: float
    verdict: Comparison

    @property
    def in_words(self) -> str:
        """Part by part, with what the judge could tell of the samples."""
        return (
            f"samples {self.samples:+.2f} points ({words.verdict(self.verdict)}), recipe {self.workflow:+.2f} points, "
            f"each of 5; together {self.reward:+.2f} in reward"
        )


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What stands above a run. ``done`` and ``planned`` count recipes for a search and samples for a round."""

    run_id: str
    project_id: str
    title: str
    kind: RunKind
    state: RunState
    in_words: str
    reason: str  # why it FAILED; "" unless there is something to say
    asked: Command | None  # what a person asked for and the engine has not done yet
    racing: bool  # queued for a race on demand, or in one: nothing new is tried
    done: int
    planned: int
    broken: int
    duplicates: int
    unscored: int
    first: NodeScore | None
    best: NodeScore | None
    gain: Gain | None  # None while there are no two recipes to compare
    usage: Usage
    budget_usd: float | None
    budget_tokens: int | None
    seconds_left: float | None  # None: not known
    left_basis: str  # what the guess rests on; "" when there is none
    metric_versions: int

    @property
    def active(self) -> bool:
        """Whether the engine holds the run or will pick it up: what is shown may change by itself."""
        return self.state in words.ACTIVE

    @property
    def failures(self) -> tuple[tuple[str, int], ...]:
        """Failed calls by kind, the most frequent first. All of them were tried again."""
        return tuple(Counter(self.usage.failures).most_common())


class BestPoint(NamedTuple):
    """The best reward (0..1, 95% interval) known after an iteration, and whose it is."""

    iteration: int
    reward: float
    low: float
    high: float
    node: int


class TimeLeft(NamedTuple):
    """Seconds until the planned end, and what that rests on; (None, "") while there is nothing to go by."""

    seconds: float | None
    basis: str


def header(store: Store, run_id: str) -> RunHeader:
    """The header of a search or a round. Raises InputError when there is no such run, or none that can be read."""
    run = store.run(run_id)
    scored = scored_run(store, run_id)
    done, planned = _progress(store, run, scored)
    racing = run.state in words.ACTIVE and store.race_asked(run_id) is not None
    left = TimeLeft(None, "")
    if run.state is RunState.RUNNING and not racing:
        left = time_left(_finish_times(store.events(run_id, newest=True), scored.nodes, run), done, planned)
    states = Counter(node.state for node in scored.nodes.values())
    settings = read_settings(run)
    return RunHeader(
        run_id=run.id,
        project_id=run.project_id,
        title=store.project(run.project_id).task.title,
        kind=run.kind,
        state=run.state,
        in_words="Racing the best recipes on inputs kept aside" if racing else words.run_state(run, settings),
        reason=run.reason if run.state is RunState.FAILED else "",
        asked=_asked(store, run) if run.state in words.ACTIVE else None,
        racing=racing,
        done=done,
        planned=planned,
        broken=states[NodeState.BROKEN],
        duplicates=states[NodeState.DUPLICATE],
        unscored=states[NodeState.UNSCORED],
        first=scored.scores.get(0),
        best=scored.scores[scored.best] if scored.best is not None else None,
        gain=_gain(store, run_id, scored),
        usage=store.usage(run_id),
        budget_usd=settings.budget_usd,
        budget_tokens=settings.budget_tokens if isinstance(settings, RunSettings) else None,
        seconds_left=left.seconds,
        left_basis=left.basis,
        metric_versions=len(
            {entry.metric_set.version for entry in store.metric_sets(run_id) if entry.standing in _USED}
        ),
    )


def _asked(store: Store, run: Run) -> Command | None:
    """What a person asked for last and waits for. A stop is waited for until the calls under way have ended."""
    if pending := store.pending(run.id):
        return pending[-1].command
    lease = store.lease(run.id)
    if lease is None:
        return None
    latest = store.events(run.id, limit=_STOP_WITHIN, newest=True)
    stopping = any(event.kind == "stop" and event.at >= lease.acquired for event in latest)
    return Command.STOP if stopping else None


def _gain(store: Store, run_id: str, scored: ScoredRun) -> Gain | None:
    if not scored.best or 0 not in scored.scores:
        return None
    best, first = scored.scores[scored.best], scored.scores[0]
    return Gain(
        best.reward.total - first.reward.total,
        best.sample_score - first.sample_score,
        best.workflow_score - first.workflow_score,
        _against_first(store, run_id, scored, scored.best),
    )


def _against_first(store: Store, run_id: str, scored: ScoredRun, number: int) -> Comparison:
    """Paired under the criteria by which both were judged on the most inputs."""
    against = scored.scores[number].against_parent
    if scored.nodes[number].parent == 0 and against is not None:
        return against.verdict
    failed = store.failed_samples(run_id)

    def seeds(fingerprint: str) -> dict[str, dict[str, float]]:
        rows = defaultdict(list)
        for row in store.sample_scores(run_id, fingerprint=fingerprint, judge=scored.judge):
            rows[row.version].append(row)
        read = {version: metrics for version in rows if (metrics := store.metric_set(version)) is not None}
        return {
            version: {
                seed: fmean(scores)
                for seed, scores in with_failures(
                    replicate_scores(rows[version], metrics), failed.get(fingerprint, ())
                ).items()
            }
            for version, metrics in read.items()
        }

    own, first = seeds(scored.nodes[number].fingerprint), seeds(scored.nodes[0].fingerprint)
    pairs = [difference(own[version], first[version]) for version in sorted(own.keys() & first.keys())]
    return max(pairs, key=lambda pair: pair.n).verdict if pairs else Comparison.CANT_TELL


def _progress(store: Store, run: Run, scored: ScoredRun) -> tuple[int, int]:
    settings = read_settings(run)
    if isinstance(settings, RoundSettings):
        return len(store.samples(run.id)), settings.samples
    ended = (node for node in scored.nodes.values() if node.number > 0 and node.state is not NodeState.RUNNING)
    return sum(1 for _ in ended), settings.iterations


def _finish_times(events: Sequence[Event], nodes: Mapping[int, Node], run: Run) -> list[float]:
    """When each finished recipe was last spoken of, in order: as near to its end as the feed can say."""
    last: dict[int, float] = {}
    for event in events:
        if event.node is not None and event.node in nodes and nodes[event.node].state is not NodeState.RUNNING:
            last[event.node] = max(event.at, last.get(event.node, run.created))
    return sorted(last.values())


def time_left(finished: Sequence[float], done: int, planned: int) -> TimeLeft:
    """Time until ``planned`` at the pace of the last dozen recipes (UTC seconds, in order). Needs three of them.

    The median gap is used, so that one pause over lunch does not spoil the guess.
    """
    recent = finished[-_PACE_OVER:]
    if len(recent) < 3 or planned <= done:
        return TimeLeft(None, "")
    gaps = sorted(after - before for before, after in pairwise(recent))
    middle = len(gaps) // 2
    pace = gaps[middle] if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) / 2
    seconds = pace * (planned - done)
    return TimeLeft(seconds, f"from the last {len(recent)} recipes")


def best_so_far(store: Store, run_id: str) -> list[BestPoint]:
    """The best reward after each scored iteration, in order; empty while nothing is scored."""
    points: list[BestPoint] = []
    for number, score in sorted(scored_run(store, run_id).scores.items()):
        worth = score.reward
        if points and points[-1].reward >= worth.total:
            points.append(points[-1]._replace(iteration=number))
        else:
            points.append(BestPoint(number, worth.total, worth.low, worth.high, number))
    return points


def feed(store: Store, run_id: str, limit: int = 50) -> list[Event]:
    """The run's latest events, newest first."""
    return list(reversed(store.events(run_id, limit=limit, newest=True)))
