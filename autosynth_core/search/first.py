"""The first workflow: written by the optimizer from the task, or made from the task's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autosynth_core.judging import render_output
from autosynth_core.llm import Model
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Example, Form, Proposal, Scope, Task
from autosynth_core.search.evidence import Weakness
from autosynth_core.search.expand import Conversation, Expander, Plan, Rewrite
from autosynth_core.workflow import Sandbox, contract_text, plain_workflow
from autosynth_core.workflow.edits import EditContext, prompt_constants

__all__ = ["first_prompt", "write_first_workflow"]

_ATTEMPTS = 3
_EXAMPLES = 3  # of each kind shown to the optimizer


async def write_first_workflow(
    task: Task,
    optimizer: Model,
    sandbox: Sandbox,
    *,
    can_rewrite: bool | None,
    context: EditContext,
    scope: Scope,
    draw: str,
) -> Proposal:
    """A first workflow that passed preflight.

    A model that can write programs writes the whole of it; one that can't words the prompt of a plain single-prompt
    workflow. When three attempts fail preflight, the plain workflow made from the task's own words stands in, and
    its ``modification`` says so. Raises TransientFailure where the endpoint gave no answer: the run waits for it, as
    everything grows from the first workflow.
    """
    conversation = (
        _from_nothing(task, optimizer, sandbox, context, scope, draw)
        if can_rewrite is not False
        else _worded(task, optimizer, sandbox, context, scope, draw)
    )
    draft = await conversation.until_passed(_ATTEMPTS)
    if draft.proposal is not None and draft.preflight.passed:
        return _as_first(draft.proposal)
    return Proposal(
        Form.ROOT,
        "",
        "",
        "A plain single-prompt workflow made from the task's own words stands in: the optimizer's "
        f"{_ATTEMPTS} attempts did not pass the checks (the last one: {draft.preflight.reason[:300]}).",
        "",
        plain_workflow(task),
        _ATTEMPTS,
    )


def _as_first(proposal: Proposal) -> Proposal:
    """Of a worded prompt it is told that it was worded, not how it differs from a plain one that nobody has seen."""
    told = proposal.modification if proposal.form is Form.REWRITE else "One prompt, worded by the optimizer."
    return replace(proposal, form=Form.ROOT, operator="", target="", modification=told)


def first_prompt(task: Task) -> str:
    """What the optimizer is asked for a first workflow."""
    return render(
        "search_first",
        contract=contract_text(task),
        title=task.title,
        description=task.description,
        audience=task.audience,
        language=task.language,
        must_nevers="\n".join(f"- {line}" for line in task.must_nevers) or "- nothing was named",
        examples=_examples(task),
    )


def _examples(task: Task) -> str:
    kinds: Mapping[str, tuple[Example, ...]] = {"good": task.good_examples, "bad": task.bad_examples}
    return "\n\n".join(
        data_block(f"a {kind} example", f"{render_output(task, example.output)}\nWhy: {example.why}")
        for kind, examples in kinds.items()
        for example in examples[:_EXAMPLES]
    )


def _from_nothing(
    task: Task, optimizer: Model, sandbox: Sandbox, context: EditContext, scope: Scope, draw: str
) -> Conversation:
    return Rewrite(task, optimizer, sandbox, first_prompt(task), "", {}, scope, f"{draw}:first", context.limits)


def _worded(
    task: Task, optimizer: Model, sandbox: Sandbox, context: EditContext, scope: Scope, draw: str
) -> Conversation:
    source = plain_workflow(task)
    target = next(iter(prompt_constants(source)))
    plan = Plan(0, 0, Form.EDIT, "rewrite_prompt", target)
    expander = Expander(task=task, optimizer=optimizer, sandbox=sandbox, context=context, draw=f"{draw}:first")
    wish = Weakness("", "The prompt only states the task. Say exactly what a good answer for this audience has in it.")
    return expander.conversation(plan, source, wish, (), {}, scope)
