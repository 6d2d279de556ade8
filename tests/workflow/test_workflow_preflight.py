from __future__ import annotations

import time

import pytest
from workflow_cases import PIPELINE, generate_body, make_task

from autosynth_core.config import SampleLimits
from autosynth_core.records import Gate, SeedInput, Task
from autosynth_core.workflow import Sandbox, fingerprint, preflight

ANSWER = ("answer = await llm(prompt)", 'return {"text": answer}')

GOOD = {
    "pipeline": PIPELINE,
    "one prompt": generate_body(*ANSWER),
    "f-string": "async def generate(seed: dict[str, str]) -> dict:\n"
    "    return {\"text\": await llm(f\"On {seed['concept']} for {seed['grade']}\")}\n",
    "spread seed": 'P = "{concept} {grade}"\nasync def generate(seed):\n'
    '    return {"text": await llm(P.format(**seed))}\n',
    "gather": generate_body(
        "drafts = await asyncio.gather(*[llm(prompt) for _ in range(3)])",
        'return {"text": max(drafts, key=len)}',
        before="import asyncio\n",
    ),
    "json": generate_body(
        'answer = await llm_json(prompt, schema={"type": "object", "properties": {"n": {"type": "integer"}, '
        '"t": {"type": "string"}}})',
        'return {"text": answer["t"] * max(answer["n"], 1)}',
    ),
    "chat": generate_body('answer = await chat([{"role": "user", "content": prompt}])', 'return {"text": answer}'),
    "a bounded retry": generate_body(
        'answer = ""',
        "for _ in range(3):",
        "    answer = await llm(prompt)",
        '    if answer.startswith("YES"):',
        "        break",
        'return {"text": answer}',
    ),
    "a field that is read, not quoted": (
        'YOUNG = "Simply: {concept}"\nOLD = "In depth: {concept}"\n'
        "async def generate(seed: dict[str, str]) -> dict:\n"
        '    prompt = YOUNG if int(seed["grade"]) < 8 else OLD\n'
        '    return {"text": await llm(prompt.format(concept=seed["concept"]))}\n'
    ),
    "own exception handling": generate_body(
        "try:",
        "    number = int(await llm(prompt))",
        "except ValueError:",
        "    number = 0",
        'return {"text": str(number)}',
    ),
    "braces in a prompt that is not filled": generate_body(
        "answer = await llm(prompt, system=SYSTEM)",
        'return {"text": answer}',
        before="SYSTEM = 'Answer like {\"a\": 1}'\n",
    ),
    "random": generate_body(
        "answer = await llm(prompt + choice(TONES) + str(random.randint(1, 3)))",
        'return {"text": answer}',
        before='import json, random\nfrom random import (\n    choice,\n)\nTONES = ["dry", "warm"]\n',
    ),
}


@pytest.mark.parametrize("source", GOOD.values(), ids=GOOD)
async def test_sound_workflows_pass(source: str, task: Task, sandbox: Sandbox) -> None:
    result = await preflight(source, task, sandbox)
    assert (result.gate, result.reason) == (None, "")
    assert result.workflow is not None
    assert result.workflow.fingerprint == fingerprint(source)


REFUSED = {
    "2 MB of text": (Gate.SIZE, "# " + "x" * 2_000_000, "bytes"),
    "nothing": (Gate.SIZE, " \n ", "empty"),
    "prose": (Gate.PARSE, "Here is your workflow:\n", "line 1"),
    "a syntax error": (Gate.PARSE, PIPELINE + "\ndef f(:\n", "line 23"),
    "code fences": (Gate.PARSE, f"```python\n{PIPELINE}```", "line 1"),
    "null bytes": (Gate.PARSE, "a = 1\0", "null bytes"),
    "deep nesting": (Gate.PARSE, "x = " + "-" * 50_000 + "1", "nested too deeply"),
    "a lone surrogate": (Gate.PARSE, "x = '\ud800'", "Unicode"),
    "no generate": (Gate.SIGNATURE, "P = 'x'\n", "async def generate(seed"),
    "generate is not async": (Gate.SIGNATURE, "def generate(seed):\n    return {}\n", "line 1: generate must be async"),
    "generate takes two": (Gate.SIGNATURE, "async def generate(seed, draft):\n    return {}\n", "one argument"),
    "generate twice": (Gate.SIGNATURE, generate_body(*ANSWER) * 2, "defined already"),
    "a call at the top": (Gate.SIGNATURE, PIPELINE + "\nprint('hi')\n", "top level"),
    "a main block": (Gate.SIGNATURE, PIPELINE + "\nif __name__ == '__main__':\n    pass\n", "top level"),
    "os": (Gate.SIGNATURE, "import os\n" + PIPELINE, "module os can't be imported"),
    "os inside a function": (Gate.SIGNATURE, generate_body("import os", *ANSWER), "module os"),
    "openai": (Gate.SIGNATURE, "from openai import OpenAI\n" + PIPELINE, "module openai"),
    "a relative import": (Gate.SIGNATURE, "from . import x\n" + PIPELINE, "can't be imported"),
    "an import of all": (Gate.SIGNATURE, "from json import *\n" + PIPELINE, "one by one"),
    "an llm of its own": (
        Gate.SIGNATURE,
        PIPELINE + "\nasync def llm(prompt):\n    return 'x'\n",
        "llm is given",
    ),
    "an undefined prompt": (Gate.PROMPTS, generate_body("answer = await llm(prompt + OTHER)", ANSWER[1]), "OTHER"),
    "an unused prompt": (Gate.PROMPTS, "SPARE = 'x'\n" + PIPELINE, "line 1: SPARE is defined but never used"),
    "an unused stage": (
        Gate.PROMPTS,
        PIPELINE.replace("    draft = await critique_and_revise(seed, draft)\n", ""),
        "critique_and_revise is never called",
    ),
    "an unfilled placeholder": (Gate.PROMPTS, PIPELINE.replace(", critique=critique", ""), "{critique}"),
    "a keyword without placeholder": (Gate.PROMPTS, PIPELINE.replace(" by this: {critique}", ""), "{critique}"),
    "a positional placeholder": (
        Gate.PROMPTS,
        PIPELINE.replace("this? {text}", "this? {}").replace(".format(text=draft", ".format(draft", 1),
        "plain names",
    ),
    "a numbered placeholder": (Gate.PROMPTS, PIPELINE.replace("this? {text}", "this? {0}"), "plain names"),
    "an attribute in a placeholder": (
        Gate.PROMPTS,
        PIPELINE.replace("this? {text}", "this? {text.__class__}"),
        "plain names",
    ),
    "JSON in a filled prompt": (
        Gate.PROMPTS,
        PIPELINE.replace("this? {text}", 'this? {text} as {"a": 1}'),
        "doubled",
    ),
    "a single brace": (Gate.PROMPTS, PIPELINE.replace("this? {text}", "this? {text} }"), "can't be filled"),
    "a dropped answer": (
        Gate.PROMPTS,
        generate_body("plan = await llm(prompt)", *ANSWER),
        "line 6: the answer in plan is never used",
    ),
    "an overwritten answer": (
        Gate.PROMPTS,
        generate_body("answer = await llm(prompt)", *ANSWER),
        "the answer in answer is replaced",
    ),
    "an answer nobody takes": (Gate.PROMPTS, generate_body("await llm(prompt)", *ANSWER), "thrown away"),
    "an unknown seed field": (
        Gate.PROMPTS,
        PIPELINE.replace('seed["grade"]', 'seed["level"]'),
        "its fields are concept, grade",
    ),
    "a missing await": (Gate.TYPES, generate_body("answer = llm(prompt).strip()", ANSWER[1]), "strip"),
    "an unknown argument": (Gate.TYPES, generate_body("answer = await llm(prompt, temp=1)", ANSWER[1]), "temp"),
    "an undefined name": (Gate.TYPES, generate_body("answer = await llm(prompt + extra)", ANSWER[1]), "extra"),
    "a generator": (
        Gate.TYPES,
        generate_body(
            "answer = await llm(prompt + ''.join(parts()))", ANSWER[1], before="def parts():\n    yield 'a'\n"
        ),
        "yield",
    ),
    "class inheritance": (
        Gate.TYPES,
        generate_body("raise Odd(await llm(prompt))", before="class Odd(Exception):\n    pass\n"),
        "inheritance",
    ),
    "an ignored input": (
        Gate.DRY_RUN,
        'P = "On {concept}"\nasync def generate(seed):\n'
        '    return {"text": await llm(P.format(concept=seed["concept"]))}\n',
        'seed["grade"] reaches no prompt',
    ),
    "a placeholder that reaches the model": (
        Gate.DRY_RUN,
        generate_body("answer = await llm(prompt + NEXT)", ANSWER[1], before='NEXT = "Then {style}"\n'),
        "{style}",
    ),
    "no model call": (Gate.DRY_RUN, generate_body('return {"text": prompt}'), "calls no model"),
    "a missing field": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"txt": answer}'), "lacks 'text'"),
    "a field too many": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": answer, "n": 1}'), "'n'"),
    "a number for text": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": len(answer)}'), "string"),
    "an empty text": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": answer[:0]}'), "empty"),
    "a text for a dict": (Gate.TYPES, generate_body(ANSWER[0], "return answer"), "dict"),
    "faith in a number": (
        Gate.DRY_RUN,
        generate_body("answer = int(await llm(prompt))", 'return {"text": str(answer)}'),
        "line 6: ValueError",
    ),
    "an endless loop": (Gate.DRY_RUN, generate_body("while True:", "    pass"), "ran longer than"),
    "an endless loop of calls": (
        Gate.DRY_RUN,
        generate_body("answer = ''", "while True:", "    answer += await llm(prompt)"),
        "for one sample",
    ),
    "calls whose failures are caught": (
        Gate.DRY_RUN,
        generate_body(
            "n = 0",
            "while True:",
            "    try:",
            "        print(await llm(prompt))",
            "    except Exception:",
            "        n += 1",
        ),
        "for one sample",
    ),
    "a million calls at once": (
        Gate.DRY_RUN,
        generate_body(
            "answers = await asyncio.gather(*[llm(prompt) for _ in range(10**6)])",
            'return {"text": answers[0]}',
            before="import asyncio\n",
        ),
        "",
    ),
    "all tokens at once": (
        Gate.DRY_RUN,
        generate_body(
            *[f"a{n} = await llm(prompt, max_tokens=8000)" for n in range(4)], 'return {"text": a0+a1+a2+a3}'
        ),
        "answer tokens",
    ),
    "a memory bomb": (Gate.DRY_RUN, generate_body("x = 'a' * 10**10", *ANSWER, "print(x)"), "MB of memory"),
    "a growing list": (
        Gate.DRY_RUN,
        generate_body("x = []", "while True:", "    x.append('a' * 1000 + str(len(x)))"),
        "MB of memory",
    ),
    "a huge number": (Gate.DRY_RUN, generate_body("x = (10**5000) ** 5000", *ANSWER, "print(x)"), ""),
    "deep recursion": (
        Gate.DRY_RUN,
        generate_body(
            "answer = await llm(prompt + str(down(0)))", ANSWER[1], before="def down(n):\n    return down(n + 1)\n"
        ),
        "RecursionError",
    ),
    "a 2 MB output": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": answer * 30000}'), "too large"),
    "a 200 kB output": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": answer * 3000}'), "at most 40000"),
    "an endlessly nested output": (
        Gate.DRY_RUN,
        generate_body(ANSWER[0], "x = [answer]", "for _ in range(5000): x = [x]", 'return {"text": x}'),
        "",
    ),
    "a set": (Gate.DRY_RUN, generate_body(ANSWER[0], 'return {"text": {answer}}'), "not JSON serializable"),
    "a file": (
        Gate.SIGNATURE,
        generate_body("x = eval('open')('/etc/passwd').read()", "answer = await llm(prompt + x)", ANSWER[1]),
        "eval can't be used here",
    ),
    "the class of a thing": (
        Gate.SIGNATURE,
        generate_body("x = eval('().__class__.__base__')", "answer = await llm(prompt + str(x))", ANSWER[1]),
        "eval can't be used here",
    ),
    "an escape by a template": (
        Gate.DRY_RUN,
        generate_body('x = (prompt + "{0.__class__}").format(prompt)', "answer = await llm(x)", ANSWER[1]),
        "__class__",
    ),
    "an import by eval": (
        Gate.SIGNATURE,
        generate_body("answer = await llm(prompt + str(eval('__import__(\"os\")')))", ANSWER[1]),
        "eval can't be used here",
    ),
    "the host's functions by name": (
        Gate.SIGNATURE,
        generate_body("answer = await llm(prompt + str(eval('host_done')))", ANSWER[1]),
        "eval can't be used here",
    ),
    "an empty prompt": (
        Gate.DRY_RUN,
        generate_body(ANSWER[0], 'answer += await llm("")', ANSWER[1]),
        "prompt is empty",
    ),
    "a huge exception": (
        Gate.DRY_RUN,
        generate_body("x = 'y' * 5_000_000", *ANSWER[:1], "if answer: raise ValueError(x)", ANSWER[1]),
        "ValueError",
    ),
    "a temperature of 9": (
        Gate.DRY_RUN,
        generate_body("answer = await llm(prompt, temperature=9.0)", ANSWER[1]),
        "temperature must lie in 0 to 2",
    ),
    "NaN for a temperature": (
        Gate.DRY_RUN,
        generate_body("answer = await llm(prompt, temperature=float('nan'))", ANSWER[1]),
        "temperature",
    ),
    "a huge prompt": (
        Gate.DRY_RUN,
        generate_body("answer = await llm(prompt * 20_000)", ANSWER[1]),
        "at most 200000",
    ),
    "a deep schema": (
        Gate.DRY_RUN,
        generate_body(
            's = {"type": "object"}',
            "for _ in range(60):",
            '    s = {"type": "object", "properties": {"a": s}}',
            "answer = await llm_json(prompt, schema=s)",
            'return {"text": str(answer)}',
        ),
        "nested more than",
    ),
}


@pytest.mark.parametrize(("gate", "source", "says"), REFUSED.values(), ids=REFUSED)
async def test_broken_workflow_is_stopped_at_its_gate(
    gate: Gate, source: str, says: str, task: Task, sandbox: Sandbox
) -> None:
    started = time.perf_counter()
    result = await preflight(source, task, sandbox, limits=SampleLimits(run_seconds=1.0, memory_mb=32))
    assert (result.gate, says in result.reason) == (gate, True), result.reason
    assert 10 < len(result.reason) <= 1200
    assert time.perf_counter() - started < 8


async def test_duplicate_is_found_before_anything_runs_whatever_its_spacing(task: Task, sandbox: Sandbox) -> None:
    known = {fingerprint(PIPELINE): 3}
    for source in (PIPELINE, PIPELINE.replace("Explain ", "Explain\n   "), "\n\n" + PIPELINE + "# the end\n"):
        result = await preflight(source, task, sandbox, known)
        assert result.gate is Gate.DUPLICATE
        assert "node 3" in result.reason
        assert result.workflow is not None
    assert (await preflight(PIPELINE, task, sandbox, set(known))).gate is Gate.DUPLICATE
    assert (await preflight(PIPELINE, task, sandbox, {"another"})).passed


async def test_seed_values_with_braces_go_through(sandbox: Sandbox) -> None:
    task = make_task(search_seeds=(SeedInput({"concept": r"\frac{a}{b} {grade} \ud800", "grade": '7"'}),) * 2)
    assert (await preflight(PIPELINE, task, sandbox)).passed


async def test_workflow_that_takes_an_answer_for_a_template_is_stopped(task: Task, sandbox: Sandbox) -> None:
    source = generate_body('answer = (await llm(prompt) + " {end}").format(end=".")', ANSWER[1])
    result = await preflight(source, task, sandbox)
    assert result.gate is Gate.DRY_RUN
    assert "braces" in result.reason


async def test_preflight_after_a_lost_worker_is_as_good_as_before(task: Task, sandbox: Sandbox) -> None:
    limits = SampleLimits(run_seconds=0.1)
    for _ in range(3):
        assert not (await preflight(generate_body("while True: pass"), task, sandbox, limits=limits)).passed
        assert (await preflight(PIPELINE, task, sandbox, limits=limits)).passed
