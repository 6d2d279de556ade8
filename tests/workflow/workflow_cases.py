"""A task, a pipeline of three stages, and a host whose answers the test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from autosynth_core.records import OutputField, SeedInput, Task

PIPELINE = '''
DRAFT = """Explain {concept} to grade {grade}."""
CRITIQUE = """What is wrong with this? {text}"""
REVISE = """Improve {text} by this: {critique}"""


async def first_draft(seed: dict[str, str]) -> dict:
    answer = await llm(DRAFT.format(concept=seed["concept"], grade=seed["grade"]))
    return {"text": answer}


async def critique_and_revise(seed: dict[str, str], draft: dict) -> dict:
    critique = await llm(CRITIQUE.format(text=draft["text"]), temperature=0.2)
    answer = await llm(REVISE.format(text=draft["text"], critique=critique))
    return {"text": answer}


async def generate(seed: dict[str, str]) -> dict:
    draft = await first_draft(seed)
    draft = await critique_and_revise(seed, draft)
    return draft
'''


def make_task(*fields: OutputField, **changes: object) -> Task:
    values: dict[str, object] = {
        "title": "Explanations",
        "description": "Explain a concept.",
        "audience": "School students",
        "output_fields": fields or (OutputField("text", "the explanation"),),
        "must_nevers": ("a wrong fact",),
        "good_examples": (),
        "bad_examples": (),
        "search_seeds": (
            SeedInput({"concept": "the cell", "grade": "7"}),
            SeedInput({"concept": "the atom", "grade": "9"}),
        ),
        "sealed_seeds": (),
    }
    return Task(**{**values, **changes})


def generate_body(*lines: str, before: str = "") -> str:
    """A module whose ``generate`` is the given lines; both seed fields go into PROMPT as ``prompt``."""
    head = 'PROMPT = "On {concept} for {grade}."\n' + before + "\n\nasync def generate(seed: dict[str, str]) -> dict:\n"
    first = '    prompt = PROMPT.format(concept=seed["concept"], grade=seed["grade"])\n'
    return head + first + "".join(f"    {line}\n" for line in lines)


class ScriptedHost:
    """Answers by a function of the prompt and the number of the call; counts what it is asked."""

    def __init__(self, reply: Callable[[str, int], object] = lambda prompt, call: f"answer {call}", wait: float = 0):
        self.reply = reply
        self.wait = wait
        self.prompts: list[str] = []
        self.cancelled = 0

    async def llm(self, prompt: str, *, system: str | None, temperature: float, max_tokens: int) -> object:
        self.prompts.append(prompt)
        call = len(self.prompts)
        try:
            await asyncio.sleep(self.wait)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self.reply(prompt, call)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def llm_json(self, prompt: str, *, schema: dict, system, temperature, max_tokens) -> object:
        return await self.llm(prompt, system=system, temperature=temperature, max_tokens=max_tokens)

    async def chat(self, messages: list[dict[str, str]], *, temperature, max_tokens) -> object:
        return await self.llm(messages[-1]["content"], system=None, temperature=temperature, max_tokens=max_tokens)
