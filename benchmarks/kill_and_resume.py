"""Kill one search with SIGKILL at twenty random moments, resume it each time, and compare it with an unbroken run.

On scripted models, without any model to fetch::

    python benchmarks/kill_and_resume.py --kills 20 --json

Exit status 0 when nothing was lost, nothing was paid for twice and the tree is the same; 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "engine")]

from engine_kills import Report, kill_and_resume  # noqa: E402


def sound(report: Report) -> bool:
    """Whether the kills cost nothing and changed nothing."""
    wrong = report.paid_twice + report.asked_again + report.lost + report.unrecorded + report.missing
    return report.same_tree and wrong == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill and resume one search, and compare it with an unbroken run.")
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the moments and of the delays")
    parser.add_argument("--delay", type=float, default=0.1, metavar="S", help="the longest time an answer takes")
    parser.add_argument("--iterations", type=int, default=30, metavar="N")
    parser.add_argument("--seed-inputs", type=int, default=8, metavar="N")
    parser.add_argument("--workers", type=int, default=4, metavar="K")
    parser.add_argument("--grace", type=float, default=0.3, metavar="S", help="answers sent so long before count")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = kill_and_resume(
            Path(folder), kills=args.kills, seed=args.seed, grace_s=args.grace, most_s=args.delay,
            iterations=args.iterations, seed_inputs=args.seed_inputs, workers=args.workers,
        )  # fmt: skip
    found = {"sound": sound(report), **asdict(report)}
    if args.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0 if sound(report) else 1


if __name__ == "__main__":
    sys.exit(main())
