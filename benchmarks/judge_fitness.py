"""How often a judge of known power is called fit, weak or unfit. ``python benchmarks/judge_fitness.py``: no model.

A judge of power A scores good outputs above bad ones in a share A of pairs by the mean of its metrics (binormal, equal
spread). Scores are cut to 1..5; "digits" rounds them to whole ones, as sampled verdicts are. Metrics of a judge share
half of their variance. "two of five" has its power in two metrics alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections import Counter
from pathlib import Path
from statistics import NormalDist

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from autosynth_core.judging.fitness import FitnessVerdict, fitness
from autosynth_core.judging.known import Known, KnownKind
from autosynth_core.records import Metric, MetricSet

SHARED = 0.5  # of a metric's variance
SPREAD = 0.5  # points: sd of one metric's score of good outputs
KINDS = {"one metric": [1.0], "five metrics": [1.0] * 5, "two of five": [2.5, 2.5, 0.0, 0.0, 0.0]}


def judged(chance: random.Random, power: float, signals: list[float], each_side: int, digits: bool) -> FitnessVerdict:
    """The verdict on one simulated judge that was shown ``each_side`` good and as many bad outputs."""
    metrics = MetricSet(tuple(Metric(f"m{i}", "", "", "") for i in range(len(signals))))
    of_mean = math.sqrt(SHARED + (1 - SHARED) / len(signals)) * SPREAD
    apart = math.sqrt(2) * NormalDist().inv_cdf(power) * of_mean  # of the means of good and bad outputs
    known, scores = [], {}
    for kind in (KnownKind.GOOD, KnownKind.BAD):
        for i in range(each_side):
            one = Known(f"{kind}{i}", kind, kind, {}, {})
            centre = 3 + (apart if kind is KnownKind.GOOD else -apart) / 2
            common = chance.gauss(0, math.sqrt(SHARED) * SPREAD)
            row = {
                metric.name: 3 + (centre - 3) * signal + common + chance.gauss(0, math.sqrt(1 - SHARED) * SPREAD)
                for metric, signal in zip(metrics.metrics, signals, strict=True)
            }
            scores[one.id] = {name: min(5.0, max(1.0, round(x) if digits else x)) for name, x in row.items()}
            known.append(one)
    return fitness(scores, known, metrics).verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judges", type=_whole, default=1000, help="simulated judges a line, 1 or more")
    parser.add_argument("--each-side", type=_whole, default=6, help="good outputs, and as many bad ones, 1 or more")
    parser.add_argument("--powers", type=_power, nargs="+", default=[0.5, 0.6, 0.8, 0.95], help="above 0 and below 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object, as the last line")
    args = parser.parse_args()
    rows = []
    print(f"{'power':>5}  {'judge':<13} {'scores':<9}" + "".join(f"{verdict:>8}" for verdict in FitnessVerdict))
    for power in args.powers:
        for name, signals in KINDS.items():
            for digits in (False, True):
                chance = random.Random(args.seed)
                got = Counter(judged(chance, power, signals, args.each_side, digits) for _ in range(args.judges))
                shares = {verdict: got[verdict] / args.judges for verdict in FitnessVerdict}
                scores = "digits" if digits else "expected"
                told = "".join(f"{share:>8.1%}" for share in shares.values())
                print(f"{power:>5}  {name:<13} {scores:<9}{told}", flush=True)
                rows.append({"power": power, "judge": name, "scores": scores, **shares})
    if args.json:
        print(json.dumps({"judges": args.judges, "each_side": args.each_side, "rows": rows}))


def _whole(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def _power(text: str) -> float:
    if not 0 < float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below 1")
    return float(text)


if __name__ == "__main__":
    main()
