"""What an expansion is told: where the parent's samples are weakest, and what was tried before.

Owns the choice of evidence and its wording. Experience says better, worse or can't tell, never a bare number: with a
noisy judge a bare number reads a child that changed nothing as a success half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from autosynth_core.errors import AnswerError
from autosynth_core.judging import Difference, explain, render_output
from autosynth_core.llm import Model
from autosynth_core.records import Metric, MetricSet, Node, NodeState, Sample, Scope, ScoreRow, Task
from autosynth_core.search.tree import Tree

__all__ = ["Weakness", "experience", "find_weakness", "in_words", "lowest"]

_AMONG = 3  # the weakness is drawn from this many lowest verdicts, so that siblings aim at different ones
_LONGEST_SAMPLE = 1500  # characters of a sample shown to the optimizer


@dataclass(frozen=True, slots=True)
class Weakness:
    """The weak spot an expansion aims at. ``text`` is one or two plain sentences; ``sample`` what showed it."""

    metric: str
    text: str
    sample: str = ""


def lowest(rows: Sequence[ScoreRow], random: Random) -> ScoreRow | None:
    """One of the lowest verdicts, drawn among the few lowest; None where nothing is scored."""
    scored = sorted(
        (row for row in rows if row.score is not None),
        key=lambda row: (row.score, row.metric, row.seed_id, row.replicate),
    )
    return random.choice(scored[:_AMONG]) if scored else None


async def find_weakness(
    task: Task,
    rows: Sequence[ScoreRow],
    samples: Sequence[Sample],
    metrics: MetricSet,
    judge: Model,
    scope: Scope,
    random: Random,
) -> Weakness:
    """The parent's weakest spot with the judge's reason; the metric's own words where the judge gives none."""
    row = lowest(rows, random)
    named = {metric.name: metric for metric in metrics.metrics}
    made = {(each.seed.id, each.replicate): each for each in samples if each.output is not None}
    sample = made.get((row.seed_id, row.replicate)) if row is not None else None
    if row is None or row.score is None or row.metric not in named or sample is None:
        return Weakness("", "Nothing specific was found; make the samples better for their audience.")
    metric = named[row.metric]
    reason = await _reason(task, sample, metric, row.score, judge, scope)
    text = f"{metric.name} is lowest ({row.score:.1f} of 5). {reason}"
    assert sample.output is not None
    return Weakness(metric.name, text, render_output(task, sample.output)[:_LONGEST_SAMPLE])


async def _reason(task: Task, sample: Sample, metric: Metric, score: float, judge: Model, scope: Scope) -> str:
    try:
        return await explain(task, sample, metric, score, judge, scope)
    except AnswerError:
        return f"What it should be like: {metric.high}"


def experience(tree: Tree, parent: int, most: int = 12) -> list[str]:
    """What the ancestors, the parent and its children tried and what it did, one line each, oldest first.

    What the endpoint left unscored is no experience: nobody knows what it would have done.
    """
    related = {*tree.path(parent), *tree.children.get(parent, [])} - {0}
    nodes = [tree.nodes[number] for number in sorted(related) if tree.nodes[number].state is not NodeState.UNSCORED]
    return [
        f"{node.modification or 'a change without description'} -> {_outcome(tree, node)}" for node in nodes[-most:]
    ]


def in_words(gain: Difference) -> str:
    """A comparison with its uncertainty, in points of the 1..5 scale."""
    if gain.mean is None:
        return f"{gain.verdict.value} (nothing to compare on)"
    return f"{gain.verdict.value} ({gain.mean:+.2f} points, 95% interval {gain.low:+.2f} to {gain.high:+.2f})"


def _outcome(tree: Tree, node: Node) -> str:
    score = tree.scores.get(node.number)
    if score is not None and score.against_parent is not None:
        return in_words(score.against_parent)
    if node.state is NodeState.DUPLICATE:
        return "gave a program that was there already"
    return f"did not work: {node.reason[:200]}"
