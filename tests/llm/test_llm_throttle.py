"""The throttle on a clock of its own."""

from __future__ import annotations

import asyncio

import pytest

from autosynth_core.llm.throttle import RETRY_AFTER_CAP_S, Slot, Throttle, retry_after_s


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def throttle(ceiling: int) -> tuple[Throttle, Clock]:
    clock = Clock()
    return Throttle(ceiling, clock=clock, sleep=clock.sleep), clock


def test_refusals_in_different_windows_each_cut_by_a_quarter() -> None:
    limiter, _ = throttle(64)
    limiter.refused(Slot(0))
    assert limiter.limit == 48
    limiter.refused(Slot(1))
    assert limiter.limit == 36


def test_one_burst_does_not_cut_to_one() -> None:
    limiter, _ = throttle(64)
    for _ in range(64):
        limiter.refused(Slot(0))
    assert limiter.limit == 27


def test_limit_stays_at_least_one() -> None:
    limiter, _ = throttle(2)
    for window in range(50):
        limiter.refused(Slot(window))
    assert limiter.limit == 1


def test_twenty_five_successes_raise_by_one_up_to_the_ceiling() -> None:
    limiter, _ = throttle(4)
    limiter.refused(Slot(0))
    for _ in range(24):
        limiter.succeeded()
    assert limiter.limit == 3
    limiter.succeeded()
    assert limiter.limit == 4
    for _ in range(100):
        limiter.succeeded()
    assert limiter.limit == 4


async def test_retry_after_is_waited_for() -> None:
    limiter, clock = throttle(4)
    async with limiter.slot() as slot:
        limiter.refused(slot, 7.0)
    async with limiter.slot():
        assert clock.now == pytest.approx(107.0)


async def test_cool_down_doubles_while_nothing_succeeds() -> None:
    limiter, clock = throttle(8)
    for _ in range(4):
        async with limiter.slot() as slot:
            limiter.refused(slot)
    assert clock.slept == pytest.approx([0.25, 0.5, 1.0])


async def test_waiting_calls_are_served_in_order() -> None:
    limiter, _ = throttle(2)
    served: list[int] = []

    async def call(number: int) -> None:
        async with limiter.slot():
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(number) for number in range(20)))
    assert served == list(range(20))


async def test_newcomer_does_not_overtake_the_queue() -> None:
    limiter, _ = throttle(1)
    order: list[str] = []

    async def call(name: str) -> None:
        async with limiter.slot():
            order.append(name)

    async with limiter.slot():
        waiting = asyncio.create_task(call("first"))
        await asyncio.sleep(0)
    newcomer = asyncio.create_task(call("second"))
    await asyncio.gather(waiting, newcomer)
    assert order == ["first", "second"]


async def test_cancelled_in_the_moment_of_admission_passes_the_place_on() -> None:
    limiter, _ = throttle(1)
    entered: list[str] = []

    async def call(name: str) -> None:
        async with limiter.slot():
            entered.append(name)

    async with limiter.slot():
        first = asyncio.create_task(call("first"))
        second = asyncio.create_task(call("second"))
        await asyncio.sleep(0)
    first.cancel()  # its place was given a moment ago
    await asyncio.gather(first, second, return_exceptions=True)
    assert entered == ["second"]
    assert limiter.held == 0


async def test_cancelled_during_cool_down_gives_its_place_back() -> None:
    limiter = Throttle(1, clock=lambda: 0.0, sleep=lambda seconds: asyncio.sleep(30))
    limiter.refused(Slot(0), 30.0)

    async def call() -> None:
        async with limiter.slot():
            pass

    task = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    assert limiter.held == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert limiter.held == 0


async def test_long_cool_down_is_told_once() -> None:
    clock, told = Clock(), list[float]()
    limiter = Throttle(8, clock=clock, sleep=clock.sleep, tell=told.append)
    for _ in range(5):
        limiter.refused(Slot(0), 300.0)
    assert told == [300.0]
    clock.now += 301
    limiter.refused(Slot(1), 120.0)
    assert told == [300.0, 120.0]


async def test_short_cool_down_is_not_told() -> None:
    clock, told = Clock(), list[float]()
    limiter = Throttle(8, clock=clock, sleep=clock.sleep, tell=told.append)
    for window in range(12):
        limiter.refused(Slot(window), None if window % 2 else 5.0)
    assert told == []


async def test_long_cool_down_behind_a_short_one_is_told() -> None:
    clock, told = Clock(), list[float]()
    limiter = Throttle(8, clock=clock, sleep=clock.sleep, tell=told.append)
    limiter.refused(Slot(0), None)
    limiter.refused(Slot(0), 90.0)
    assert told == [90.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("inf", RETRY_AFTER_CAP_S),
        ("86400", RETRY_AFTER_CAP_S),
        ("9" * 5000, RETRY_AFTER_CAP_S),
        ("Fri, 31 Dec 9999 23:59:59 -2359", RETRY_AFTER_CAP_S),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 99 Foo 9999999 99:99:99", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now=40.0) == seconds
