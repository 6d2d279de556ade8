"""One round of the initialization, composed and run."""

from __future__ import annotations

from autosynth_core.config import RoundSettings, read_settings
from autosynth_core.engine.brief import read_brief
from autosynth_core.engine.journal import StoreJournal
from autosynth_core.engine.models import open_models
from autosynth_core.engine.switch import Switch
from autosynth_core.initialization import make_round
from autosynth_core.llm import Budget
from autosynth_core.records import Run, Scope
from autosynth_core.search import Expander, Simulator
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox
from autosynth_core.workflow.edits import EditContext

__all__ = ["run_round"]


async def run_round(run: Run, store: Store, sandbox: Sandbox, switch: Switch) -> None:
    """Make the round's workflow and samples. Raises what stops a run."""
    settings = read_settings(RoundSettings, run.settings, run.id)
    brief = read_brief(run)
    journal = StoreJournal(store, run.id, switch.require_owned)
    context = EditContext(brief.task, brief.accepted, limits=settings.limits)
    draw = f"seed {settings.seed} round {settings.number}"
    usage = store.usage(run.id)
    async with open_models(
        settings.models,
        settings.calls,
        store,
        log=store,
        budget=Budget(settings.budget_usd, spent_usd=usage.usd),
        checkpoint=switch,
        opened=lambda client: switch.follow(lambda: client.in_flight),
        say=lambda text: journal.event("models", text),
        scope=Scope(run.id, "probe"),
    ) as models:
        await make_round(
            run_id=run.id,
            task=brief.task,
            settings=settings,
            source=brief.first_workflow,
            said=brief.said,
            optimizer=models.optimizer,
            can_rewrite=models.can_rewrite,
            sandbox=sandbox,
            expander=Expander(task=brief.task, optimizer=models.optimizer, sandbox=sandbox, context=context, draw=draw),
            simulator=Simulator(
                run_id=run.id,
                task=brief.task,
                generator=models.generator,
                sandbox=sandbox,
                journal=journal,
                limits=settings.limits,
                draw=draw,
            ),
            context=context,
            journal=journal,
            say=lambda text: journal.event("progress", text),
        )
