"""The first workflow, and the exercise that shows whether a model can rewrite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels
from search_cases import FIRST, make_task, prompts, search, small

from autosynth_core.config import Expansion
from autosynth_core.records import Form, NodeState
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox, plain_workflow

Serve = Callable[..., OpenAIServer]


def rewriting(answer: Callable[[str], str]) -> ScriptedModels:
    return ScriptedModels(rewrite=lambda prompt, source: answer(prompt))


async def test_capable_optimizer_writes_the_first_workflow(store: Store, sandbox: Sandbox, serve: Serve) -> None:
    server = serve(rewriting(lambda prompt: f"CHANGE: It asks plainly.\n```python\n{FIRST}```"))
    found = await search(store, sandbox, small(server, expansion=Expansion.REWRITE), first="")
    root = found.nodes[0]
    assert (root.state, root.form, root.source, root.modification) == (
        NodeState.SCORED, Form.ROOT, FIRST, "It asks plainly.",
    )  # fmt: skip
    assert "a wrong fact" in prompts(server, "Write the first program")[0]


async def test_after_three_failures_the_plain_workflow_stands_in_and_says_so(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    server = serve(rewriting(lambda prompt: "CHANGE: x\n```python\ndef generate(:\n```"))
    found = await search(store, sandbox, small(server, expansion=Expansion.REWRITE), first="")
    root = found.nodes[0]
    assert root.state is NodeState.SCORED
    assert root.source == plain_workflow(make_task())
    assert "stands in" in root.modification
    assert "not valid Python" in root.modification
    assert len(prompts(server, "Write the first program")) == 3


async def test_model_that_cant_rewrite_words_the_prompt_of_a_plain_workflow(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    server = serve()
    found = await search(store, sandbox, small(server, expansion=Expansion.EDITS), first="")
    root = found.nodes[0]
    assert not prompts(server, "Write the first program")
    assert root.state is NodeState.SCORED
    assert root.source != plain_workflow(make_task())
    assert "told plainly" in root.source


ADDED = '''
PROMPT = """Explain {word} to a pupil of {age}."""
CRITIQUE = """What is wrong with this explanation? {text}"""
REVISE = """Improve {text} by this: {critique}"""


async def generate(seed: dict[str, str]) -> dict:
    draft = await llm(PROMPT.format(word=seed["word"], age=seed["age"]))
    critique = await llm(CRITIQUE.format(text=draft))
    return {"explanation": await llm(REVISE.format(text=draft, critique=critique))}
'''


@pytest.mark.parametrize(
    ("answers", "rewrites", "asked"),
    [
        ([f"CHANGE: added.\n```python\n{ADDED}```"], True, 1),
        (["no", f"CHANGE: added.\n```python\n{ADDED}```"], True, 2),
        (["no", "no"], False, 2),
        (["no", "```python\nx = \n```", f"CHANGE: late.\n```python\n{ADDED}```"], False, 2),
    ],
    ids=["at once", "after one repair", "never", "too late"],
)
async def test_exercise_is_tried_once_and_remembered(
    answers: list[str], rewrites: bool, asked: int, store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    exercise: list[str] = []

    def answer(prompt: str) -> str:
        if "criticises the draft" not in prompt:
            return "CHANGE: none."
        exercise.append(prompt)
        return answers[min(len(exercise), len(answers)) - 1]

    server = serve(rewriting(answer))
    for _ in range(2):
        await search(store, sandbox, small(server, expansion=Expansion.AUTO, iterations=1))
    assert len(exercise) == asked
    known = store.capabilities(server.base_url, "scripted")
    assert known is not None
    assert known.rewrites is rewrites


async def test_first_workflow_that_makes_nothing_fails_with_a_remedy(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    from autosynth_core.errors import FirstWorkflowFailed

    scripted = ScriptedModels()

    def answer(body: dict[str, Any]) -> Reply:
        if str(body["messages"][-1]["content"]).startswith("Explain "):
            return Reply("this request was filtered", status=400)
        return scripted(body)

    with pytest.raises(FirstWorkflowFailed, match="Check the models in Settings"):
        await search(store, sandbox, small(serve(answer), expansion=Expansion.EDITS))
