"""Randomness by name: the same parts, the same draw, on any machine and in any order.

Owns how a hash becomes a number, and bounded noise of a given mean and spread.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from random import Random

__all__ = ["between", "generator", "number", "word"]


def _digest(parts: tuple[object, ...]) -> int:
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def number(*parts: object) -> float:
    """0..1 (both excluded), uniform over what the parts say."""
    return (_digest(parts) + 0.5) / 2**64


def word(*parts: object) -> str:
    """8 hex digits."""
    return f"{_digest(parts):016x}"[:8]


def generator(*parts: object) -> Random:
    """A generator of its own for what the parts say."""
    return Random(_digest(parts))


def between(mean: float, sd: float, random: Random) -> float:
    """A draw from the Beta distribution with this mean (0..1) and standard deviation.

    Never outside of 0..1, so that nothing is clipped and the mean stays exact. The spread is cut where no
    distribution on 0..1 has it: at 0.98 of ``sqrt(mean (1 - mean))``.
    """
    sd = min(sd, 0.98 * math.sqrt(mean * (1 - mean))) if 0 < mean < 1 else 0.0
    if sd <= 1e-9:
        return mean
    weight = mean * (1 - mean) / (sd * sd) - 1
    return random.betavariate(mean * weight, (1 - mean) * weight)
