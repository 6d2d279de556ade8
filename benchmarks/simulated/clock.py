"""A clock that stands still while anything works and jumps while everything waits.

Owns an event loop whose time is simulated: it moves only when all there is to do is to wait for a simulated model. The
sandbox answers from other processes, in real time; while it has something to do the clock stands, so that its time,
like the engine's own, counts as none. What is measured is how well the engine overlaps its calls.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autosynth_core.workflow import Sandbox
from autosynth_core.workflow.sandbox import _Batch, _Sample

__all__ = ["SimulatedLoop", "WatchedSandbox"]

_SILENCE_S = 60.0  # real; a sandbox that says nothing for so long has lost something

Works = Callable[[], bool]


class _Selector(selectors.DefaultSelector):
    """Waits for real input while somebody works, else lets the time until the next timer pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.watched: list[Works] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        at_work = any(works() for works in self.watched)
        events = super().select(_SILENCE_S if at_work else 0)
        if at_work and not events:
            raise RuntimeError("the sandbox has not answered; the simulated clock can't go on")
        if not events:
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
    def watching(self, works: Works) -> Iterator[None]:
        """Keep the clock still meanwhile, whenever ``works`` says so."""
        self._waits.watched.append(works)
        try:
            yield
        finally:
            self._waits.watched.remove(works)


class WatchedSandbox(Sandbox):
    """The sandbox, telling the clock when it works: whenever a sample in a session is not waiting for a model.

    A sample that waits for a session works no more than one that waits for a model.
    """

    def __init__(self, loop: SimulatedLoop, processes: int = 64) -> None:
        super().__init__(processes)
        self._clock = loop

    async def type_check(self, source: str) -> str | None:
        with self._clock.watching(lambda: True):
            return await super().type_check(source)

    async def _session(self, batch: _Batch, group: list[_Sample], *, shared: bool) -> str:
        def works() -> bool:
            left = [sample for sample in group if sample.outcome is None]
            return not left or any(not sample.waiting for sample in left)

        with self._clock.watching(works):
            return await super()._session(batch, group, shared=shared)
