"""One search, or a race of its best, composed: brief and settings from the store; models, sandbox and journal put
together; then run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from autosynth_core.config import Expansion, RunSettings, read_settings
from autosynth_core.engine.brief import Brief, read_brief
from autosynth_core.engine.journal import StoreJournal
from autosynth_core.engine.models import Models, open_models, remember_rewrites
from autosynth_core.engine.switch import Switch
from autosynth_core.errors import AnswerError, TransientFailure
from autosynth_core.judging import Known, known_outputs, write_breach
from autosynth_core.llm import Budget, Model
from autosynth_core.records import (
    Form,
    Node,
    NodeState,
    Proposal,
    RaceResult,
    Run,
    Scope,
    StopReason,
    Task,
)
from autosynth_core.search import (
    Evaluator,
    Expander,
    Refresher,
    Search,
    Simulator,
    rule_broken_id,
    tries_rewriting,
    write_first_workflow,
)
from autosynth_core.store import RaceAsked, Store
from autosynth_core.workflow import Sandbox, fingerprint
from autosynth_core.workflow.edits import EditContext

__all__ = ["run_race", "run_search"]


class _Opened(NamedTuple):
    """A search with its models, and the nodes that an earlier go at it finished, by number."""

    search: Search
    stored: dict[int, Node]


async def run_search(run: Run, store: Store, sandbox: Sandbox, switch: Switch) -> StopReason:
    """Search until finished. Raises what stops a run; everything done by then is in the store."""
    async with _opened(run, store, sandbox, switch, None) as (search, stored):
        return (await search.run(stored)).reason


async def run_race(run: Run, store: Store, sandbox: Sandbox, switch: Switch, asked: RaceAsked) -> RaceResult | None:
    """Race the best of what is there; None when there is nothing to race. Raises as ``run_search`` does."""
    async with _opened(run, store, sandbox, switch, asked) as (search, stored):
        return await search.race_again(stored)


@asynccontextmanager
async def _opened(
    run: Run, store: Store, sandbox: Sandbox, switch: Switch, asked: RaceAsked | None
) -> AsyncIterator[_Opened]:
    settings = read_settings(RunSettings, run.settings, run.id)
    brief = read_brief(run)
    journal = StoreJournal(store, run.id, switch.require_owned)
    async with open_models(
        settings.models,
        settings.calls,
        store,
        log=store,
        budget=_budget(store, run.id, settings, asked),
        checkpoint=switch,
        opened=lambda client: switch.follow(lambda: client.in_flight),
        say=lambda text: journal.event("models", text),
        scope=Scope(run.id, "probe"),
    ) as models:
        _pin(store, run, settings, models)
        if asked is not None:  # whatever the search was to do, here there are no new metrics, and a race
            contenders = settings.race_contenders or RunSettings().race_contenders
            settings = settings.model_copy(update={"race_contenders": contenders, "check_fitness": False})
        yield await _search(run, store, sandbox, switch, settings, brief, journal, models)


def _budget(store: Store, run_id: str, settings: RunSettings, asked: RaceAsked | None) -> Budget:
    """The run's caps on all that it has spent; a cap that a race was given holds from nothing spent."""
    usage = store.usage(run_id)
    usd = asked.budget_usd if asked is not None else None
    tokens = asked.budget_tokens if asked is not None else None
    return Budget(
        settings.budget_usd if usd is None else usd,
        settings.budget_tokens if tokens is None else tokens,
        spent_usd=usage.usd if usd is None else 0.0,
        spent_tokens=usage.prompt_tokens + usage.completion_tokens if tokens is None else 0,
    )


def _pin(store: Store, run: Run, settings: RunSettings, models: Models) -> None:
    """Write into the run which models its roles are: after a restart the endpoint's default may be another one, and a
    score is only comparable with scores by the same judge."""
    named = settings.models.model_copy(
        update={
            "optimizer": models.optimizer.name,
            "evaluator": models.evaluator.name,
            "generator": models.generator.name,
        }
    )
    if named != settings.models:
        store.set_settings(run.id, settings.model_copy(update={"models": named}).model_dump_json())


async def _search(
    run: Run,
    store: Store,
    sandbox: Sandbox,
    switch: Switch,
    settings: RunSettings,
    brief: Brief,
    journal: StoreJournal,
    models: Models,
) -> _Opened:
    task, draw = brief.task, f"seed {settings.seed}"
    context = EditContext(task, brief.accepted, limits=settings.limits)
    stored = _finished(store.nodes(run.id))
    can_rewrite = await _can_rewrite(run, store, sandbox, settings, models)
    first = await _first(run, sandbox, brief, models, can_rewrite, context, draw, stored)
    known = await _known(run, task, store, journal, models, begun=0 in stored) if settings.check_fitness else []
    evaluator = _evaluator(run, task, settings, journal, models.evaluator, models)
    search = Search(
        run_id=run.id,
        task=task,
        settings=settings,
        first=first,
        expander=Expander(task=task, optimizer=models.optimizer, sandbox=sandbox, context=context, draw=draw),
        simulator=Simulator(
            run_id=run.id,
            task=task,
            generator=models.generator,
            sandbox=sandbox,
            journal=journal,
            limits=settings.limits,
            draw=draw,
        ),
        evaluator=evaluator,
        refresher=Refresher(
            run_id=run.id,
            task=task,
            evaluator=evaluator,
            journal=journal,
            settings=settings,
            anchors=brief.anchors,
            known=known,
            draw=draw,
        ),
        race_judge=None
        if models.second_judge is None
        else _evaluator(run, task, settings, journal, models.second_judge, models),
        journal=journal,
        context=context,
        can_rewrite=can_rewrite,
        fingerprint_of_first=fingerprint(first.source),
        halt=switch.halt,
    )
    return _Opened(search, stored)


def _finished(nodes: Sequence[Node]) -> dict[int, Node]:
    """What an earlier go at the run brought to an end, by number.

    A recipe that the endpoint left without a score is done again, unless the same program was scored since.
    """
    scored = {node.fingerprint for node in nodes if node.state is NodeState.SCORED}
    ended = [node for node in nodes if node.state is not NodeState.RUNNING]
    return {node.number: node for node in ended if node.state is not NodeState.UNSCORED or node.fingerprint in scored}


async def _can_rewrite(run: Run, store: Store, sandbox: Sandbox, settings: RunSettings, models: Models) -> bool | None:
    """What is known, or found out now with one small exercise, where it makes a difference."""
    if models.can_rewrite is not None or settings.expansion is not Expansion.AUTO:
        return models.can_rewrite if settings.expansion is Expansion.AUTO else settings.expansion is Expansion.REWRITE
    rewrites = await tries_rewriting(models.optimizer, sandbox, Scope(run.id, "probe"))
    remember_rewrites(store, models.optimizer.capabilities, rewrites)
    return rewrites


async def _first(
    run: Run,
    sandbox: Sandbox,
    brief: Brief,
    models: Models,
    can_rewrite: bool | None,
    context: EditContext,
    draw: str,
    stored: dict[int, Node],
) -> Proposal:
    if 0 in stored:
        return Proposal(Form.ROOT, "", "", stored[0].modification, "", stored[0].source)
    if brief.first_workflow:
        return Proposal(Form.ROOT, "", "", "The recipe from the last round of feedback.", "", brief.first_workflow)
    return await write_first_workflow(
        brief.task,
        models.optimizer,
        sandbox,
        can_rewrite=can_rewrite,
        context=context,
        scope=Scope(run.id, "propose", 0),
        draw=draw,
    )


async def _known(
    run: Run, task: Task, store: Store, journal: StoreJournal, models: Models, *, begun: bool
) -> list[Known]:
    """What the judge is tried on. A search that has begun keeps to what it began with; its words are in the log."""
    without, copy = known_outputs(task), rule_broken_id(task)
    if not copy or (begun and not store.verdicts(run.id, subjects=[copy])):
        return without
    try:
        return known_outputs(task, await write_breach(task, models.optimizer, Scope(run.id, "known")))
    except TransientFailure:
        raise
    except AnswerError as error:
        journal.event("judge untested", f"The judge was not tried on a sample that breaks a rule. {error}")
        return without


def _evaluator(
    run: Run, task: Task, settings: RunSettings, journal: StoreJournal, judge: Model, models: Models
) -> Evaluator:
    return Evaluator(
        run_id=run.id, task=task, judge=judge, journal=journal, settings=settings, one_slot=models.embedded
    )
