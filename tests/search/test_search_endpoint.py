"""What the endpoint fails while a program is written is nobody's loss, and nobody's win."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels
from search_cases import add_search, make_node, make_score, prompts, search, small

from autosynth_core.config import Expansion
from autosynth_core.engine.search_run import run_search
from autosynth_core.engine.switch import Switch
from autosynth_core.errors import TransientFailure
from autosynth_core.records import Form, NodeState
from autosynth_core.search import Tree
from autosynth_core.search.evidence import experience
from autosynth_core.search.expand import rewrite_share
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox

Serve = Callable[..., OpenAIServer]
DRAFT = "You improve Python programs"
EXERCISE = "Explain a word"
ONE_TRY = {"attempts": 1}


def failing(part: str) -> Callable[[dict[str, Any]], Reply]:
    """Scripted models, but every request in which ``part`` stands ends in a server error."""
    models = ScriptedModels()
    return lambda body: Reply("boom", status=500) if part in str(body["messages"]) else models(body)


@pytest.mark.parametrize("expansion", [Expansion.REWRITE, Expansion.EDITS])
async def test_draft_that_the_endpoint_failed_is_unscored_and_not_sent_back(
    expansion: Expansion, store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    server = serve(failing(DRAFT))
    found = await search(store, sandbox, small(server, expansion=expansion, calls=ONE_TRY, iterations=2))
    unscored = [node for node in found.nodes if node.state is NodeState.UNSCORED]
    assert all("No usable answer" in node.reason for node in unscored)
    assert len(unscored) == len(prompts(server, DRAFT)) >= 1  # an edit may need no words
    assert not [node for node in found.nodes if node.state is NodeState.BROKEN]


async def test_first_workflow_waits_for_an_endpoint_that_fails(store: Store, sandbox: Sandbox, serve: Serve) -> None:
    """A plain workflow that stood in for it would be there for good."""
    run = add_search(store, small(serve(failing(DRAFT)), expansion=Expansion.REWRITE, calls=ONE_TRY), first="")
    with pytest.raises(TransientFailure, match="server error"):
        await run_search(run, store, sandbox, Switch())
    assert store.nodes(run.id) == []


async def test_exercise_that_the_endpoint_failed_is_not_remembered_as_a_failed_one(
    store: Store, sandbox: Sandbox, serve: Serve
) -> None:
    server = serve(failing(EXERCISE))
    run = add_search(store, small(server, expansion=Expansion.AUTO, calls=ONE_TRY))
    with pytest.raises(TransientFailure):
        await run_search(run, store, sandbox, Switch())
    known = store.capabilities(server.base_url, "scripted")
    assert known is not None
    assert known.rewrites is None


def _tree(*states: NodeState, source: str = "") -> Tree:
    tree = Tree()
    tree.add(make_node(0))
    tree.scores = {0: make_score(0, 0.5)}
    for number, state in enumerate(states, start=1):
        tree.add(make_node(number, 0, state, form=Form.REWRITE, source=source))
    return tree


def test_rewrite_that_was_never_written_is_neither_passed_nor_failed() -> None:
    assert rewrite_share(_tree(*[NodeState.UNSCORED] * 5), True) == rewrite_share(_tree(), True)
    passed = _tree(NodeState.UNSCORED, source="async def generate(seed): ...")
    assert rewrite_share(passed, True) > rewrite_share(_tree(), True)


def test_what_the_endpoint_failed_is_no_experience() -> None:
    """The optimizer would read that its change did not work."""
    assert experience(_tree(NodeState.UNSCORED), 0) == []
    assert len(experience(_tree(NodeState.BROKEN), 0)) == 1
