"""What a search leaves about its yardstick, added to a plausible run: known outputs judged, a second look at the first
recipe, criteria set aside, a race and alarms. Texts come from the caller, so that hostile ones can be put anywhere."""

from __future__ import annotations

import random
from dataclasses import replace

from autosynth_core.engine import read_brief
from autosynth_core.judging import KnownKind, known_outputs
from autosynth_core.records import Event, Metric, MetricSet, RaceResult, Reward, Run, Standing, Verdict
from autosynth_core.records import VerdictMethod as Method
from autosynth_core.search import known_sample
from autosynth_core.store import Store
from tests.views.plausible_run import METRICS, NOON, SHARPER

__all__ = ["add_alarm", "add_noise", "add_race", "judge_known", "set_aside"]

JUDGE = "gpt-4.1-mini"


def judge_known(store: Store, run: Run, metrics: MetricSet, *, gap: float = 1.5, spread: float = 0.3) -> None:
    """Scores of the known outputs, good ones ``gap`` points above the others."""
    dice = random.Random(3)
    given = []
    for known in known_outputs(read_brief(run).task):
        middle = 3.0 + (gap / 2 if known.kind is KnownKind.GOOD else -gap / 2)
        for metric in metrics.metrics:
            score = max(1.0, min(5.0, dice.gauss(middle, spread)))
            given.append(_verdict(known_sample(known).id, metric.name, metrics.version, score))
    store.put_verdicts(given, run.id)


def _verdict(subject: str, metric: str, version: str, score: float | None, repeat: int = 0) -> Verdict:
    return Verdict(subject, metric, version, JUDGE, "p" * 12, score, Method.EXPECTED, repeat=repeat)


def add_noise(store: Store, run: Run, *, judge: float = 0.1, sample: float = 0.3) -> None:
    """A second sample of the first recipe on each input, and a second verdict on the first."""
    dice = random.Random(5)
    first = store.node(run.id, 0)
    assert first is not None
    for one in store.samples(run.id, first.fingerprint):
        other = replace(one, replicate=1)
        store.put_sample(other)
        shift = dice.gauss(0, sample)
        rows = store.verdicts(run.id, subjects=[one.id], version=METRICS.version)
        store.put_verdicts(
            [_again(row, row.subject, 1, dice.gauss(0, judge)) for row in rows]
            + [_again(row, other.id, 0, shift) for row in rows],
            run.id,
        )


def _again(row: Verdict, subject: str, repeat: int, by: float) -> Verdict:
    assert row.score is not None
    return _verdict(subject, row.metric, row.version, max(1.0, min(5.0, row.score + by)), repeat)


def set_aside(store: Store, run: Run, text: str = "", iteration: int = 10) -> MetricSet:
    """Criteria that wait for a decision, with the form they were proposed in."""
    name = text or "Uses long words"
    proposed = MetricSet((Metric(name, text or "Words are long.", "Short words.", "Long words."), METRICS.metrics[1]))
    weighed = MetricSet((replace(proposed.metrics[0], weight=1.5), replace(proposed.metrics[1], weight=0.5)))
    store.put_metric_set(run.id, proposed, iteration, None, "before it was weighed", Standing.PROPOSED)
    store.put_metric_set(
        run.id,
        weighed,
        iteration,
        None,
        "regenerated from samples",
        Standing.QUARANTINED,
        text or "they do not tell good from bad",
    )
    store.add_event(Event(run.id, NOON, "alarm metrics", text or "New criteria were set aside.", iteration))
    return weighed


def add_race(
    store: Store, run: Run, *, gain: tuple[float, float, float] = (0.1, 0.04, 0.16), judge: str = JUDGE
) -> RaceResult:
    sealed, claimed = Reward(0.61, 0.6, 0.62, 0.57, 0.65, 9), Reward(0.7, 0.75, 0.65, 0.66, 0.74, 6)
    first = Reward(0.51, 0.5, 0.52, 0.47, 0.55, 9)
    result = RaceResult(run.id, judge, SHARPER.version, {1: 2, 2: 8, 0: 6}, 2, 0.83, sealed, claimed, first, gain, NOON)
    store.add_race(result)
    return result


def add_alarm(store: Store, run: Run, kind: str = "length", text: str = "") -> None:
    store.add_event(Event(run.id, NOON, f"alarm {kind}", text or "Long samples get the high scores.", 7))
