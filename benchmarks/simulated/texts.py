"""How a genome stands in texts: in a program's prompt, in the samples made by it, in known examples.

Owns the writing and the reading of these texts. To the engine they are ordinary; only the simulated models read in
them what they need to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchmarks.simulated.draws import number

__all__ = ["SampleText", "broken", "genome_in", "program", "program_in", "read_sample", "topic_in", "write_sample"]

_SHEET = re.compile(r"sheet:([0-9a-z]+);")
_TOPIC = re.compile(r"Explain (.+?) to a pupil")
_POINT = re.compile(r"\bPoint (\d+) ")
_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
_FEWEST, _MOST = 4, 12  # points of a sample; how many there are is its length

_PROGRAM = '''PROMPT = """Explain {{topic}} to a pupil in a few sentences, with an example from everyday life.
Keep to sheet:{genome}; in wording:{wording}; and to nothing else."""


async def generate(seed: dict[str, str]) -> dict:
    text = await llm(PROMPT.format(topic=seed["topic"]))
    return {{"text": text}}
'''


@dataclass(frozen=True, slots=True)
class SampleText:
    """What can be read from a sample. ``length`` and ``style`` are in -1..1, ``faults`` counts what spoils it."""

    genome: str  # "" where there is none
    length: float
    style: float
    faults: int


def program(genome: str, wording: str) -> str:
    """A workflow with this genome; another wording makes it another program with samples of its own."""
    return _PROGRAM.format(genome=genome, wording=wording)


def broken(source: str) -> str:
    """A workflow that no check lets pass: its prompt is never filled."""
    return source.replace('PROMPT.format(topic=seed["topic"])', "PROMPT")


def program_in(prompt: str) -> str:
    """The program that a prompt asks to improve; "" where it shows none."""
    found = _FENCE.search(prompt, max(0, prompt.find("program to improve")))
    return found.group(1) if found else ""


def genome_in(text: str) -> str:
    """The first genome in a text; "" where there is none."""
    found = _SHEET.search(text)
    return found.group(1) if found else ""


def topic_in(prompt: str) -> str:
    found = _TOPIC.search(prompt)
    return found.group(1) if found else ""


def write_sample(genome: str, topic: str, copy: str) -> str:
    """A sample of the genome's making. Its length and style are the genome's; ``copy`` makes it one of its kind."""
    points = _FEWEST + round((_MOST - _FEWEST) * number("length", genome))
    marks = round(4 * number("style", genome))
    body = " ".join(f"Point {at} of it is plain{'!' if at <= marks else '.'}" for at in range(1, points + 1))
    return f"Here is {topic}, by sheet:{genome}; copy:{copy};\n{body}\nThat is all about {topic}."


def read_sample(text: str, topic: str) -> SampleText:
    """What a sample shows. Faults: cut off or added to, off its topic, out of order."""
    points = [int(found) for found in _POINT.findall(text)]
    whole = text.startswith("Here is ") and text.rstrip().endswith(f"That is all about {topic}.")
    faults = (not whole) + (topic not in text) + (points != list(range(1, len(points) + 1)))
    middle = (_FEWEST + _MOST) / 2
    length = (len(points) - middle) / (_MOST - middle)
    return SampleText(genome_in(text), max(-1.0, min(1.0, length)), min(text.count("!"), 4) / 2 - 1, faults)
