"""How often a mean ever leaves its bound in 200 looks. ``python benchmarks/sequential_bounds.py``: some 20 s, no model.

Each line is another kind of value with mean 0. "measured" spreads are estimated beforehand from so many degrees of
freedom; "true spread x 1.25" is what a race meets whose differences scatter by more than the A/A stage saw.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from autosynth_core.judging.sequential import radius

LOOKS = 200
Draw = Callable[[random.Random], float]


def left_ever(draw: Draw, bounds: list[float], paths: int, df: int = 0) -> float:
    """The share of paths whose mean is outside at any look; ``df``: the spread is an estimate, drawn for each path."""
    chance = random.Random(1)
    left = 0
    for _ in range(paths):
        spread = math.sqrt(chance.gammavariate(df / 2, 2) / df) if df else 1.0
        total = 0.0
        for n, bound in enumerate(bounds, start=1):
            total += draw(chance)
            if abs(total) > n * bound * spread:
                left += 1
                break
    return left / paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=10_000, help="1 or more")
    parser.add_argument("--json", action="store_true", help="one object, as the last line")
    args = parser.parse_args()
    if args.paths < 1:
        parser.error(f"--paths {args.paths} is not 1 or more")
    always = [radius(n, 1.0) for n in range(1, LOOKS + 1)]
    once = [1.96 / math.sqrt(n) for n in range(1, LOOKS + 1)]
    cases: list[tuple[str, Draw, list[float], int]] = [
        ("normal", lambda chance: chance.gauss(0, 1), always, 0),
        ("whole digits", lambda chance: chance.choice((-1, 0, 0, 1)) * math.sqrt(2), always, 0),
        ("skewed (exponential)", lambda chance: chance.expovariate(1) - 1, always, 0),
        ("spread measured, 20 degrees of freedom", lambda chance: chance.gauss(0, 1), always, 20),
        ("spread measured, 6 degrees of freedom", lambda chance: chance.gauss(0, 1), always, 6),
        ("true spread x 1.25", lambda chance: chance.gauss(0, 1.25), always, 0),
        ("true spread x 1.5", lambda chance: chance.gauss(0, 1.5), always, 0),
        ("normal, with the bound for a single look", lambda chance: chance.gauss(0, 1), once, 0),
    ]
    shares = {}
    for name, draw, bounds, df in cases:
        shares[name] = left_ever(draw, bounds, args.paths, df)
        print(f"{name:<42}{shares[name]:>7.1%}", flush=True)
    if args.json:
        print(json.dumps({"paths": args.paths, "left": shares}))


if __name__ == "__main__":
    main()
