"""How many calls to one model may be in flight.

Owns the number: additive increase, multiplicative decrease (AIMD), and the cool-down an endpoint asks for. Which
failures mean "slow down", and whether a call is tried again, is the client's business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DECREASE = 0.75
RAISE_AFTER = 25  # successes
CUTS_A_WINDOW = 3
COOL_DOWN_S = 0.25  # after a refusal that names no time; doubles while nothing succeeds
COOL_DOWN_CAP_S = 20.0
RETRY_AFTER_CAP_S = 300.0  # an endpoint that asks for an hour is asked again sooner
TOLD_FROM_S = 30.0  # a cool-down so long is told: else a run seems to hang


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to one call. ``window`` counts the cool-downs begun before it was given."""

    window: int


class Throttle:
    """First come, first served admission of calls to one model, at most ``limit`` at once.

    A refusal (HTTP 429 or 503) multiplies the limit by 0.75, never below 1, and starts a cool-down in which nothing is
    admitted; 25 successes raise it by one, up to the ceiling. Calls that were in flight together are refused together,
    and together they cut the limit three times at most: else one burst would take it to 1 and thousands of
    calls would pass before it recovered. A caller that is cancelled while it waits, or while it holds a
    slot, gives its place on. ``tell`` is given the seconds of a long cool-down, once.
    """

    def __init__(
        self,
        ceiling: int,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        tell: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._ceiling = ceiling
        self._limit = float(ceiling)
        self._clock = clock
        self._sleep = sleep
        self._tell = tell
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._window = 0
        self._cuts = 0
        self._successes = 0
        self._streak = 0  # windows refused since the last success
        self._cool_until = 0.0
        self._told_until = 0.0

    @property
    def limit(self) -> int:
        """Calls admitted at once, 1..ceiling."""
        return int(self._limit)

    @property
    def held(self) -> int:
        """Slots given out and not returned."""
        return self._held

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a place and for the end of any cool-down; hold the place for the body's duration."""
        await self._acquire()
        try:
            while (wait := self._cool_until - self._clock()) > 0:
                await self._sleep(wait)
            yield Slot(self._window)
        finally:
            self._held -= 1
            self._admit()

    def succeeded(self) -> None:
        """A call was answered."""
        self._streak = 0
        self._successes += 1
        if self._successes >= RAISE_AFTER:
            self._successes = 0
            self._limit = min(float(self._ceiling), self._limit + 1)
            self._admit()

    def refused(self, slot: Slot, retry_after_s: float | None = None) -> None:
        """A call was turned away because of load; ``retry_after_s`` is what the endpoint asked for, if it did."""
        self._successes = 0
        if slot.window == self._window:
            self._window, self._cuts, self._streak = self._window + 1, 0, self._streak + 1
        if self._cuts < CUTS_A_WINDOW:
            self._cuts += 1
            self._limit = max(1.0, self._limit * DECREASE)
        if retry_after_s is None:
            wait = min(COOL_DOWN_CAP_S, COOL_DOWN_S * 2.0 ** min(self._streak - 1, 10))
        else:
            wait = min(RETRY_AFTER_CAP_S, max(0.0, retry_after_s))
        now = self._clock()
        self._cool_until = max(self._cool_until, now + wait)
        if wait >= TOLD_FROM_S and now >= self._told_until:
            self._told_until = self._cool_until
            self._tell(wait)

    async def _acquire(self) -> None:
        if not self._waiting and self._held < self.limit:
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():  # the place was given in the same moment as the cancellation
            self._held -= 1
        elif turn in self._waiting:
            self._waiting.remove(turn)
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._held < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)


def retry_after_s(header: str | None, now: float) -> float | None:
    """Seconds from a ``Retry-After`` header: a number, or an HTTP date measured against ``now`` (UTC epoch seconds).

    None where there is none or it can't be read; never negative, at most RETRY_AFTER_CAP_S.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = _seconds_until(header, now)
    if seconds != seconds:  # NaN
        return None
    return min(RETRY_AFTER_CAP_S, max(0.0, seconds))


def _seconds_until(date: str, now: float) -> float:
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, IndexError, OverflowError):
        return float("nan")
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - datetime.fromtimestamp(now, UTC)).total_seconds()
