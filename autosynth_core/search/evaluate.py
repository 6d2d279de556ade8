"""Evaluation: judge samples and programs, and read what was seen.

The parent's existing samples are judged again under the child's metric set, so that the two are compared by the same
yardstick; whatever has a verdict already is not judged twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from autosynth_core.config import RunSettings
from autosynth_core.judging import (
    WORKFLOW_METRICS,
    WORKFLOW_VERSION,
    Known,
    Observation,
    judge_sample,
    judge_workflow,
    known_outputs,
)
from autosynth_core.judging.concurrently import concurrently, one_by_one
from autosynth_core.judging.known import RULE_BROKEN
from autosynth_core.llm import Model
from autosynth_core.records import (
    Look,
    MetricSet,
    Node,
    NodeState,
    Sample,
    SampleState,
    Scope,
    SeedInput,
    Task,
    Verdict,
    Workflow,
)
from autosynth_core.search.journal import Journal
from autosynth_core.search.scores import observe

__all__ = ["MIN_SCORED_SHARE", "Evaluator", "known_sample", "known_scores", "rule_broken_id"]

MIN_SCORED_SHARE = 0.5  # of the seed inputs looked at; with fewer a node stays unscored


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
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._judge = judge
        self._journal = journal
        self._settings = settings
        self._one_slot = one_slot
        self._programs: dict[str, Sequence[float]] = {}

    @property
    def judge_model(self) -> Model:
        return self._judge

    @property
    def judge_name(self) -> str:
        """What verdicts of this judge are stored under."""
        return self._judge.name

    async def look(self, number: int, node: Node, samples: Sequence[Sample], metrics: MetricSet) -> Look:
        """Store verdicts on these samples of a node; those that are there already are not asked for again."""
        done = self._journal.judged([sample.id for sample in samples], metrics.version, self._judge.name)
        usable = [sample for sample in samples if sample.state is SampleState.OK]
        await self._gather(self._judge_one(number, sample, metrics, done) for sample in usable)
        return Look(number, node.number, metrics.version, tuple(sample.seed.id for sample in samples))

    async def judge_again(self, samples: Sequence[Sample], metrics: MetricSet) -> None:
        """Ask for a second verdict on each of these samples, to learn how the judge agrees with itself."""
        done = {
            (each.subject, each.metric)
            for each in self._journal.verdicts([sample.id for sample in samples], metrics.version, self._judge.name)
            if each.repeat == 1
        }
        await self._gather(
            self._judge_one(0, sample, metrics, done, purpose="noise", repeat=1)
            for sample in samples
            if sample.state is SampleState.OK
        )

    async def judge_known(self, number: int, known: Sequence[Known], metrics: MetricSet) -> None:
        """Store verdicts on outputs of known worth, those that are there already apart."""
        samples = [known_sample(each) for each in known]
        done = self._journal.judged([sample.id for sample in samples], metrics.version, self._judge.name)
        await self._gather(self._judge_one(number, sample, metrics, done, purpose="fitness") for sample in samples)

    def known_scores(self, known: Sequence[Known], version: str) -> dict[str, dict[str, float | None]]:
        """What was made of outputs of known worth under a version; see the function of this name."""
        subjects = [known_sample(each).id for each in known]
        return known_scores(known, self._journal.verdicts(subjects, version, self._judge.name))

    async def _gather(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """One sample after another, the embedded model reads what they have in common, the task, only once."""
        await (one_by_one if self._one_slot else concurrently)(work)

    def observations(
        self,
        looks: Sequence[Look],
        nodes: Mapping[int, Node],
        sets: Iterable[MetricSet] = (),
        *,
        replicate: int | None = None,
    ) -> list[Observation]:
        """What was seen in these looks, on one replicate alone or over all that there are.

        ``sets`` are metric sets that are not in the journal yet.
        """
        known = [look for look in looks if look.node in nodes]
        rows = [
            row
            for fingerprint, version in sorted({(nodes[look.node].fingerprint, look.version) for look in known})
            for row in self._journal.score_rows(fingerprint, version, self._judge.name)
            if replicate is None or row.replicate == replicate
        ]
        given = {metrics.version: metrics for metrics in sets}
        by_version = {
            version: given.get(version) or self._journal.metric_set(version)
            for version in {look.version for look in known}
        }
        failed = {
            fingerprint: {
                (seed, number)
                for seed, number in self._journal.failed_samples(fingerprint)
                if replicate is None or number == replicate
            }
            for fingerprint in {nodes[look.node].fingerprint for look in known}
        }
        return observe(known, nodes, rows, by_version, failed)

    def is_scored(self, node: Node, look: Look, metrics: MetricSet) -> bool:
        """Whether enough of a new node's verdicts could be read."""
        seen = self.observations([look], {node.number: node}, [metrics])
        program = self._journal.workflow_scores(node.fingerprint, self._judge.name)
        return len(seen) >= MIN_SCORED_SHARE * len(look.seeds) and bool(program or self._settings.workflow_weight == 0)

    def program_scores(self, nodes: Iterable[Node]) -> dict[str, Sequence[float]]:
        """The scores (1..5) of each scored node's program, by fingerprint."""
        for node in nodes:
            if node.state is NodeState.SCORED and node.fingerprint not in self._programs:
                self._programs[node.fingerprint] = self._journal.workflow_scores(node.fingerprint, self._judge.name)
        return self._programs

    async def _judge_one(
        self,
        number: int,
        sample: Sample,
        metrics: MetricSet,
        done: set[tuple[str, str]],
        *,
        purpose: str = "verdict",
        repeat: int = 0,
    ) -> None:
        missing = tuple(metric for metric in metrics.metrics if (sample.id, metric.name) not in done)
        if missing:
            verdicts = await judge_sample(
                self._task,
                sample,
                metrics,
                self._judge,
                draws=self._settings.verdict_draws,
                scope=Scope(self._run_id, purpose, number, sample.id),
                sequential=self._one_slot,
                repeat=repeat,
            )
            self._journal.put_verdicts(verdicts)

    async def judge_program(self, number: int, workflow: Workflow) -> None:
        """Store verdicts on the program itself, unless they are there."""
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


def known_sample(known: Known) -> Sample:
    """A known output as a sample that a judge can be shown.

    It belongs to no workflow and no run, so its id is the same wherever the run is read, also from an archive.
    """
    seed = SeedInput(dict(known.seed))
    return Sample("", f"known:{known.id}", seed, 0, SampleState.OK, known.output)


def rule_broken_id(task: Task) -> str:
    """Under what id verdicts on the copy that breaks a rule are stored, whatever its words; "" for a task without."""
    return next((known_sample(each).id for each in known_outputs(task, "-") if each.how == RULE_BROKEN), "")


def known_scores(known: Sequence[Known], verdicts: Iterable[Verdict]) -> dict[str, dict[str, float | None]]:
    """One judge's scores of known outputs under one version: by known id and metric; empty where none was judged."""
    names = {known_sample(each).id: each.id for each in known}
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    for verdict in verdicts:
        scores = found[names[verdict.subject]]
        if verdict.repeat == 0 and scores.get(verdict.metric) is None:  # a readable one may follow an unread one
            scores[verdict.metric] = verdict.score
    return dict(found)
