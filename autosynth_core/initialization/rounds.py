"""One round: a first workflow, or the last one improved by the educator's feedback, and its samples to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from autosynth_core.config import RoundSettings
from autosynth_core.errors import FirstWorkflowFailed
from autosynth_core.llm import Model
from autosynth_core.records import (
    Form,
    Node,
    NodeState,
    Proposal,
    SampleState,
    Scope,
    SeedInput,
    Task,
    Workflow,
)
from autosynth_core.search import (
    Expander,
    Journal,
    Plan,
    Simulator,
    Weakness,
    write_first_workflow,
)
from autosynth_core.workflow import Sandbox, fingerprint
from autosynth_core.workflow.edits import OPERATORS, EditContext, prompt_constants

__all__ = ["make_round"]


async def make_round(
    *,
    run_id: str,
    task: Task,
    settings: RoundSettings,
    source: str,
    said: str,
    optimizer: Model,
    can_rewrite: bool | None,
    sandbox: Sandbox,
    expander: Expander,
    simulator: Simulator,
    context: EditContext,
    journal: Journal,
    say: Callable[[str], None],
) -> Node:
    """Write or improve the workflow, make its samples, and return its node (number 0 of the round's run).

    ``source`` is the last round's workflow ("" in the first round), ``said`` what the educator said of its samples.
    Raises FirstWorkflowFailed when not one sample could be made, and what stops a run.
    """
    say("Writing the first recipe" if not source else "Improving the recipe with your feedback")
    proposal = (
        await _improved(run_id, settings, source, said, can_rewrite, expander, context)
        if source
        else await write_first_workflow(
            task,
            optimizer,
            sandbox,
            can_rewrite=can_rewrite,
            context=context,
            scope=Scope(run_id, "propose", 0),
            draw=f"{settings.seed}:round",
        )
    )
    node = Node(
        run_id,
        0,
        None,
        NodeState.RUNNING,
        Form.ROOT,
        proposal.operator,
        proposal.target,
        proposal.modification,
        proposal.weakness,
        proposal.source,
        fingerprint(proposal.source),
        repairs=proposal.repairs,
    )
    journal.put_node(node)
    say(f"Making {settings.samples} samples")
    workflow = Workflow(node.source, node.fingerprint)
    samples = await simulator.simulate(workflow, round_seeds(task, settings), node=0)
    if not any(sample.state is SampleState.OK for sample in samples):
        raise FirstWorkflowFailed(
            f"No sample could be made: {samples[0].reason} Check the models in Settings and try the round again."
        )
    finished = replace(node, state=NodeState.UNSCORED, reason="looked at by a person, not judged")
    journal.put_node(finished)
    return finished


def round_seeds(task: Task, settings: RoundSettings) -> list[SeedInput]:
    """The seed inputs of a round: other ones than in the rounds before, as far as there are enough."""
    order = list(task.search_seeds)
    Random(f"{settings.seed}:round").shuffle(order)
    start = (settings.number - 1) * settings.samples
    count = min(settings.samples, len(order))
    return [order[(start + offset) % len(order)] for offset in range(count)]


async def _improved(
    run_id: str,
    settings: RoundSettings,
    source: str,
    said: str,
    can_rewrite: bool | None,
    expander: Expander,
    context: EditContext,
) -> Proposal:
    """The workflow changed by what the educator said; unchanged, and saying so, when no change passed the checks."""
    if not said:
        return Proposal(
            Form.ROOT, "", "", "Nothing was said about the last samples, so the recipe is the same.", "", source
        )
    conversation = expander.conversation(
        _plan(settings, source, can_rewrite, context),
        source,
        Weakness("what the educator said", said),
        (),
        {},
        Scope(run_id, "propose", 0),
    )
    draft = await conversation.until_passed(settings.repairs + 1)
    if draft.proposal is not None and draft.preflight.passed:
        return draft.proposal
    return Proposal(
        Form.ROOT,
        "",
        "",
        "The recipe is unchanged: no proposed change passed the checks "
        f"(the last one: {draft.preflight.reason[:300]}). What you said is kept and used by the search.",
        said,
        source,
    )


def _plan(settings: RoundSettings, source: str, can_rewrite: bool | None, context: EditContext) -> Plan:
    """A capable model rewrites the module; a small one rewords the prompt that matters most, the longest."""
    if can_rewrite:
        return Plan(settings.number, 0, Form.REWRITE)
    targets = OPERATORS["rewrite_prompt"].targets(source, context)
    if not targets:
        return Plan(settings.number, 0, Form.REWRITE)
    prompts = prompt_constants(source)
    longest = max(targets, key=lambda name: len(prompts.get(name, "")))
    return Plan(settings.number, 0, Form.EDIT, "rewrite_prompt", longest)
