"""Refresh: how a metric set comes into a run, and what keeps one out.

Owns the birth of a version: the evaluator's proposal, the educator's anchor metrics beside it, the judge's fitness on
outputs of known worth and the weights that follow from it, the anchor panel judged under the old and the new version,
and quarantine. What the panel is made of is the search's to choose; the figures are ``judging.drift``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autosynth_core.config import RunSettings, Scoring
from autosynth_core.judging import (
    Fitness,
    FitnessVerdict,
    Known,
    Observation,
    PanelDrift,
    Spread,
    fitness,
    panel_drift,
    propose_metrics,
    quarantine_reason,
    reweighted,
    starting_metrics,
    with_anchors,
)
from autosynth_core.judging.concurrently import concurrently
from autosynth_core.judging.drift import ENOUGH_PAIRS
from autosynth_core.records import (
    Look,
    Metric,
    MetricSet,
    Node,
    RunMetricSet,
    Sample,
    SampleState,
    Scope,
    Standing,
    Task,
)
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.journal import Journal

__all__ = ["PANEL_NODES", "PANEL_SEEDS", "PanelItem", "Refreshed", "Refresher", "as_proposed"]

PANEL_NODES, PANEL_SEEDS = 4, 4  # nodes of the anchor panel, and seed inputs of each, at most


@dataclass(frozen=True, slots=True)
class PanelItem:
    """A node of the anchor panel, and the seed inputs on which it was judged under the version in force."""

    node: Node
    seeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The metric set to judge by now, and what the panel was judged by on the way.

    ``set_aside`` says why a new one was not taken; "" where there was none, or it was.
    """

    metrics: MetricSet
    looks: tuple[Look, ...] = ()
    set_aside: str = ""


class _Born(NamedTuple):
    """A metric set that was just proposed. ``agreement`` as in ``judging.MetricProposal``."""

    metrics: MetricSet
    agreement: float | None


class Refresher:
    """Brings metric sets into one run."""

    def __init__(
        self,
        *,
        run_id: str,
        task: Task,
        evaluator: Evaluator,
        journal: Journal,
        settings: RunSettings,
        anchors: Sequence[Metric],
        known: Sequence[Known],
        draw: str,
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._evaluator = evaluator
        self._journal = journal
        self._settings = settings
        self._anchors = tuple(anchors)
        self._known = tuple(known)
        self._draw = draw
        self._found: dict[str, Fitness | None] = {}

    def fitness_of(self, metrics: MetricSet) -> Fitness | None:
        """The judge's fitness by a set of this run, as it was found at its birth; None where it was not tried."""
        if metrics.version not in self._found:
            entries = self._journal.metric_sets()
            born = next(entry for entry in entries if entry.metric_set.version == metrics.version)
            self._found[metrics.version] = self._read_fitness(as_proposed(entries, born))
        return self._found[metrics.version]

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

        None is asked for while the panel is too small to tell whether scores stay comparable, where that is wanted.

        ``seen`` holds what is known of the panel under the version in force.
        """
        every = self._settings.metric_refresh
        if in_force is not None and (every == 0 or number % every or number == self._settings.iterations):
            return Refreshed(in_force)
        if in_force is None:
            return Refreshed(await self._first(number, samples))
        if self._settings.scoring is Scoring.LINKED and sum(len(item.seeds) for item in panel) < ENOUGH_PAIRS:
            return Refreshed(in_force)
        born = await self._propose(number, samples, in_force)
        if born is None or born.metrics.version == in_force.version:
            return Refreshed(in_force)
        found = await self._fitness(number, born.metrics)
        weighted = self._weighted(number, born, found)
        looks = await self._judge_panel(number, panel, weighted)
        drift = self._drift(panel, looks, seen, in_force, weighted, spread)
        reason = quarantine_reason(drift, found, self.fitness_of(in_force))
        standing = Standing.QUARANTINED if reason else Standing.IN_FORCE
        self._journal.put_metric_set(weighted, number, born.agreement, "regenerated from samples", standing, reason)
        return Refreshed(in_force, set_aside=reason) if reason else Refreshed(weighted, looks)

    async def _first(self, number: int, samples: Sequence[Sample]) -> MetricSet:
        """The run's first metric set: proposed, or made from the task's own words when the proposal is no good."""
        born = await self._propose(number, samples, None)
        found = None if born is None else await self._fitness(number, born.metrics)
        provenance = "proposed from the first samples"
        if born is None or (found is not None and found.verdict is FitnessVerdict.UNFIT):
            own_words = MetricSet(starting_metrics(self._task).metrics[: self._settings.metric_count])
            plain = with_anchors(own_words, self._anchors, self._settings.anchor_share)
            other = await self._fitness(number, plain)
            if born is None or (other is not None and other.verdict is not FitnessVerdict.UNFIT):
                if born is not None:
                    self._keep_proposed(number, born, "set aside: by these the judge tells nothing apart")
                born, found, provenance = _Born(plain, None), other, "made from the task's own words"
        if found is not None:
            self._journal.event(f"judge {found.verdict.value}", found.sentence, number)
        weighted = self._weighted(number, born, found)
        self._journal.put_metric_set(weighted, number, born.agreement, provenance)
        return weighted

    def _weighted(self, number: int, born: _Born, found: Fitness | None) -> MetricSet:
        """With the weights that its metrics earned. The set as proposed is kept too: the fitness is a claim on that."""
        weighted = born.metrics if found is None else self._reweighted(born.metrics, found)
        if weighted.version != born.metrics.version:
            self._keep_proposed(number, born, "before it was weighed")
        return weighted

    def _keep_proposed(self, number: int, born: _Born, provenance: str) -> None:
        self._journal.put_metric_set(born.metrics, number, born.agreement, provenance, Standing.PROPOSED)

    def _reweighted(self, born: MetricSet, found: Fitness) -> MetricSet:
        """The proposed metrics by what they have earned; the educator's keep their share."""
        earned = reweighted(born, found)
        dynamic = MetricSet(tuple(metric for metric in earned.metrics if not metric.anchor))
        return with_anchors(dynamic, self._anchors, self._settings.anchor_share) if self._anchors else earned

    async def _propose(self, number: int, samples: Sequence[Sample], in_force: MetricSet | None) -> _Born | None:
        usable = [sample for sample in samples if sample.state is SampleState.OK]
        proposal = await propose_metrics(
            self._task,
            usable,
            in_force,
            self._evaluator.judge_model,
            count=self._settings.metric_count,
            candidates=self._settings.metric_candidates,
            scope=Scope(self._run_id, "metrics", number),
            draw=f"{self._draw}:metrics:{number}",
        )
        if proposal.metric_set is not None:
            metrics = with_anchors(proposal.metric_set, self._anchors, self._settings.anchor_share)
            return _Born(metrics, proposal.agreement)
        stay = "the old ones stay" if in_force is not None else "fixed ones made from the task stand in"
        self._journal.event("metrics kept", f"No new criteria could be read; {stay}. {proposal.reason}", number)
        return None

    # --- fitness ------------------------------------------------------------------------------------------------------

    async def _fitness(self, number: int, metrics: MetricSet) -> Fitness | None:
        """How well the judge tells known good outputs from bad ones by these metrics; None where it is not tried."""
        if not self._settings.check_fitness or not self._known:
            return None
        await self._evaluator.judge_known(number, self._known, metrics)
        return self._read_fitness(metrics)

    def _read_fitness(self, metrics: MetricSet) -> Fitness | None:
        scores = self._evaluator.known_scores(self._known, metrics.version)
        return fitness(scores, self._known, metrics) if scores else None

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


def as_proposed(entries: Sequence[RunMetricSet], entry: RunMetricSet) -> MetricSet:
    """The set before its weights were set by what its metrics tell apart: with the weights that followed from the
    known outputs, the judge would look better on the same outputs than it is."""
    wanted = {(metric.name, metric.description) for metric in entry.metric_set.metrics}
    for each in entries:
        given = {(metric.name, metric.description) for metric in each.metric_set.metrics}
        if each.standing is Standing.PROPOSED and each.iteration == entry.iteration and given == wanted:
            return each.metric_set
    return entry.metric_set
