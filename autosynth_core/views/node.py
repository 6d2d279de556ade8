"""One recipe up close: what changed, its prompts and code, its samples, their verdicts and its calls.

Owns the reading together of what the store holds on one node. Rendering is the page's.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean

from autosynth_core.config import RunSettings
from autosynth_core.errors import InputError
from autosynth_core.judging import score_rows, seed_scores
from autosynth_core.records import MetricSet, Node, Sample, SampleState, Verdict
from autosynth_core.search.mcts import seed_order
from autosynth_core.search.race import sealed_order
from autosynth_core.search.scores import NodeScore
from autosynth_core.store import CallRow, Store
from autosynth_core.views import words
from autosynth_core.views.scored import scored_run
from autosynth_core.views.settings import read_settings, task_of
from autosynth_core.workflow.edits import Stage, prompt_constants, stages

__all__ = ["NodeView", "SampleView", "diff", "node"]


@dataclass(frozen=True, slots=True)
class SampleView:
    """A sample with the verdicts of its node's metric set: of the run's judge, and apart from them of any other.

    ``mean`` is its score by the run's judge, None if unread. ``from_race``: on an input that the search never saw.
    """

    sample: Sample
    verdicts: tuple[Verdict, ...]
    others: tuple[Verdict, ...]
    mean: float | None
    from_race: bool = False


@dataclass(frozen=True, slots=True)
class NodeView:
    """All there is to see of one node. ``parent_source`` and ``diff`` are "" for the root."""

    node: Node
    score: NodeScore | None
    is_best: bool
    against_parent: str
    parent_source: str
    diff: str
    stages: tuple[Stage, ...]
    prompts: Mapping[str, str]
    metrics: MetricSet | None
    samples: tuple[SampleView, ...]
    workflow_verdicts: tuple[Verdict, ...]
    calls: tuple[CallRow, ...]

    @property
    def own_score(self) -> float | None:
        """The samples' mean by the criteria they were judged by, 1..5; None where nothing was read.

        The score in ``score`` is carried over to the first recipe's criteria, so that recipes can be compared. A sample
        that the recipe's own code failed to make counts 1, as there.
        """
        lowest = [1.0 for view in self.samples if view.sample.state is SampleState.WORKFLOW_FAILED]
        read = [view.mean for view in self.samples if view.mean is not None]
        return fmean(lowest + read) if read else None


def node(store: Store, run_id: str, number: int) -> NodeView:
    """Everything on one node. Raises InputError when the run has no such node."""
    scored = scored_run(store, run_id)
    if number not in scored.nodes:
        raise InputError(f"This run has no recipe number {number}; choose another one.")
    this = scored.nodes[number]
    parent = scored.nodes.get(this.parent) if this.parent is not None else None
    score = scored.scores.get(number)
    readable = bool(this.fingerprint)
    metrics = store.metric_set(this.metric_version) if this.metric_version else None
    return NodeView(
        node=this,
        score=score,
        is_best=number == scored.best,
        against_parent=words.compared(score.against_parent, this.parent) if score else "",
        parent_source=parent.source if parent else "",
        diff=diff(parent.source, this.source, this.parent or 0, number) if parent else "",
        stages=tuple(stages(this.source)) if readable else (),
        prompts=prompt_constants(this.source) if readable else {},
        metrics=metrics,
        samples=_samples(store, this, metrics, scored.judge),
        workflow_verdicts=tuple(store.verdicts(run_id, subjects=[this.fingerprint])) if readable else (),
        calls=tuple(store.calls_of(run_id, node=number)),
    )


def diff(before: str, after: str, parent: int, number: int) -> str:
    """A unified diff between two recipes' texts."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"recipe {parent}", f"recipe {number}", n=2, lineterm=""
    )
    return "\n".join(lines)


def _samples(store: Store, this: Node, metrics: MetricSet | None, judge: str) -> tuple[SampleView, ...]:
    """In the order in which the run uses its inputs, those of the race after them: the same for each recipe."""
    if not this.fingerprint:
        return ()
    searched, sealed = _inputs(store, this.run_id)
    places = {seed: place for place, seed in enumerate([*searched, *sealed])}
    samples = sorted(
        store.samples(this.run_id, fingerprint=this.fingerprint),
        key=lambda sample: (places.get(sample.seed.id, len(places)), sample.seed.id, sample.replicate),
    )
    verdicts = store.verdicts(this.run_id, subjects=[s.id for s in samples], version=this.metric_version)
    return _with_verdicts(samples, verdicts, metrics, judge, set(sealed) - set(searched))


def _inputs(store: Store, run_id: str) -> tuple[list[str], list[str]]:
    """Ids of the inputs in the order in which the run uses them: the search's, and the race's."""
    run = store.run(run_id)
    task, settings = task_of(store, run), read_settings(run)
    if not isinstance(settings, RunSettings):  # a round goes through them as they come
        return [seed.id for seed in task.search_seeds], []
    return [seed.id for seed in seed_order(task, settings)], [seed.id for seed in sealed_order(task, settings)]


def _with_verdicts(
    samples: Sequence[Sample], verdicts: Sequence[Verdict], metrics: MetricSet | None, judge: str, sealed: Set[str]
) -> tuple[SampleView, ...]:
    own: dict[str, list[Verdict]] = defaultdict(list)
    others: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        (own if verdict.judge == judge else others)[verdict.subject].append(verdict)
    return tuple(
        SampleView(s, tuple(own[s.id]), tuple(others[s.id]), _mean(s, own[s.id], metrics), s.seed.id in sealed)
        for s in samples
    )


def _mean(sample: Sample, verdicts: Sequence[Verdict], metrics: MetricSet | None) -> float | None:
    """The same weighted mean over metrics that the reward is made of."""
    if metrics is None:
        return None
    return seed_scores(score_rows([sample], verdicts), metrics).get(sample.seed.id)
