"""What a run works on, frozen when it is made: the task with the educator's feedback, and the first workflow.

Editing the project, or reviewing more samples, later on must not change a run under way: its calls would no longer be
the ones in the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from autosynth_core.errors import InputError
from autosynth_core.initialization import accepted_examples, criterion, with_feedback
from autosynth_core.records import Example, Feedback, Metric, NodeState, Run, RunKind, Sample, Task
from autosynth_core.store import Store, task_from_json, task_to_json

__all__ = ["Brief", "make_brief", "read_brief", "reviewed"]


@dataclass(frozen=True, slots=True)
class Brief:
    """The snapshot. ``first_workflow`` is "" when the optimizer is to write it, ``said`` when nobody said anything."""

    task: Task
    first_workflow: str = ""
    accepted: tuple[Example, ...] = ()
    said: str = ""  # of the last round's samples, in plain words
    anchors: tuple[Metric, ...] = ()  # the criteria that the educator approved

    def to_json(self) -> str:
        return json.dumps(
            {
                "task": task_to_json(self.task),
                "first_workflow": self.first_workflow,
                "accepted": [asdict(example) for example in self.accepted],
                "said": self.said,
                "anchors": [asdict(metric) for metric in self.anchors],
            },
            ensure_ascii=False,
        )


def read_brief(run: Run) -> Brief:
    """The brief of a run, as stored with it. Raises InputError where an archive brought one that can't be read."""
    try:
        raw = json.loads(run.brief)
        accepted = tuple(Example(each["seed"], each["output"], each["why"]) for each in raw["accepted"])
        anchors = tuple(_anchor(each) for each in raw.get("anchors", []))
        return Brief(task_from_json(raw["task"]), raw["first_workflow"], accepted, raw.get("said", ""), anchors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"What run {run.id} works on can't be read ({error}); start a new search.") from error


def _anchor(raw: Mapping[str, Any]) -> Metric:
    """An approved criterion, which an archive may have brought. Raises InputError."""
    return criterion({name: value for name, value in raw.items() if name != "anchor"})


def make_brief(store: Store, project_id: str) -> Brief:
    """The brief of a search started now: the project's task, all feedback so far, the newest round's workflow and
    the criteria that the educator approved."""
    task = store.project(project_id).task
    rounds = store.runs(project_id, RunKind.ROUND)
    pairs = [pair for run in rounds for pair in reviewed(store, run.id)]
    return Brief(
        with_feedback(task, pairs),
        newest_workflow(store, rounds),
        accepted_examples(pairs),
        anchors=tuple(_anchor(asdict(each)) for each in store.anchors(project_id) or () if each.anchor),
    )


def reviewed(store: Store, round_id: str) -> list[tuple[Sample, Feedback]]:
    """The samples of a round that somebody has rated, each with the latest feedback."""
    samples = {sample.id: sample for sample in store.samples(round_id)}
    return [
        (samples[feedback.sample_id], feedback)
        for feedback in store.feedback(round_id)
        if feedback.sample_id in samples
    ]


def newest_workflow(store: Store, rounds: list[Run]) -> str:
    """The workflow of the newest round that has finished one; "" where there is none."""
    for run in sorted(rounds, key=lambda each: -each.created):
        node = store.node(run.id, 0)
        if node is not None and node.source and node.state is not NodeState.RUNNING:
            return node.source
    return ""
