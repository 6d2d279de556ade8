"""Evaluation: regenerate the metrics when due, judge the child and its parent by them, judge the workflow itself.

The parent's existing samples are judged again under the child's metric set, so that the two are compared by the same
yardstick; whatever has a verdict already is not judged twice.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from autosynth_core.config import RunSettings
from autosynth_core.judging import (
    WORKFLOW_METRICS,
    WORKFLOW_VERSION,
    judge_sample,
    judge_workflow,
    propose_metrics,
    seed_scores,
    starting_metrics,
)
from autosynth_core.judging.concurrently import concurrently, one_by_one
from autosynth_core.llm import Model
from autosynth_core.records import MetricSet, Node, Sample, SampleState, Scope, Task, Workflow
from autosynth_core.search.journal import Journal
from autosynth_core.search.scores import NodeScore, score_node, with_failures

__all__ = ["Evaluator"]


class Evaluator:
    """Judges workflows for one run with one judge."""

    def __init__(
        self,
        *,
        run_id: str,
        task: Task,
        judge: Model,
        journal: Journal,
        settings: RunSettings,
        one_slot: bool,
        draw: str,
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._judge = judge
        self._journal = journal
        self._settings = settings
        self._one_slot = one_slot
        self._draw = draw

    @property
    def judge_model(self) -> Model:
        return self._judge

    @property
    def judge_name(self) -> str:
        """What verdicts of this judge are stored under."""
        return self._judge.name

    async def refresh_metrics(self, number: int, samples: Sequence[Sample], in_force: MetricSet | None) -> MetricSet:
        """The metric set for iteration ``number``: new when a refresh is due and succeeds, else the one in force."""
        every = self._settings.metric_refresh
        if in_force is not None and (every == 0 or number % every):
            return in_force
        usable = [sample for sample in samples if sample.state is SampleState.OK]
        proposal = await propose_metrics(
            self._task,
            usable,
            in_force,
            self._judge,
            count=self._settings.metric_count,
            candidates=self._settings.metric_candidates,
            scope=Scope(self._run_id, "metrics", number),
            draw=f"{self._draw}:metrics:{number}",
        )
        if proposal.metric_set is not None:
            self._journal.put_metric_set(proposal.metric_set, number, proposal.agreement, "regenerated from samples")
            return proposal.metric_set
        if in_force is not None:
            self._journal.event(
                "metrics kept", f"No new metrics could be read; the old ones stay. {proposal.reason}", number
            )
            return in_force
        metrics = starting_metrics(self._task)
        self._journal.put_metric_set(metrics, number, None, "made from the task's own words")
        self._journal.event(
            "metrics",
            f"No metrics could be read from the evaluator; fixed ones made from the task stand in. {proposal.reason}",
            number,
        )
        return metrics

    async def judge(
        self,
        number: int,
        workflow: Workflow,
        samples: Sequence[Sample],
        parent_samples: Sequence[Sample],
        metrics: MetricSet,
    ) -> None:
        """Store verdicts on the child's and the parent's samples under ``metrics``, and on the child's workflow."""
        everything = [*samples, *parent_samples]
        subjects = [sample.id for sample in everything]
        done = self._journal.judged(subjects, metrics.version, self._judge.name)
        usable = [sample for sample in everything if sample.state is SampleState.OK]

        def work() -> Iterator[Coroutine[Any, Any, None]]:
            yield from (self._judge_one(number, sample, metrics, done) for sample in usable)
            yield self._judge_workflow(number, workflow)

        # One sample after another, the embedded model reads what they have in common, the task, only once.
        await (one_by_one if self._one_slot else concurrently)(work())

    def score(
        self,
        number: int,
        node_fingerprint: str,
        parent: Node | None,
        parent_score: NodeScore | None,
        metrics: MetricSet,
    ) -> NodeScore | None:
        """The node's score from what is stored."""
        own = self._seed_scores(node_fingerprint, metrics)
        parent_seeds = self._seed_scores(parent.fingerprint, metrics) if parent is not None else None
        workflow_scores = self._journal.workflow_scores(node_fingerprint, self._judge.name)
        return score_node(number, own, parent_seeds, parent_score, workflow_scores, self._settings.workflow_weight)

    def _seed_scores(self, fingerprint: str, metrics: MetricSet) -> dict[str, float]:
        rows = self._journal.score_rows(fingerprint, metrics.version, self._judge.name)
        return with_failures(seed_scores(rows, metrics), self._journal.failed_seeds(fingerprint))

    async def _judge_one(self, number: int, sample: Sample, metrics: MetricSet, done: set[tuple[str, str]]) -> None:
        missing = tuple(metric for metric in metrics.metrics if (sample.id, metric.name) not in done)
        if missing:
            verdicts = await judge_sample(
                self._task,
                sample,
                metrics,
                self._judge,
                draws=self._settings.verdict_draws,
                scope=Scope(self._run_id, "verdict", number, sample.id),
                sequential=self._one_slot,
            )
            self._journal.put_verdicts(verdicts)

    async def _judge_workflow(self, number: int, workflow: Workflow) -> None:
        done = self._journal.judged([workflow.fingerprint], WORKFLOW_VERSION, self._judge.name)
        if len(done) < len(WORKFLOW_METRICS.metrics):
            verdicts = await judge_workflow(
                self._task,
                workflow,
                self._judge,
                draws=self._settings.verdict_draws,
                scope=Scope(self._run_id, "workflow verdict", number),
                sequential=self._one_slot,
            )
            self._journal.put_verdicts(verdicts)
