"""A small exercise that shows whether a model can rewrite a workflow at all, tried once a model and remembered."""

from __future__ import annotations

from autosynth_core.llm import Model
from autosynth_core.records import OutputField, Scope, SeedInput, Task
from autosynth_core.search.evidence import Weakness
from autosynth_core.search.expand import Rewrite, rewrite_prompt
from autosynth_core.workflow import Sandbox, fingerprint, plain_workflow

__all__ = ["tries_rewriting"]

_TASK = Task(
    title="Explain a word",
    description="Explain a word in two sentences that a pupil of the given age understands.",
    audience="Pupils",
    output_fields=(OutputField("explanation", "the explanation"),),
    must_nevers=(),
    good_examples=(),
    bad_examples=(),
    search_seeds=(SeedInput({"word": "erosion", "age": "10"}), SeedInput({"word": "irony", "age": "14"})),
    sealed_seeds=(),
)
_WEAKNESS = Weakness(
    "",
    "The explanation is never checked. Add a second model call that criticises the draft, and a third that revises it.",
)


async def tries_rewriting(optimizer: Model, sandbox: Sandbox, scope: Scope) -> bool:
    """Whether the model adds two stages to a plain workflow so that every check passes, with one repair at most.

    Raises TransientFailure, EndpointError, BudgetReached and RunHalted; an unusable answer is a failed exercise.
    """
    source = plain_workflow(_TASK)
    conversation = Rewrite(
        _TASK,
        optimizer,
        sandbox,
        rewrite_prompt(_TASK, source, _WEAKNESS, ()),
        _WEAKNESS.text,
        {fingerprint(source): 0},
        scope,
        f"exercise at {optimizer.client.endpoint.base_url}",
    )
    return (await conversation.until_passed(2)).preflight.passed
