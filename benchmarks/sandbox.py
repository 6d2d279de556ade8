"""How fast workflows run and are checked. ``python benchmarks/sandbox.py [--json]``: some 3 s, no network.

The figures: seconds for 100 samples of three stages whose model calls take 50 ms each (at best 0.15 s), the best of
five; milliseconds of a preflight that passes, and of one that meets a duplicate, medians of twenty.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from autosynth_core.config import SampleLimits
from autosynth_core.records import OutputField, SeedInput, Task
from autosynth_core.workflow import Job, Sandbox, fingerprint, preflight

SAMPLES = 100
CALL_SECONDS = 0.05
SOURCE = '''
DRAFT = """Explain {concept} to grade {grade}."""
CRITIQUE = """What is wrong with this? {text}"""
REVISE = """Improve {text} by this: {critique}"""


async def generate(seed: dict[str, str]) -> dict:
    text = await llm(DRAFT.format(concept=seed["concept"], grade=seed["grade"]))
    critique = await llm(CRITIQUE.format(text=text))
    return {"text": await llm(REVISE.format(text=text, critique=critique))}
'''
SEED = SeedInput({"concept": "the cell", "grade": "7"})
TASK = Task("t", "d", "a", (OutputField("text", "x"),), (), (), (), (SEED,), ())


class SlowHost:
    """Answers a kilobyte after the time of a call."""

    async def llm(self, prompt: str, **_: object) -> str:
        await asyncio.sleep(CALL_SECONDS)
        return "word " * 200

    llm_json = chat = llm


async def _samples(sandbox: Sandbox) -> float:
    jobs = [Job(SEED, SlowHost(), number) for number in range(SAMPLES)]
    done = []
    started = time.perf_counter()
    await sandbox.run(SOURCE, jobs, SampleLimits(), lambda index, _: done.append(index))
    assert len(done) == SAMPLES
    return time.perf_counter() - started


async def _preflight_ms(sandbox: Sandbox, known: dict[str, int]) -> float:
    started = time.perf_counter()
    await preflight(SOURCE, TASK, sandbox, known)
    return (time.perf_counter() - started) * 1000


async def measure() -> dict[str, float]:
    async with Sandbox() as sandbox:
        await _samples(sandbox)
        runs = [await _samples(sandbox) for _ in range(5)]
        passing = [await _preflight_ms(sandbox, {}) for _ in range(20)]
        duplicate = [await _preflight_ms(sandbox, {fingerprint(SOURCE): 1}) for _ in range(20)]
    return {
        "samples_100_s": round(min(runs), 3),
        "preflight_ms": round(statistics.median(passing), 1),
        "duplicate_ms": round(statistics.median(duplicate), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args()
    figures = asyncio.run(measure())
    if given.json:
        print(json.dumps(figures))
        return
    print(f"100 samples of three 50 ms calls: {figures['samples_100_s']} s")
    print(f"preflight, passed: {figures['preflight_ms']} ms; a duplicate: {figures['duplicate_ms']} ms")


if __name__ == "__main__":
    main()
