"""Whatever the words and whatever the parent, a composed child is a workflow that passes preflight."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from random import Random

import pytest
from edits_cases import HOSTILE, STYLES, TASKS, make_context, written

from autosynth_core.workflow.edits import OPERATORS, stages
from autosynth_core.workflow.fingerprint import fingerprint
from autosynth_core.workflow.preflight import preflight
from autosynth_core.workflow.sandbox import Sandbox
from autosynth_core.workflow.static import check_prompts, check_signature

TARGETS = {
    "plan": "first draft",
    "best_of_n": "first draft",
    **dict.fromkeys(
        ("critique_and_revise", "check_must_nevers", "student_view", "second_draft", "check_and_retry"),
        "after the last stage",
    ),
}
WORDLESS = {"remove_stage", "reorder_stages", "examples", "sampling"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as opened:
        yield opened


def keys_of(name: str, source: str, target: str, context) -> list[str]:
    question = OPERATORS[name].question(source, target, context, "It is vague.")
    return [] if question is None else list(question.schema["properties"])


def composed(name: str, source: str, target: str, context, words: str) -> str:
    given = dict.fromkeys(keys_of(name, source, target, context), words)
    return OPERATORS[name].compose(source, target, given, context).source


def assert_meets_contract(source: str, task, told: str) -> None:
    """The gates that cost nothing; the dry run is for fewer."""
    tree = ast.parse(source)
    problem = check_signature(tree) or check_prompts(tree, task.seed_fields)
    assert not problem, f"{told}: {problem}\n{source}"


async def assert_passes(source: str, task, sandbox: Sandbox, told: str) -> None:
    result = await preflight(source, task, sandbox)
    assert result.passed, f"{told}: {result.gate}: {result.reason}\n{source}"


@pytest.mark.parametrize("style", STYLES)
async def test_the_parents_pass(style, sandbox):
    task = TASKS["both"]
    await assert_passes(written(style, task), task, sandbox, style)


@pytest.mark.parametrize("style", STYLES)
def test_every_operator_at_every_target_meets_the_contract(style):
    turn = STYLES.index(style)
    for number, task_name in enumerate((list(TASKS) * 2)[turn % 5 :][:2], turn):
        task = TASKS[task_name]
        source = written(style, task)
        for name, operator in OPERATORS.items():
            for place, target in enumerate(operator.targets(source, make_context(task))):
                words = list(HOSTILE)[(number + place) % len(HOSTILE)]
                child = composed(name, source, target, make_context(task, number), HOSTILE[words])
                assert fingerprint(child) != fingerprint(source), name
                assert_meets_contract(child, task, f"{task_name} {name} {target} {words}")


@pytest.mark.parametrize("style", STYLES)
async def test_every_operator_passes_preflight(style, sandbox):
    tasks = list(TASKS)
    for number, (name, operator) in enumerate(OPERATORS.items()):
        task_name = tasks[(number + STYLES.index(style)) % len(tasks)]
        task = TASKS[task_name]
        source = written(style, task)
        for target in operator.targets(source, make_context(task))[-1:]:
            child = composed(name, source, target, make_context(task), HOSTILE["braces"])
            await assert_passes(child, task, sandbox, f"{task_name} {name} {target}")


@pytest.mark.parametrize("words", HOSTILE)
async def test_hostile_words_compose_what_passes(words, sandbox):
    turn = list(HOSTILE).index(words)
    worded = [name for name in OPERATORS if name not in WORDLESS]
    for task_name, style in (("nasty", "plain"), ("both", "expert")):
        task = TASKS[task_name]
        source = written(style, task)
        for number, name in enumerate(worded):
            target = TARGETS.get(name) or OPERATORS[name].targets(source, make_context(task))[0]
            child = composed(name, source, target, make_context(task), HOSTILE[words])
            assert_meets_contract(child, task, f"{style} {name} {words}")
            if number in (0, 1 + turn % (len(worded) - 1)):
                await assert_passes(child, task, sandbox, f"{style} {name} {words}")


@pytest.mark.parametrize("seed", range(6))
async def test_chains_of_six_random_operators_pass(seed, sandbox):
    random = Random(seed)
    task_name, style = random.choice(list(TASKS)), random.choice(STYLES)
    task = TASKS[task_name]
    source = written(style, task)
    chain: list[str] = []
    for step in range(6):
        context = make_context(task, seed * 10 + step)
        order = random.sample(sorted(OPERATORS), len(OPERATORS))
        name, targets = next((n, found) for n in order if (found := OPERATORS[n].targets(source, context)))
        target = random.choice(targets)
        chain.append(f"{name} at {target}")
        source = composed(name, source, target, context, HOSTILE[random.choice(list(HOSTILE))])
        assert_meets_contract(source, task, f"{task_name} {style} {chain}")
    await assert_passes(source, task, sandbox, f"{task_name} {style} {chain}")
    assert stages(source)


@pytest.mark.parametrize("style", STYLES)
def test_same_words_same_program_other_words_another(style):
    task = TASKS["both"]
    source = written(style, task)
    for name, operator in OPERATORS.items():
        for target in operator.targets(source, make_context(task)):
            made = [composed(name, source, target, make_context(task), text) for text in _phrasings()]
            assert made[0] == made[1]
            assert (made[0] != made[2]) == (name not in WORDLESS), name
            ast.parse(made[0])


def _phrasings() -> tuple[str, str, str]:
    first = "never explained again; the big thing: say each matching part by name"
    return first, first, "quite another phrase; a second one here, to say the limits"
