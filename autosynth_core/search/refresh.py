"""Refresh: how a metric set comes into a run, and what keeps one out.

Owns the birth of a version: the evaluator's proposal, the educator's anchor metrics beside it, the judge's fitness on
outputs of known worth and the weights that follow from it, the anchor panel judged under the old and the new version,
and quarantine. What the panel is made of is the search's to choose; the figures are ``judging.drift``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosynth_core.config import RunSettings
from autosynth_core.judging import (
    Fitness,
    FitnessVerdict,
    Known,
    Observation,
    PanelDrift,
    Spread,
    fitness,
    judge_sample,
    panel_drift,
    propose_metrics,
    quarantine_reason,
    reweighted,
    starting_metrics,
    with_anchors,
)
from autosynth_core.judging.concurrently import concurrently, one_by_one
from autosynth_core.llm import Model
from autosynth_core.records import Look, Metric, MetricSet, Node, Sample, SampleState, Scope, SeedInput, Standing, Task
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.journal import Journal

__all__ = ["PanelItem", "Refreshed", "Refresher", "known_sample"]


@dataclass(frozen=True, slots=True)
class PanelItem:
    """A node of the anchor panel, and the seed inputs on which it was judged under the version in force."""

    node: Node
    seeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The metric set to judge by now, and what the panel was judged by on the way."""

    metrics: MetricSet
    looks: tuple[Look, ...] = ()


class Refresher:
    """Brings metric sets into one run."""

    def __init__(
        self,
        *,
        run_id: str,
        task: Task,
        judge: Model,
        evaluator: Evaluator,
        journal: Journal,
        settings: RunSettings,
        anchors: Sequence[Metric],
        known: Sequence[Known],
        one_slot: bool,
        draw: str,
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._judge = judge
        self._evaluator = evaluator
        self._journal = journal
        self._settings = settings
        self._anchors = tuple(anchors)
        self._known = tuple(known)
        self._one_slot = one_slot
        self._draw = draw
        self._versions: set[str] = set()  # that known outputs were judged under
        self._found: dict[str, Fitness] = {}  # by version as weighed: on its own weights the same set would look better

    @property
    def tried(self) -> int:
        """How many known outputs were judged, each version of the metrics counted."""
        return len(self._versions) * len(self._known)

    def fitness_of(self, metrics: MetricSet) -> Fitness | None:
        """The judge's fitness by this set, as found when it was born in this process."""
        return self._found.get(metrics.version)

    async def refresh(
        self,
        number: int,
        samples: Sequence[Sample],
        in_force: MetricSet | None,
        panel: Sequence[PanelItem],
        seen: Mapping[tuple[int, str, str], Observation],
        spread: Spread,
    ) -> Refreshed:
        """The metric set for iteration ``number``: new when a refresh is due and nothing speaks against it.

        ``seen`` holds what is known of the panel under the version in force.
        """
        every = self._settings.metric_refresh
        if in_force is not None and (every == 0 or number % every or number == self._settings.iterations):
            return Refreshed(in_force)
        if in_force is None:
            return Refreshed(await self._first(number, samples))
        born = await self._propose(number, samples, in_force)
        if born is None or born.version == in_force.version:
            return Refreshed(in_force)
        found = await self._fitness(number, born)
        weighted = self._weighted(number, born, found)
        looks = await self._judge_panel(number, panel, weighted)
        before = self.fitness_of(in_force) or await self._fitness(number, in_force)
        reason = quarantine_reason(self._drift(panel, looks, seen, in_force, weighted, spread), found, before)
        standing = Standing.QUARANTINED if reason else Standing.IN_FORCE
        self._journal.put_metric_set(weighted, number, None, "regenerated from samples", standing, reason)
        if reason:
            self._journal.event(
                "alarm metrics",
                f"New criteria were proposed and set aside, because {reason}. The old ones stay in force. "
                "Look at both under Criteria: you may take the new ones after all, or leave them.",
                number,
            )
            return Refreshed(in_force)
        return Refreshed(weighted, looks)

    async def _first(self, number: int, samples: Sequence[Sample]) -> MetricSet:
        """The run's first metric set: proposed, or made from the task's own words when the proposal is no good."""
        born = await self._propose(number, samples, None)
        found = None if born is None else await self._fitness(number, born)
        provenance = "proposed from the first samples"
        if born is None or (found is not None and found.verdict is FitnessVerdict.UNFIT):
            plain = with_anchors(starting_metrics(self._task), self._anchors, self._settings.anchor_share)
            other = await self._fitness(number, plain)
            if born is None or (other is not None and other.verdict is not FitnessVerdict.UNFIT):
                born, found, provenance = plain, other, "made from the task's own words"
        if found is not None:
            self._journal.event(f"judge {found.verdict.value}", found.sentence, number)
            born = self._weighted(number, born, found)
        self._journal.put_metric_set(born, number, None, provenance)
        return born

    def _weighted(self, number: int, born: MetricSet, found: Fitness | None) -> MetricSet:
        """With the weights that its metrics earned. The set as proposed is kept too: the fitness is a claim on that."""
        weighted = born if found is None else self._reweighted(born, found)
        if found is not None:
            self._found[weighted.version] = found
        if weighted.version != born.version:
            self._journal.put_metric_set(born, number, None, "before it was weighed", Standing.PROPOSED)
        return weighted

    def _reweighted(self, born: MetricSet, found: Fitness) -> MetricSet:
        """The proposed metrics by what they have earned; the educator's keep their share."""
        earned = reweighted(born, found)
        dynamic = MetricSet(tuple(metric for metric in earned.metrics if not metric.anchor))
        return with_anchors(dynamic, self._anchors, self._settings.anchor_share) if self._anchors else earned

    async def _propose(self, number: int, samples: Sequence[Sample], in_force: MetricSet | None) -> MetricSet | None:
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
            return with_anchors(proposal.metric_set, self._anchors, self._settings.anchor_share)
        stay = "the old ones stay" if in_force is not None else "fixed ones made from the task stand in"
        self._journal.event("metrics kept", f"No new criteria could be read; {stay}. {proposal.reason}", number)
        return None

    # --- fitness ------------------------------------------------------------------------------------------------------

    async def _fitness(self, number: int, metrics: MetricSet) -> Fitness | None:
        """How well the judge tells known good outputs from bad ones by these metrics; None where it is not tried."""
        if not self._settings.check_fitness or not self._known:
            return None
        self._versions.add(metrics.version)
        scope = Scope(self._run_id, "fitness", number)
        samples = {each.id: known_sample(each) for each in self._known}
        gather = one_by_one if self._one_slot else concurrently
        verdicts = await gather(
            judge_sample(
                self._task,
                sample,
                metrics,
                self._judge,
                draws=self._settings.verdict_draws,
                scope=scope,
                sequential=self._one_slot,
            )
            for sample in samples.values()
        )
        self._journal.put_verdicts([verdict for each in verdicts for verdict in each])
        scores = {
            known: {verdict.metric: verdict.score for verdict in each}
            for known, each in zip(samples, verdicts, strict=True)
        }
        return fitness(scores, self._known, metrics)

    # --- the panel ----------------------------------------------------------------------------------------------------

    async def _judge_panel(self, number: int, panel: Sequence[PanelItem], metrics: MetricSet) -> tuple[Look, ...]:
        def samples(item: PanelItem) -> list[Sample]:
            made = self._journal.samples(item.node.fingerprint)
            return [sample for sample in made if sample.seed.id in item.seeds and sample.replicate == 0]

        return tuple(
            await concurrently(self._evaluator.look(number, item.node, samples(item), metrics) for item in panel)
        )

    def _drift(
        self,
        panel: Sequence[PanelItem],
        looks: Sequence[Look],
        seen: Mapping[tuple[int, str, str], Observation],
        in_force: MetricSet,
        born: MetricSet,
        spread: Spread,
    ) -> PanelDrift:
        nodes = {item.node.number: item.node for item in panel}
        new = {(each.node, each.seed): each.score for each in self._evaluator.observations(looks, nodes, (born,))}
        old = {(node, seed): each.score for (node, version, seed), each in seen.items() if version == in_force.version}
        return panel_drift(old, new, spread)


def known_sample(known: Known) -> Sample:
    """A known output as a sample that a judge can be shown.

    It belongs to no workflow and no run, so its id is the same wherever the run is read, also from an archive.
    """
    seed = SeedInput(dict(known.seed))
    return Sample("", f"known:{known.id}", seed, 0, SampleState.OK, known.output)
