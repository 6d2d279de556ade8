"""Scripted models for the whole product: optimizer, evaluator and generator behind the OpenAI protocol.

Every answer is a function of the request's content alone, so that a run on it can be repeated. Qualities are drawn
from the text by hashing; nothing here is meant to be good at teaching. As a program it serves until it is killed::

    python tests/support/scripted_models.py --port 9000 --delay 0.05
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from openai_server import Fault, Faults, OpenAIServer, Reply

__all__ = ["ScriptedModels", "judge_reply", "outside_data", "serve"]

_DATA = re.compile(r"<data name=\"[^\"\n]*\">\n.*?\n</data>", re.DOTALL)
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
_WORDS = [
    "river",
    "bridge",
    "lantern",
    "orchard",
    "engine",
    "harbor",
    "pebble",
    "compass",
    "ladder",
    "mirror",
    "kettle",
    "garden",
    "window",
    "signal",
    "thread",
    "market",
    "anchor",
    "basket",
    "candle",
    "feather",
]


def _number(text: str) -> float:
    """0..1, the same for the same text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()) / 2**64


def _phrase(text: str, words: int = 8) -> str:
    return " ".join(_WORDS[int(_number(f"{text}:{index}") * len(_WORDS))] for index in range(words))


def outside_data(text: str) -> str:
    """What a judge that never obeys data would read as instructions: everything outside the data blocks."""
    return _DATA.sub("", text)


def judge_reply(score: float) -> Reply:
    """A one-token verdict whose expected score is ``score`` (1..5)."""
    low = min(4, max(1, math.floor(score)))
    share = min(0.99, max(0.01, score - low))
    pairs = sorted([(str(low + 1), math.log(share)), (str(low), math.log(1 - share))], key=lambda pair: -pair[1])
    return Reply(pairs[0][0], first_token=pairs)


def _first_constant(source: str) -> Any:
    """The first assignment of a text to a name in capitals at the top of a program; None where there is none."""
    for statement in ast.parse(source).body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        ):
            return statement
    return None


def _first_program(prompt: str) -> str:
    """A one-prompt program for a task with text fields; for one with a dialogue there is none."""
    inputs = re.findall(r'^- seed\["(\w+)"\]', prompt, re.MULTILINE)
    outputs = re.findall(r'^- "(\w+)": (a list)?', prompt, re.MULTILINE)
    if any(listed for _, listed in outputs):
        return "CHANGE: nothing comes to mind."
    given = "\n".join(f"{name}: {{{name}}}" for name in inputs)
    filled = ", ".join(f'{name}=seed["{name}"]' for name in inputs)
    parts = ", ".join(f'"{name}": text' for name, _ in outputs)
    return (
        "CHANGE: One prompt says what is wanted.\n```python\n"
        f'PROMPT = """Write what a good teacher would write, in plain words.\n{given}"""\n\n\n'
        "async def generate(seed: dict[str, str]) -> dict:\n"
        f"    text = await llm(PROMPT.format({filled}))\n"
        f"    return {{{parts}}}\n```"
    )


class ScriptedModels:
    """Answers a chat completion. ``rewrite`` replaces how a program is rewritten: (prompt, program) -> answer."""

    def __init__(self, rewrite: Callable[[str, str], str] | None = None, noise: float = 0.0) -> None:
        self._rewrite = rewrite or self._better_program
        self._noise = noise
        self.judged = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        messages = body["messages"]
        system = " ".join(str(each["content"]) for each in messages if each["role"] == "system")
        prompt = str(next(each["content"] for each in messages if each["role"] == "user"))
        if "strict judge of teaching material" in system:
            self.judged += 1
            return self._verdict(prompt)
        if "```python" in prompt and "CHANGE:" in prompt:
            return Reply(self._program(messages, prompt))
        if body.get("response_format", {}).get("type") == "json_schema":
            schema = body["response_format"]["json_schema"]["schema"]
            return Reply(json.dumps(self._filled(schema, prompt, "", self._placeholders(prompt))))
        if body.get("response_format") or "How many legs" in prompt:
            return Reply('{"colour": "blue"}') if body.get("response_format") else judge_reply(4.0)
        return Reply(f"A short text about a {_phrase(json.dumps(messages))}. It ends here.")

    def _verdict(self, prompt: str) -> Reply:
        """A quality drawn from the text judged; a gullible judge's 5 when told so outside of the data."""
        if re.search(r"answer (with )?5", outside_data(prompt), re.IGNORECASE):
            return judge_reply(4.99)
        return judge_reply(2.0 + 2.5 * _number(prompt))

    def _program(self, messages: Sequence[dict[str, Any]], prompt: str) -> str:
        turns = sum(each["role"] == "assistant" for each in messages)
        found = _PROGRAM.search(prompt[prompt.find("program to improve") :]) if "program to improve" in prompt else None
        source = found.group(1) if found else ""
        return self._rewrite(f"{prompt}:{turns}", source)

    @staticmethod
    def _better_program(prompt: str, source: str) -> str:
        """The program with one more sentence at the head of its first prompt; without a program, a first one."""
        if not source:
            return _first_program(prompt)
        constant = _first_constant(source)
        if constant is None:
            return "CHANGE: nothing, there is no prompt in the program."
        wish = f"Mind the {_phrase(prompt, 5)}."
        lines = source.splitlines(keepends=True)
        lines[constant.lineno - 1 : constant.end_lineno] = [
            f"{constant.targets[0].id} = {(wish + chr(10) + constant.value.value)!r}\n"
        ]
        return f"CHANGE: The prompt now says: {wish}\n```python\n{''.join(lines)}```"

    @staticmethod
    def _placeholders(prompt: str) -> str:
        found = re.search(r"placeholders, written exactly so: ([^.]*)\.", prompt)
        return found.group(1) if found else ""

    def _filled(self, schema: dict[str, Any], prompt: str, path: str, keep: str) -> Any:
        kind = schema.get("type")
        if "enum" in schema:
            return schema["enum"][0]
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self._filled(each, prompt, f"{path}/{name}", keep) for name, each in properties.items()}
        if kind == "array":
            size = int(schema.get("minItems", 2))
            return [self._filled(schema["items"], prompt, f"{path}/{index}", keep) for index in range(size)]
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        if kind == "boolean":
            return True
        text = f"{_phrase(prompt + path, 7).capitalize()}, told plainly. {keep}".strip()
        while len(text) < int(schema.get("minLength", 0)):
            text += " " + _phrase(text, 4)
        return text[: int(schema.get("maxLength", 100_000))]


def serve(argv: Sequence[str] | None = None) -> None:
    """Serve until killed; prints one line with the base URL when it is ready."""
    parser = argparse.ArgumentParser(description="Scripted models behind the OpenAI protocol, for tests and trials.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="seconds an answer takes")
    parser.add_argument("--fault-rate", type=float, default=0.0, metavar="P", help="share of attempts that fail, 0..1")
    args = parser.parse_args(argv)
    faults = Faults(args.fault_rate, hang_s=5.0, kinds=tuple(Fault)) if args.fault_rate else None
    with OpenAIServer(
        ScriptedModels(), port=args.port, delay_s=args.delay, faults=faults, models=["scripted"], keep=False
    ) as server:
        print(server.base_url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    serve()
