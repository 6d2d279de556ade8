"""How well the search chooses, in a world where the truth is known.

The real engine runs on simulated models: a landscape says how good each workflow truly is, a judge sees that through
noise and bias, and what the engine chooses and says is held against the truth::

    python benchmarks/search_quality.py --repeats 20 --json
    python benchmarks/search_quality.py --landscape mine.json --noise 0.1 --arms default,aflow
    python benchmarks/search_quality.py --claims --repeats 20

Landscapes, the file format, the model of the judge's error and every figure stand in docs/benchmarks.md. ``noise`` is
the standard deviation of a node's score in reward units (0..1).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.simulated.arms import ARMS, COMMON, arm_settings  # noqa: E402
from benchmarks.simulated.claims import CLAIMS, Bench, Claim, early_stops  # noqa: E402
from benchmarks.simulated.figures import Row, as_json, plot, row_of, table  # noqa: E402
from benchmarks.simulated.landscape import LandscapeError, LandscapeFile, read_landscape  # noqa: E402
from benchmarks.simulated.runs import Facts  # noqa: E402
from benchmarks.simulated.trials import Conditions, Trial, run_trials  # noqa: E402

SHIPPED = Path(__file__).parent / "landscapes"
USUAL = ("additive", "rugged", "deceptive", "plateau", "walk")
SHOWN = ("regret", "gain", "bias", "coverage", "tau", "early_stops", "iterations", "judge_calls", "seconds")


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments().parse_args(argv)
    try:
        landscapes = [read_landscape(_place(name)) for name in args.landscape or USUAL]
        given = _given(args)
    except (LandscapeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    found = _claims(args, landscapes, given) if args.claims is not None else _compared(args, landscapes, given)
    found["settings"] = {"noise": args.noise, "repeats": args.repeats, "seed": args.seed, **COMMON, **given}
    found["wall_s"] = round(time.monotonic() - begun, 1)
    if args.json:
        print(json.dumps(found))
    return 0


def _compared(args: argparse.Namespace, landscapes: Sequence[LandscapeFile], given: dict[str, Any]) -> dict[str, Any]:
    """Every arm on every landscape."""
    cases = [(landscape, arm) for landscape in landscapes for arm in args.arms]
    trials = [
        Trial(landscape, arm, seed, _conditions(args), given, stopping=stopping)
        for landscape, arm in cases
        for stopping in ((False, True) if args.stopping else (False,))
        for seed in _seeds(args)
    ]
    facts = iter(run_trials(trials, processes=args.jobs, told=_told))
    rows = [_row(landscape.name, arm, facts, args, given) for landscape, arm in cases]
    print(table(rows, [name for name in SHOWN if args.stopping or name != "early_stops"]))
    if args.plot:
        plot(rows, args.plot)
    return {"rows": as_json(rows)}


def _row(landscape: str, arm: str, facts: Any, args: argparse.Namespace, given: dict[str, Any]) -> Row:
    """With ``--stopping`` the figures are those of the runs that could stop; the others say what they missed."""
    whole: list[Facts] = [next(facts) for _ in range(args.repeats)]
    missing = arm_settings(ARMS[arm], stopping=args.stopping, **given).missing
    if not args.stopping:
        return row_of(landscape, arm, whole, None, missing)
    stopped: list[Facts] = [next(facts) for _ in range(args.repeats)]
    return row_of(landscape, arm, stopped, early_stops(stopped, whole), missing)


def _claims(args: argparse.Namespace, landscapes: Sequence[LandscapeFile], given: dict[str, Any]) -> dict[str, Any]:
    bench = Bench(landscapes, _seeds(args), given, lambda trials: run_trials(trials, processes=args.jobs, told=_told))
    claims: list[Claim] = []
    for number in args.claims:
        for claim in CLAIMS[number](bench):
            claims.append(claim)
            met = {True: "met", False: "NOT MET", None: "can't tell"}[claim.met]
            held = f"; target {claim.target}: {met}" if claim.target else ""
            print(f"{claim.number}. {claim.text}: {claim.figure}{held}", flush=True)
    return {"claims": [claim._asdict() for claim in claims]}


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Settings for all arms. Raises ValueError where they can't be had."""
    given: dict[str, Any] = {"iterations": args.iterations, "seed_inputs": args.seed_inputs}
    if args.judge_calls is not None:
        given["seed_inputs"] = args.judge_calls // ((args.iterations + 1) * COMMON["metric_count"])
    if not 3 <= given["seed_inputs"] <= 64:
        raise ValueError(f"{given['seed_inputs']} seed inputs a node can't be had; 3 to 64 can.")
    return given


def _conditions(args: argparse.Namespace) -> Conditions:
    judge = {
        "noise": args.noise,
        "luck_share": args.luck_share,
        "length_bias": args.length_bias,
        "style_bias": args.style_bias,
        "drift": args.drift,
        "span": args.span,
    }
    if args.drift:
        judge["drift_from"] = args.iterations // 2
    return Conditions(judge, args.broken, args.duplicates, args.unchanged, args.poisoned, not args.plain_digits)


def _seeds(args: argparse.Namespace) -> list[int]:
    return [1000 * args.seed + repeat for repeat in range(args.repeats)]


def _place(name: str) -> Path:
    """A shipped landscape by its name, or anybody's by its file."""
    shipped = SHIPPED / f"{name}.json"
    return shipped if shipped.exists() else Path(name)


def _told(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {whole} runs", end="\n" if done == whole else "", file=sys.stderr, flush=True)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How well the search chooses, in a world where the truth is known.")
    parser.add_argument(
        "--landscape", action="append", metavar="NAME|FILE", help="a shipped one's name or a file; may be repeated"
    )
    parser.add_argument("--arms", type=_arms, default=tuple(ARMS), metavar="A,B", help=f"of {', '.join(ARMS)}")
    parser.add_argument("--noise", type=_number(0, 0.3), default=0.05, metavar="SD", help="of a node's score, 0..0.3")
    parser.add_argument("--repeats", type=_whole(1, 1000), default=10, metavar="N")
    parser.add_argument("--seed", type=_whole(0, 10**9), default=0, metavar="S")
    parser.add_argument("--jobs", type=_whole(1, 64), default=2, metavar="N", help="processes")
    parser.add_argument("--iterations", type=_whole(1, 1000), default=COMMON["iterations"], metavar="N")
    parser.add_argument("--seed-inputs", type=_whole(3, 64), default=COMMON["seed_inputs"], metavar="N")
    parser.add_argument(
        "--judge-calls",
        type=_whole(1, 10**7),
        metavar="N",
        help="set the seed inputs by the verdicts fixed sampling has",
    )
    parser.add_argument("--stopping", action="store_true", help="let each arm stop by its own rule")
    world = parser.add_argument_group("the world")
    share, bias = _number(0, 1), _number(-0.3, 0.3)
    world.add_argument("--luck-share", type=share, default=0.7, metavar="P", help="of the noise's variance, in samples")
    world.add_argument("--length-bias", type=bias, default=0.0, metavar="X", help="for the longest samples")
    world.add_argument("--style-bias", type=bias, default=0.0, metavar="X")
    world.add_argument("--drift", type=bias, default=0.0, metavar="X", help="how much easier the rubric grows a time")
    world.add_argument("--span", type=_number(0.1, 1), default=1.0, metavar="P", help="share of the scale that is used")
    world.add_argument("--poisoned", type=_whole(0, 18), default=0, metavar="N", help="metric sets a run")
    world.add_argument("--broken", type=_number(0, 0.9), default=0.1, metavar="P", help="share of the children")
    world.add_argument("--duplicates", type=_number(0, 0.9), default=0.05, metavar="P", help="share of the children")
    world.add_argument("--unchanged", type=_number(0, 0.9), default=0.05, metavar="P", help="share of the children")
    world.add_argument("--plain-digits", action="store_true", help="an endpoint without log-probabilities")
    parser.add_argument(
        "--claims", type=_claim_numbers, nargs="?", const=tuple(CLAIMS), metavar="1,2", help="all: none"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.html")
    parser.add_argument("--json", action="store_true", help="one object, as the last line")
    return parser


def _arms(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in ARMS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no arm; there are {', '.join(ARMS)}")
    return names


def _claim_numbers(text: str) -> tuple[int, ...]:
    if not all(part.isdigit() and int(part) in CLAIMS for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"claims are numbers from 1 to {max(CLAIMS)}, such as 1,3")
    return tuple(int(part) for part in text.split(","))


def _number(low: float, high: float) -> Any:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not within {low:g} to {high:g}")
        return value

    return read


def _whole(low: int, high: int) -> Any:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not within {low} to {high}")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
