"""Many simulated searches: what each is made of, and running them in several processes.

Owns the spread over processes and the seeds. The same trial gives the same facts in any process, except for seconds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosynth_core.workflow import Sandbox
from autosynth_core.workflow.sandbox import CLOSING_WAIT
from benchmarks.simulated.arms import ARMS, COMMON, arm_settings
from benchmarks.simulated.clock import SimulatedLoop, WatchedSandbox
from benchmarks.simulated.draws import generator
from benchmarks.simulated.judge import Judge
from benchmarks.simulated.landscape import LandscapeFile
from benchmarks.simulated.models import World
from benchmarks.simulated.runs import Facts, run_once

__all__ = ["Conditions", "Trial", "run_trials"]

_BATCH = 6  # trials that share a sandbox


@dataclass(frozen=True, slots=True)
class Conditions:
    """The world around a landscape. ``judge`` holds fields of ``Judge``, seeds apart; rates are shares of children."""

    judge: Mapping[str, Any] = field(default_factory=dict)
    broken: float = 0.1
    duplicate: float = 0.05
    unchanged: float = 0.05
    poisoned: int = 0  # metric sets a run, at iterations drawn between 3 and 20
    logprobs: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """One search to be run. ``given`` are settings for whatever arm it is, ``changed`` settings that differ from it.

    ``pace`` above 0 runs it in simulated time (see ``models.SimulatedClient``).
    """

    landscape: LandscapeFile
    arm: str
    seed: int
    conditions: Conditions = Conditions()
    given: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    stopping: bool = False
    pace: float = 0.0

    def world(self) -> World:
        near, seed = self.conditions, self.seed
        sizes = {"seed_inputs": self._common("seed_inputs"), "metrics": self._common("metric_count")}
        return World(
            self.landscape.draw(seed),
            Judge(**{**sizes, **near.judge}, seed=seed),
            near.broken,
            near.duplicate,
            near.unchanged,
            frozenset(generator("poisoned", seed).sample(range(3, 21), near.poisoned)),
            near.logprobs,
            seed,
        )

    def _common(self, name: str) -> Any:
        """What noise is measured by: the sizes that all arms begin with, not what this arm makes of them."""
        return self.given.get(name, COMMON[name])

    async def run(self, sandbox: Sandbox, folder: Path) -> Facts:
        chosen = arm_settings({**ARMS[self.arm], **self.changed}, stopping=self.stopping, **self.given, seed=self.seed)
        return await run_once(self.world(), chosen.settings, sandbox, folder, pace=self.pace)


def run_trials(
    trials: Sequence[Trial], *, processes: int = 1, told: Callable[[int, int], None] = lambda done, all_: None
) -> list[Facts]:
    """The facts of each trial, in their order. ``told`` hears of progress: trials done, trials in all."""
    batches = [trials[start : start + _BATCH] for start in range(0, len(trials), _BATCH)]
    facts: list[Facts] = []
    for found in _spread(batches, min(processes, len(batches))):
        facts += found
        told(len(facts), len(trials))
    return facts


def _spread(batches: Sequence[Sequence[Trial]], processes: int) -> Iterator[list[Facts]]:
    if processes <= 1:
        yield from map(_run_batch, batches)
        return
    # Started afresh: a fork would copy this process's threads' locks, and the sandbox's runtime has threads.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_run_batch, batches)


def _run_batch(trials: Sequence[Trial]) -> list[Facts]:
    simulated = any(trial.pace for trial in trials)
    with tempfile.TemporaryDirectory() as folder:
        if not simulated:
            return asyncio.run(_run_each(trials, Sandbox(), Path(folder)))
        loop = SimulatedLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            facts = runner.run(_run_each(trials, WatchedSandbox(loop), Path(folder)))
        time.sleep(CLOSING_WAIT)  # the sandbox's own wait was in simulated time
        return facts


async def _run_each(trials: Sequence[Trial], sandbox: Sandbox, folder: Path) -> list[Facts]:
    async with sandbox:
        return [await trial.run(sandbox, folder) for trial in trials]
