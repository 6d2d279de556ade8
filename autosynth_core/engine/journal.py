"""The search's journal, kept in the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from autosynth_core.judging import WORKFLOW_METRICS, WORKFLOW_VERSION, read_workflow_scores
from autosynth_core.records import (
    Event,
    Look,
    MetricSet,
    Node,
    RaceResult,
    RunMetricSet,
    Sample,
    ScoreRow,
    Standing,
    Verdict,
)
from autosynth_core.store import Store

__all__ = ["StoreJournal"]

_log = logging.getLogger(__name__)


class StoreJournal:
    """``search.Journal`` for one run. ``require_owned`` raises before a write when the run is no longer ours."""

    def __init__(self, store: Store, run_id: str, require_owned: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._run_id = run_id
        self._require_owned = require_owned

    def put_sample(self, sample: Sample) -> None:
        self._require_owned()
        self._store.put_sample(sample)

    def samples(self, fingerprint: str) -> list[Sample]:
        return self._store.samples(self._run_id, fingerprint)

    def put_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        self._require_owned()
        self._store.put_verdicts(verdicts, self._run_id)

    def judged(self, subjects: Sequence[str], version: str, judge: str) -> set[tuple[str, str]]:
        found = self._store.verdicts(self._run_id, subjects=subjects, version=version)
        return {
            (each.subject, each.metric)
            for each in found
            if each.judge == judge and each.score is not None and each.repeat == 0
        }

    def score_rows(self, fingerprint: str, version: str, judge: str) -> list[ScoreRow]:
        samples = {sample.id: sample for sample in self.samples(fingerprint)}
        found = self._store.verdicts(self._run_id, subjects=list(samples), version=version)
        return [
            ScoreRow(
                fingerprint,
                samples[verdict.subject].seed.id,
                samples[verdict.subject].replicate,
                version,
                judge,
                verdict.metric,
                verdict.score,
            )
            for verdict in found
            if verdict.judge == judge and verdict.repeat == 0
        ]

    def workflow_scores(self, fingerprint: str, judge: str) -> list[float]:
        found = self._store.verdicts(self._run_id, subjects=[fingerprint], version=WORKFLOW_VERSION)
        return read_workflow_scores([verdict for verdict in found if verdict.judge == judge], WORKFLOW_METRICS)

    def failed_samples(self, fingerprint: str) -> set[tuple[str, int]]:
        return self._store.failed_samples(self._run_id).get(fingerprint, set())

    def put_metric_set(
        self,
        metrics: MetricSet,
        iteration: int,
        agreement: float | None,
        provenance: str,
        standing: Standing = Standing.IN_FORCE,
        reason: str = "",
    ) -> None:
        self._require_owned()
        self._store.put_metric_set(self._run_id, metrics, iteration, agreement, provenance, standing, reason)

    def metric_sets(self) -> list[RunMetricSet]:
        return self._store.metric_sets(self._run_id)

    def verdicts(self, subjects: Sequence[str], version: str, judge: str) -> list[Verdict]:
        found = self._store.verdicts(self._run_id, subjects=subjects, version=version)
        return [verdict for verdict in found if verdict.judge == judge]

    def judged_count(self, judge: str, apart_from: Collection[str]) -> int:
        left_out = {sample.id for sample in self._store.samples(self._run_id) if sample.seed.id in apart_from}
        shown = {
            (each.subject, each.version, each.repeat)
            for each in self._store.verdicts(self._run_id)
            if each.judge == judge and each.version != WORKFLOW_VERSION and each.subject not in left_out
        }
        return len(shown)

    def add_race(self, race: RaceResult) -> None:
        self._require_owned()
        self._store.add_race(replace(race, at=time.time()))

    def races(self) -> list[RaceResult]:
        return self._store.races(self._run_id)

    def metric_set(self, version: str) -> MetricSet:
        found = self._store.metric_set(version)
        if found is None:
            raise LookupError(f"metric set {version} of run {self._run_id} is not in the database")
        return found

    def put_node(self, node: Node) -> None:
        self._require_owned()
        self._store.put_node(node)

    def put_outcome(self, node: Node, looks: Sequence[Look], message: str) -> None:
        self._require_owned()
        self._store.put_outcome(node, [self._event(node.state.value, message, node.number)], looks)

    def looks(self) -> list[Look]:
        return self._store.looks(self._run_id)

    def event(self, kind: str, message: str, node: int | None = None) -> None:
        self._require_owned()
        self._store.add_event(self._event(kind, message, node))

    def _event(self, kind: str, message: str, node: int | None) -> Event:
        _log.info("run=%s event=%s node=%s", self._run_id, kind, "-" if node is None else node)
        return Event(self._run_id, time.time(), kind, message, node)
