"""A task, trees made by hand, and whole searches in this process against a scripted server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from openai_server import OpenAIServer

from autosynth_core.config import ModelSettings, RunSettings
from autosynth_core.engine.brief import Brief
from autosynth_core.engine.search_run import run_search
from autosynth_core.engine.switch import Switch
from autosynth_core.judging import Difference, Quality, Scale, Spread, difference
from autosynth_core.records import (
    Form,
    Gate,
    Node,
    NodeState,
    OutputField,
    Reward,
    Run,
    RunKind,
    SeedInput,
    StopReason,
    Task,
)
from autosynth_core.search import NodeScore, Tree
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox

FIRST = '''
PROMPT = """Explain {concept} to a student of grade {grade} in two sentences."""


async def generate(seed: dict[str, str]) -> dict:
    answer = await llm(PROMPT.format(concept=seed["concept"], grade=seed["grade"]))
    return {"text": answer}
'''.lstrip()


def make_task(**changes: object) -> Task:
    concepts = ("the cell", "the atom", "osmosis", "inertia", "voltage", "erosion", "friction", "density")
    values: dict[str, object] = {
        "title": "Explanations",
        "description": "Explain a concept.",
        "audience": "School students",
        "output_fields": (OutputField("text", "the explanation"),),
        "must_nevers": ("a wrong fact",),
        "good_examples": (),
        "bad_examples": (),
        "search_seeds": tuple(SeedInput({"concept": each, "grade": "7"}) for each in concepts),
        "sealed_seeds": (),
    }
    return Task(**{**values, **changes})


# --- trees made by hand -------------------------------------------------------------------------------------------


def make_node(number: int, parent: int | None = None, state: NodeState = NodeState.SCORED, **given: object) -> Node:
    values: dict[str, object] = {
        "form": Form.ROOT if parent is None else Form.REWRITE,
        "source": FIRST,
        "fingerprint": f"f{number}",
        "modification": f"change {number}",
        "gate": Gate.PARSE if state is NodeState.BROKEN else None,
    }
    return Node("run", number, parent, state, **{**values, **given})


def make_score(number: int, reward: float, gain: float | None = None) -> NodeScore:
    """A score with this reward (0..1) in both parts; ``gain`` in points over the parent."""
    against: Difference | None = None
    if gain is not None:
        against = difference({"a": 3 + gain, "b": 3 + gain, "c": 3 + gain}, {"a": 3.0, "b": 3.0, "c": 3.0})
    worth = Reward(reward, reward, reward, reward, reward, 3)
    return NodeScore(number, worth, Quality(1 + 4 * reward, 0.0), 1 + 4 * reward, against)


def make_scores(*rewards: float) -> dict[int, NodeScore]:
    """Scores of nodes 0, 1, 2..."""
    return {number: make_score(number, reward) for number, reward in enumerate(rewards)}


def make_scale(*rewards: float, sd: float = 0.0, shared: float = 0.0) -> Scale:
    """A scale on which nodes 0, 1, 2... have these rewards (0..1) in their sample part.

    ``sd``: of each quality, in points, apart from ``shared``, which moves all alike.
    """
    covariance = np.eye(len(rewards)) * sd**2 + shared**2
    means = 1 + 4 * np.array(rewards)
    return Scale(tuple(range(len(rewards))), means, covariance, {}, {}, Spread(0.4, 0.2), 0.2, 0.0)


def make_tree(*rows: tuple[int, int | None, float | None], in_flight: Iterable[int] = ()) -> Tree:
    """Rows of (number, parent, reward or None for a broken node), backpropagated; parents being expanded."""
    from autosynth_core.search.backpropagate import backpropagate

    tree = Tree()
    for number, parent, reward in rows:
        state = NodeState.BROKEN if reward is None else NodeState.SCORED
        tree.add(make_node(number, parent, state))
        if reward is not None:
            tree.scores[number] = make_score(number, reward)
    backpropagate(tree)
    tree.in_flight = {1000 + index: parent for index, parent in enumerate(in_flight)}
    return tree


# --- whole searches -----------------------------------------------------------------------------------------------


class Searched(NamedTuple):
    """A finished search, its store still open."""

    reason: StopReason
    run_id: str
    store: Store

    @property
    def nodes(self) -> list[Node]:
        return self.store.nodes(self.run_id)

    def purposes(self, number: int) -> Counter[str]:
        """How many answers were paid for on behalf of a node, by purpose."""
        return Counter(row.purpose for row in self.store.calls_of(self.run_id, node=number) if row.paid)

    def said(self, kind: str) -> list[str]:
        return [event.message for event in self.store.events(self.run_id) if event.kind == kind]


_SMALL = {
    "iterations": 1,
    "workers": 1,
    "seed_inputs": 4,
    "metric_count": 2,
    "metric_candidates": 1,
    "metric_refresh": 1,
    "sampling": "fixed",
    "measure_noise": False,
    "check_fitness": False,
    "race_contenders": 0,
}


def small(server: OpenAIServer, **changes: object) -> RunSettings:
    """Settings for a search of seconds, without what goes on beside the tree: no trial of the judge and no race."""
    models = ModelSettings(base_url=server.base_url, **changes.pop("models", {}))
    return RunSettings.model_validate({**_SMALL, **changes, "models": models})


def add_search(store: Store, settings: RunSettings, task: Task | None = None, first: str = FIRST) -> Run:
    task = task or make_task()
    project = store.add_project(task)
    return store.add_run(project.id, RunKind.SEARCH, settings.model_dump_json(), brief=Brief(task, first).to_json())


async def search(
    store: Store, sandbox: Sandbox, settings: RunSettings, *, task: Task | None = None, first: str = FIRST
) -> Searched:
    """Run a search to its end. ``first`` "": the optimizer writes the first workflow."""
    run = add_search(store, settings, task, first)
    return Searched(await run_search(run, store, sandbox, Switch()), run.id, store)


async def resumed(store: Store, sandbox: Sandbox, run_id: str) -> Searched:
    return Searched(await run_search(store.run(run_id), store, sandbox, Switch()), run_id, store)


# --- what the server saw ------------------------------------------------------------------------------------------


def prompts(server: OpenAIServer, part: str) -> list[str]:
    """All messages of each request in which ``part`` stands, as one text."""
    texts = ["\n".join(str(each["content"]) for each in row.body["messages"]) for row in server.received]
    return [text for text in texts if part in text]


def as_json(value: Mapping[str, object]) -> str:
    return json.dumps(value)


def db(tmp_path: Path) -> Path:
    return tmp_path / "autosynth.db"
