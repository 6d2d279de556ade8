"""A clock that stands still while anything works and jumps while everything waits.

Owns an event loop whose time is simulated: it moves only when all there is to do is to wait for a simulated model. The
sandbox answers from other processes, in real time; while it has something to do the clock stands, so that its time,
like the engine's own, counts as none. What is measured is how well the engine overlaps its calls.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from autosynth_core.config import SampleLimits
from autosynth_core.workflow import Job, Outcome, Sandbox

__all__ = ["SimulatedLoop", "WatchedSandbox"]

_SILENCE_S = 20.0  # real; a sandbox that says nothing for so long has lost something


class _Selector(selectors.DefaultSelector):
    """Waits for real input while somebody works, else lets the time until the next timer pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(_SILENCE_S if self.working else 0)
        if not events:
            if self.working:
                raise RuntimeError("the sandbox has not answered; the simulated clock can't go on")
            self.now += timeout
        return events


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated seconds, from 0."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.now

    @contextmanager
    def working(self, count: int = 1) -> Iterator[None]:
        """Keep the clock still meanwhile."""
        self._waits.working += count
        try:
            yield
        finally:
            self._waits.working -= count


class WatchedSandbox(Sandbox):
    """The sandbox, telling the clock when it works: whenever a sample of it is not waiting for a model.

    Holds for workflows that make one call after another, as the simulated ones do.
    """

    def __init__(self, loop: SimulatedLoop, processes: int = 32) -> None:
        super().__init__(processes)
        self._clock = loop

    async def type_check(self, source: str) -> str | None:
        with self._clock.working():
            return await super().type_check(source)

    async def run(
        self, source: str, jobs: Sequence[Job], limits: SampleLimits, on_result: Callable[[int, Outcome], None]
    ) -> None:
        left = len(jobs)
        watched = [replace(job, host=_WatchedHost(job.host, self._clock)) for job in jobs]
        # One for each sample that is not finished, and one for the session's end, which comes after the last of them.
        waits = self._clock._waits

        def finished(index: int, outcome: Outcome) -> None:
            nonlocal left
            left -= 1
            waits.working -= 1 if left else 0
            on_result(index, outcome)

        waits.working += left
        try:
            await super().run(source, watched, limits, finished)
        finally:
            waits.working -= max(left, 1) if jobs else 0


class _WatchedHost:
    """A host whose calls are waits."""

    def __init__(self, host: Any, clock: SimulatedLoop) -> None:
        self._host = host
        self._clock = clock

    async def llm(self, *args: Any, **named: Any) -> Any:
        with self._clock.working(-1):
            return await self._host.llm(*args, **named)

    async def llm_json(self, *args: Any, **named: Any) -> Any:
        with self._clock.working(-1):
            return await self._host.llm_json(*args, **named)

    async def chat(self, *args: Any, **named: Any) -> Any:
        with self._clock.working(-1):
            return await self._host.chat(*args, **named)
