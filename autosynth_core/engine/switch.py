"""The switch between a person's commands and a run's calls: awaited before every call to a model.

Owns also how a run ends that was told to: calls on the network may end, everything else that waits is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from autosynth_core.errors import AutoSynthError, LeaseLost

__all__ = ["Switch", "until_halted"]

T = TypeVar("T")

_LOOK_S = 0.05
_GRACE_S = 0.5  # for what the last answers lead to without another call


class Switch:
    """Open: calls go through. Paused: new calls wait. Halted: new calls raise, for good.

    Calls on the network are never cut: they are paid for, and their answers are recorded. ``owned`` tells whether the
    run's lease is still ours.
    """

    def __init__(self, owned: Callable[[], bool] = lambda: True) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._halting = asyncio.Event()
        self._error: AutoSynthError | None = None
        self._owned = owned
        self._calls_under_way: Callable[[], int] = lambda: 0

    async def __call__(self) -> None:
        await self._open.wait()
        if self._error is not None:
            raise self._error

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    @property
    def halted(self) -> AutoSynthError | None:
        """Why no more calls are made; None while the run goes on."""
        return self._error

    @property
    def lost(self) -> bool:
        """Whether another process has taken the run over."""
        return isinstance(self._error, LeaseLost)

    def require_owned(self) -> None:
        """Before each write: raises LeaseLost, and halts the run, when another process owns it now.

        The heartbeat alone would notice too late: a process that wakes from sleep goes on where it was.
        """
        if not self.lost and not self._owned():
            self.halt(LeaseLost("Another process has taken this run over."))
        if self.lost and self._error is not None:
            raise self._error

    def pause(self) -> None:
        if self._error is None:
            self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def halt(self, error: AutoSynthError) -> None:
        """Let no new call through; the first reason given stays, but a lost lease outdoes every other.

        Wakes what waits on a pause.
        """
        if self._error is None or isinstance(error, LeaseLost):
            self._error = error
        self._open.set()
        self._halting.set()

    async def wait_halted(self) -> None:
        await self._halting.wait()

    @property
    def calls_under_way(self) -> int:
        """Calls on the network now."""
        return self._calls_under_way()

    def follow(self, calls_under_way: Callable[[], int]) -> None:
        """Learn whom to ask how many calls are on the network."""
        self._calls_under_way = calls_under_way


async def until_halted(work: Coroutine[Any, Any, T], switch: Switch) -> T:
    """The result of ``work``. Once halted it goes on while calls are on the network, then ends within a second.

    What is cut is waiting: the pause before another attempt, and the cool-down that an endpoint asks for, which may
    be minutes. Raises what halted the run where ``work`` had to be cut.
    """
    task = asyncio.ensure_future(work)
    halting = asyncio.ensure_future(switch.wait_halted())
    try:
        await asyncio.wait({task, halting}, return_when=asyncio.FIRST_COMPLETED)
        while switch.calls_under_way and not task.done():
            await asyncio.wait({task}, timeout=_LOOK_S)
        await asyncio.wait({task}, timeout=_GRACE_S)
        if task.done():
            return task.result()
        assert switch.halted is not None
        raise switch.halted
    finally:
        halting.cancel()
        task.cancel()
        await asyncio.gather(task, halting, return_exceptions=True)
