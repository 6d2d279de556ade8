"""Several calls at once, none left behind.

Owns the one rule that verdicts and candidates share: all results in order, or the first error with everything else
cancelled and ended. How many calls really run at once is the throttle's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["concurrently", "one_by_one"]

T = TypeVar("T")


async def concurrently(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in the order of ``work``. The first error is raised as it is, once the others have ended."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_by_one(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in the order of ``work``, each started when the one before has ended. Pass a generator."""
    return [await coroutine for coroutine in work]
