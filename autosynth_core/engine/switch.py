"""The switch between a person's commands and a run's calls: awaited before every call to a model."""

from __future__ import annotations

import asyncio

from autosynth_core.errors import AutoSynthError

__all__ = ["Switch"]


class Switch:
    """Open: calls go through. Paused: new calls wait. Halted: new calls raise, for good.

    Calls on the network are never cut: they are paid for, and their answers are recorded.
    """

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._error: AutoSynthError | None = None

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

    def pause(self) -> None:
        if self._error is None:
            self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def halt(self, error: AutoSynthError) -> None:
        """Let no new call through; the first reason given stays. Wakes what waits on a pause."""
        self._error = self._error or error
        self._open.set()
