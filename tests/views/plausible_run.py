"""A database with something in it: a project, rated rounds and a search, written through the real store.

Scores are made up, deterministic and different enough to look at; texts come from the caller, so that hostile ones can
be put anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autosynth_core.config import RoundSettings, RunSettings
from autosynth_core.engine.brief import make_brief
from autosynth_core.records import (
    Answer,
    ChatRequest,
    Event,
    Feedback,
    FieldKind,
    Form,
    Gate,
    Look,
    Metric,
    MetricSet,
    Node,
    NodeState,
    OutputField,
    Project,
    Rating,
    Run,
    RunKind,
    RunState,
    Sample,
    SampleState,
    Scope,
    SeedInput,
    Task,
    Verdict,
    VerdictMethod,
)
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task
from autosynth_core.workflow import fingerprint, plain_workflow

EXAMPLES = Path(__file__).parents[2] / "data" / "tasks"
NOON = 1_790_000_000.0

METRICS = MetricSet(
    (
        Metric(
            "Mapped parts", "Each part of the picture stands for a part of the idea.", "No mapping.", "All mapped.", 2
        ),
        Metric("Right level", "A student of that grade can follow.", "Far too hard.", "Just right."),
        Metric("Limits named", "Says where the picture stops working.", "No limits.", "Clear limits."),
    )
)
SHARPER = MetricSet(
    (
        *METRICS.metrics[:2],
        Metric("Holds up", "A teacher of the subject finds nothing wrong.", "A plain error.", "Nothing wrong."),
    )
)


def example_task(name: str = "science-analogies") -> Task:
    return load_task(EXAMPLES / f"{name}.json")


def dialogue_task() -> Task:
    return replace(
        example_task(),
        output_fields=(
            OutputField("dialogue", "The talk.", FieldKind.TURNS),
            OutputField("note", "A note for the teacher.", FieldKind.TEXT),
        ),
        good_examples=(),
        bad_examples=(),
    )


def output_for(task: Task, text: str) -> dict[str, Any]:
    turns = [{"speaker": "Tutor", "text": text}, {"speaker": "Student", "text": "Maybe because it is heavier?"}]
    return {field.name: turns if field.kind is FieldKind.TURNS else text for field in task.output_fields}


def add_round(
    store: Store,
    project: Project,
    *,
    state: RunState = RunState.FINISHED,
    made: int = 6,
    rated: int = 0,
    text: str = "",
) -> Run:
    """A round with ``made`` of six samples, the first ``rated`` of them rated."""
    number = len(store.runs(project.id, RunKind.ROUND)) + 1
    brief = make_brief(store, project.id).to_json()
    run = store.add_run(project.id, RunKind.ROUND, RoundSettings(number=number).model_dump_json(), brief)
    source = plain_workflow(project.task)
    modification = text or "Asks for shorter sentences and a closing question, because two samples were too long."
    store.put_node(
        Node(run.id, 0, None, NodeState.SCORED, Form.ROOT, modification=modification if number > 1 else "",
             source=source, fingerprint=fingerprint(source))
    )  # fmt: skip
    for seed in project.task.search_seeds[:made]:
        body = text or f"Think of {next(iter(seed.values.values()))} as a busy kitchen.\n\nEvery cook has one job."
        sample = Sample(
            run.id, fingerprint(source), seed, 0, SampleState.OK, output_for(project.task, body), ms=4000 + number
        )
        store.put_sample(sample)
        if rated > 0:
            rated -= 1
            rating = (Rating.USE, Rating.USE_EDITED, Rating.NOT_USABLE)[rated % 3]
            reasons = () if rating is Rating.USE else ("Too long", "Confusing")
            store.add_feedback(Feedback(run.id, sample.id, rating, reasons, text or "Nice picture.", None, NOON))
    store.add_event(Event(run.id, NOON, "sample", text or "Writing sample 4", 0))
    store.set_run_state(run.id, state, text if state is RunState.FAILED else "")
    return store.run(run.id)


def add_search(
    store: Store,
    project: Project,
    *,
    nodes: int = 25,
    state: RunState = RunState.FINISHED,
    reason: str = "",
    text: str = "",
    settings: RunSettings | None = None,
    seed: int = 7,
) -> Run:
    """A search with ``nodes`` recipes: most scored, some broken or repeated, the last one running if the run is."""
    dice = random.Random(seed)
    settings = settings or RunSettings(iterations=max(30, nodes), budget_usd=5.0)
    brief = make_brief(store, project.id).to_json()
    run = store.add_run(project.id, RunKind.SEARCH, settings.model_dump_json(), brief)
    seeds = project.task.search_seeds[: settings.seed_inputs]
    quality: dict[int, float] = {}
    for number in range(nodes):
        parent = None if number == 0 else dice.choice(sorted(quality, key=lambda n: -quality[n])[:4])
        node = _node(run.id, number, parent, _state(dice, number, nodes, state), project.task, text)
        looks = _looks(node, seeds) if node.state is NodeState.SCORED else ()
        done = Event(run.id, NOON + 90 * number, "node", text or f"Recipe {number} is done", number)
        store.put_outcome(node, [done], looks)
        if node.state is NodeState.SCORED:
            quality[number] = 3.0 if parent is None else min(4.7, quality[parent] + dice.gauss(0.12, 0.35))
            for metrics in (METRICS, SHARPER):
                _judge(store, node, metrics, seeds, quality[number], project.task, dice, text)
            _call(store, node, text)
    store.put_metric_set(run.id, METRICS, 0, 0.8, "proposed by the judge")
    store.put_metric_set(run.id, SHARPER, 5, 0.7, "proposed by the judge")
    store.failure(Scope(run.id, "sample", 3), "rate limited", "HTTP 429")
    store.set_run_state(run.id, state, reason)
    return store.run(run.id)


def _looks(node: Node, seeds: Sequence[SeedInput]) -> list[Look]:
    shown = tuple(seed.id for seed in seeds)
    return [Look(node.number, node.number, metrics.version, shown) for metrics in (METRICS, SHARPER)]


def _state(dice: random.Random, number: int, nodes: int, state: RunState) -> NodeState:
    if number < 3:
        return NodeState.SCORED
    if number == nodes - 1 and state is RunState.RUNNING:
        return NodeState.RUNNING
    odds = {NodeState.SCORED: 75, NodeState.BROKEN: 14, NodeState.DUPLICATE: 7, NodeState.UNSCORED: 4}
    return dice.choices(list(odds), list(odds.values()))[0]


def _node(run_id: str, number: int, parent: int | None, state: NodeState, task: Task, text: str) -> Node:
    source = plain_workflow(task) + f'\n\nNOTE_{number} = "{number}"\n'
    scored = state is NodeState.SCORED
    return Node(
        run_id=run_id,
        number=number,
        parent=parent,
        state=state,
        form=Form.ROOT if parent is None else Form.EDIT,
        operator="" if parent is None else "critique_and_revise",
        modification="" if parent is None else text or _MODIFICATIONS[number % len(_MODIFICATIONS)],
        weakness="" if parent is None else text or "The picture is named but its parts are not mapped to the idea.",
        source=source,
        fingerprint="" if state in (NodeState.BROKEN, NodeState.RUNNING) else fingerprint(source),
        gate=Gate.PROMPTS if state is NodeState.BROKEN else None,
        reason=(text or "The prompt REVISE has a placeholder {draft} that is never filled in.")
        if state is NodeState.BROKEN
        else "",
        metric_version=(METRICS if number < 5 else SHARPER).version if scored else "",
        duplicate_of=1 if state is NodeState.DUPLICATE else None,
    )


_MODIFICATIONS = (
    "Adds a step that names which part of the picture stands for which part of the idea, because judges missed it.",
    "Asks for one sentence on where the picture stops working, because limits were rarely named.",
    "Adds a reader who is a student of that grade and says what would confuse them; the text is then revised.",
    "Rewrites the first prompt to ask for one concrete scene instead of a list, because samples read like lists.",
)


def _judge(
    store: Store,
    node: Node,
    metrics: MetricSet,
    seeds: Sequence[SeedInput],
    quality: float,
    task: Task,
    dice: random.Random,
    text: str,
) -> None:
    verdicts = []
    for seed in seeds:
        body = text or f"Think of {next(iter(seed.values.values()))} as a busy kitchen. Every cook has one job."
        sample = Sample(node.run_id, node.fingerprint, seed, 0, SampleState.OK, output_for(task, body), ms=3000)
        store.put_sample(sample)
        for metric in metrics.metrics:
            score = max(1.0, min(5.0, quality + dice.gauss(0, 0.25)))
            verdicts.append(verdict_of(sample.id, metric.name, metrics.version, score))
    if metrics is METRICS:
        for name in ("Prompt specificity", "Code clarity", "Robustness", "Structure"):
            verdicts.append(verdict_of(node.fingerprint, name, "workflow", max(1.0, min(5.0, quality + 0.3))))
    store.put_verdicts(verdicts, node.run_id)


def verdict_of(subject: str, metric: str, version: str, score: float) -> Verdict:
    return Verdict(subject, metric, version, "gpt-4.1-mini", "p" * 12, score, VerdictMethod.EXPECTED)


def _call(store: Store, node: Node, text: str) -> None:
    request = ChatRequest(
        "gpt-4.1-mini", (("system", "You write recipes."), ("user", text or f"Improve recipe {node.number}")), 0.7, 800
    )
    answer = Answer(request.key, request.model, text or '{"words": "shorter"}', "stop", 900, 250, 0.0021, 2400)
    store.record(request, answer, Scope(node.run_id, "propose", node.number))
