"""What the search asks of whoever keeps its results. The engine implements it over the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from autosynth_core.records import Look, MetricSet, Node, RaceResult, RunMetricSet, Sample, ScoreRow, Standing, Verdict

__all__ = ["Journal"]


class Journal(Protocol):
    """One run's memory. A write is committed when the call returns; the same write twice changes nothing."""

    def put_sample(self, sample: Sample) -> None: ...

    def samples(self, fingerprint: str) -> list[Sample]:
        """This run's samples of one workflow."""
        ...

    def put_verdicts(self, verdicts: Sequence[Verdict]) -> None: ...

    def judged(self, subjects: Sequence[str], version: str, judge: str) -> set[tuple[str, str]]:
        """The (subject, metric) pairs among these subjects that already have a score.

        A verdict that could not be read is no reason not to ask again: its calls are in the log, or had failed.
        """
        ...

    def score_rows(self, fingerprint: str, version: str, judge: str) -> list[ScoreRow]:
        """The verdicts on one workflow's samples under one version by one judge."""
        ...

    def failed_samples(self, fingerprint: str) -> set[tuple[str, int]]:
        """The samples that the workflow's own code failed to make: seed input's id and replicate."""
        ...

    def workflow_scores(self, fingerprint: str, judge: str) -> list[float]:
        """The workflow verdicts' scores, 1..5, one a workflow metric; empty where fewer than half were read."""
        ...

    def put_metric_set(
        self,
        metrics: MetricSet,
        iteration: int,
        agreement: float | None,
        provenance: str,
        standing: Standing = Standing.IN_FORCE,
        reason: str = "",
    ) -> None: ...

    def metric_sets(self) -> list[RunMetricSet]:
        """In the order they came into the run, those that were set aside among them."""
        ...

    def verdicts(self, subjects: Sequence[str], version: str, judge: str) -> list[Verdict]:
        """Every verdict of one judge on these subjects under one version, repeats and unread ones included."""
        ...

    def judged_count(self, judge: str, apart_from: Collection[str]) -> int:
        """How many samples and known outputs the judge was shown, each version and each time counted.

        Those on the seed inputs ``apart_from`` (ids) are left out.
        """
        ...

    def add_race(self, race: RaceResult) -> None: ...

    def races(self) -> list[RaceResult]: ...

    def metric_set(self, version: str) -> MetricSet: ...

    def put_node(self, node: Node) -> None:
        """Store a node that is under way."""
        ...

    def put_outcome(self, node: Node, looks: Sequence[Look], message: str) -> None:
        """Store a finished node, what its iteration looked at, and its line in the feed: all or nothing."""
        ...

    def looks(self) -> list[Look]:
        """What finished iterations looked at."""
        ...

    def event(self, kind: str, message: str, node: int | None = None) -> None:
        """Add a line to the run's feed, in plain words."""
        ...
