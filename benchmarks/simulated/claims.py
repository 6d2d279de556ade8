"""What the search claims for itself, each with the runs that show it, its figure and its target.

Owns which runs a claim needs and when it counts as met. Figures are pooled over landscapes; comparisons are between
runs on the same landscapes, with the same seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from statistics import fmean
from typing import Any, NamedTuple

from benchmarks.simulated.arms import COMMON
from benchmarks.simulated.figures import mean_of
from benchmarks.simulated.landscape import LandscapeFile
from benchmarks.simulated.runs import Facts
from benchmarks.simulated.trials import Conditions, Trial

__all__ = ["CLAIMS", "Bench", "Claim", "early_stops"]

_STILL_TO_GAIN = 0.05
_RIVALS = ("aflow", "paper")


class Claim(NamedTuple):
    """One line of the report. ``met`` is None where this engine or these runs can't tell, or without a ``target``."""

    number: int
    text: str
    figure: str
    target: str
    met: bool | None


@dataclass
class Bench:
    """Runs trials, each once, whichever claims ask for it."""

    landscapes: Sequence[LandscapeFile]
    seeds: Sequence[int]
    given: Mapping[str, Any]
    run: Callable[[Sequence[Trial]], list[Facts]]
    _known: dict[str, Facts] = field(default_factory=dict)

    def facts(
        self,
        arm: str,
        conditions: Conditions,
        *,
        changed: Mapping[str, Any] | None = None,
        stopping: bool = False,
        pace: float = 0.0,
    ) -> list[Facts]:
        """The runs of one arm on every landscape and seed, in that order."""
        trials = [
            Trial(landscape, arm, seed, conditions, self.given, changed or {}, stopping, pace)
            for landscape, seed in product(self.landscapes, self.seeds)
        ]
        new = [trial for trial in trials if repr(trial) not in self._known]
        self._known |= dict(zip(map(repr, new), self.run(new), strict=True))
        return [self._known[repr(trial)] for trial in trials]


def _noisy(noise: float, **judge: Any) -> Conditions:
    return Conditions({"noise": noise, **judge})


def selection(bench: Bench) -> list[Claim]:
    """1: what a winner is truly worth, at three levels of noise."""
    found = []
    for noise, regret_share, gain_share in ((0.05, 0.5, 1.25), (0.10, None, 1.1), (0.0, None, 1.0)):
        own = bench.facts("default", _noisy(noise), stopping=True)
        for rival in _RIVALS:
            found += _against(
                noise, own, rival, bench.facts(rival, _noisy(noise), stopping=True), regret_share, gain_share
            )
        best = bench.facts("best_of_n", _noisy(noise), stopping=True)
        found.append(_gain_claim(f"noise {noise:g}: gain against best_of_n", own, best, 1.0))
        found.append(_within_budget(bench, noise, own))
    return found


def _against(
    noise: float, own: Sequence[Facts], rival: str, theirs: Sequence[Facts], regret_share: float | None, gain: float
) -> list[Claim]:
    claims = [_gain_claim(f"noise {noise:g}: gain against {rival}", own, theirs, gain)]
    if regret_share is not None or noise == 0:
        mine, other = fmean(each.regret for each in own), fmean(each.regret for each in theirs)
        limit = other * (1.0 if regret_share is None else regret_share)
        text = f"noise {noise:g}: selection regret against {rival}"
        claims.append(Claim(1, text, f"{mine:.4f} to {other:.4f}", f"<= {limit:.4f}", mine <= limit + 1e-9))
    return claims


def _gain_claim(text: str, own: Sequence[Facts], theirs: Sequence[Facts], times: float) -> Claim:
    mine, other = fmean(each.gain for each in own), fmean(each.gain for each in theirs)
    apart = mean_of([a.gain - b.gain for a, b in zip(own, theirs, strict=True)])
    assert apart is not None
    figure = f"{mine:.4f} to {other:.4f} (difference {apart.mean:+.4f}, {apart.low:+.4f} to {apart.high:+.4f})"
    return Claim(1, text, figure, f">= {times:g} times", mine >= times * other - 1e-9)


def _within_budget(bench: Bench, noise: float, own: Sequence[Facts]) -> Claim:
    """Fixed sampling's verdicts: each node on each seed input once."""
    size = {**COMMON, **bench.given}
    budget = (size["iterations"] + 1) * size["seed_inputs"] * size["metric_count"]
    most = max(each.judge_calls for each in own)
    mean = fmean(each.judge_calls for each in own)
    text = f"noise {noise:g}: judge calls of the default, race included"
    return Claim(1, text, f"{mean:.0f} on average, {most} at most", f"<= {budget}", most <= budget)


def honesty(bench: Bench) -> list[Claim]:
    """2: what is said of the winner."""
    own = [*bench.facts("default", _noisy(0.05)), *bench.facts("default", _noisy(0.10))]
    bias = mean_of([each.error for each in own])
    covered = mean_of([float(each.covered) for each in own])
    assert bias is not None
    assert covered is not None
    told = f"{bias.mean:+.4f} ({bias.low:+.4f} to {bias.high:+.4f})"
    share = f"{covered.mean:.1%} ({covered.low:.1%} to {covered.high:.1%})"
    return [
        Claim(2, "the winner's reported score less the truth", told, "within 0.01", abs(bias.mean) <= 0.01),
        Claim(2, "its 95% interval holds the truth", share, "93% to 97%", 0.93 <= covered.mean <= 0.97),
    ]


def nothing_new(bench: Bench) -> list[Claim]:
    """3: children that change nothing."""
    own = bench.facts("default", replace(_noisy(0.05), unchanged=0.35))
    children, better = sum(each.unchanged for each in own), sum(each.unchanged_better for each in own)
    share = better / children if children else math.nan
    text = "children that change nothing and are called better"
    return [Claim(3, text, f"{better} of {children} ({share:.1%})", "<= 5%", share <= 0.05 if children else None)]


def early_stops(stopped: Sequence[Facts], whole: Sequence[Facts]) -> list[float]:
    """Of each run whether it stopped (1 or 0) while more than 0.05 was still to be gained in its iterations.

    ``whole`` are the same runs without stopping, which take the same path up to there.
    """
    return [
        float(a.iterations < b.iterations and b.best - a.best > _STILL_TO_GAIN)
        for a, b in zip(stopped, whole, strict=True)
    ]


def stopping(bench: Bench) -> list[Claim]:
    """4: stopping while there is something to be had."""
    stopped = bench.facts("default", _noisy(0.05), stopping=True)
    early = early_stops(stopped, bench.facts("default", _noisy(0.05)))
    used = fmean(each.iterations for each in stopped)
    figure = f"{fmean(early):.1%} of {len(early)} runs, which used {used:.1f} iterations"
    return [Claim(4, "stopped with more than 0.05 still to gain", figure, "<= 10%", fmean(early) <= 0.10)]


def easier_rubric(bench: Bench) -> list[Claim]:
    """5: a rubric that grows easier by 0.03 an iteration.

    In thirty iterations that is nearly the whole scale, so qualities fill half of the judge's, and the rubric is as it
    should be in the middle of the run; what is compared has the same half.
    """
    half = {"span": 0.5}
    moving = bench.facts("default", _noisy(0.05, **half, drift=0.03, drift_from=15))
    fixed = bench.facts("default", _noisy(0.05, **half), changed={"metric_refresh": 0})
    linked, raw, still = (
        fmean(values)
        for values in (
            [each.tau for each in moving if each.tau is not None],
            [each.tau_raw for each in moving if each.tau_raw is not None],
            [each.tau for each in fixed if each.tau is not None],
        )
    )
    figure = f"{linked:.3f} linked, {raw:.3f} raw, {still:.3f} under a fixed rubric"
    return [Claim(5, "rank correlation with the truth (tau)", figure, f">= {0.9 * still:.3f}", linked >= 0.9 * still)]


def poisoned_metrics(bench: Bench) -> list[Claim]:
    """6: metric sets that look at something else, in runs that renew their metrics with every iteration."""
    claims, harmless, asked = [], 0, 0
    for poison in ("length", "nothing"):
        conditions = replace(_noisy(0.05, poison=poison), poisoned=2)
        runs = bench.facts("default", conditions, changed={"metric_refresh": 1})
        proposed = sum(len(each.poisoned) for each in runs)
        caught = sum(len({*each.poisoned} & {*each.quarantined}) for each in runs)
        harmless += sum(len({*each.quarantined} - {*each.poisoned}) for each in runs)
        asked += sum(len(each.proposed) - len(each.poisoned) for each in runs)
        share = caught / proposed if proposed else math.nan
        text = f"metric sets that look at {poison}, quarantined"
        met = share >= 0.95 if proposed else None
        claims.append(Claim(6, text, f"{caught} of {proposed} ({share:.1%})", ">= 95%", met))
    share = harmless / asked if asked else math.nan
    figure = f"{harmless} of {asked} ({share:.1%})"
    return [*claims, Claim(6, "harmless metric sets, quarantined", figure, "<= 5%", share <= 0.05 if asked else None)]


def staged_sampling(bench: Bench) -> list[Claim]:
    """7: judge calls that fixed sampling would have needed for the same regret, between the sizes tried."""
    staged = bench.facts("default", _noisy(0.05))
    regret, calls = _regret_and_calls(staged)
    sizes = (4, 8, 12, 16, 24)
    fixed = [
        _regret_and_calls(bench.facts("default", _noisy(0.05), changed={"sampling": "fixed", "seed_inputs": size}))
        for size in sizes
    ]
    needed = _calls_for(regret, fixed)
    text = "judge calls saved by staged sampling at equal regret"
    told = ", ".join(f"{size}: {each[0]:.4f} at {each[1]:.0f}" for size, each in zip(sizes, fixed, strict=True))
    saved = 1 - calls / needed
    return [Claim(7, text, f"{saved:.0%} (staged {regret:.4f} at {calls:.0f}; fixed {told})", ">= 40%", saved >= 0.4)]


def _regret_and_calls(facts: Sequence[Facts]) -> tuple[float, float]:
    return fmean(each.regret for each in facts), fmean(each.judge_calls for each in facts)


def _calls_for(regret: float, points: Sequence[tuple[float, float]]) -> float:
    """Calls at which fixed sampling has this regret: linear between sizes, at most the largest size's."""
    for (more, fewer_calls), (less, calls) in pairwise(points):
        if less <= regret <= more and more > less:
            return fewer_calls + (more - regret) / (more - less) * (calls - fewer_calls)
    return points[0][1] if regret > points[0][0] else points[-1][1]


def workers(bench: Bench) -> list[Claim]:
    """8: eight workers against one, in simulated time."""
    one = bench.facts("default", _noisy(0.05), changed={"workers": 1}, pace=1.0)
    eight = bench.facts("default", _noisy(0.05), changed={"workers": 8}, pace=1.0)
    faster = fmean(each.simulated_s for each in one) / fmean(each.simulated_s for each in eight)
    worse = mean_of([b.regret - a.regret for a, b in zip(one, eight, strict=True)])
    assert worse is not None
    told = f"{worse.mean:+.4f} ({worse.low:+.4f} to {worse.high:+.4f})"
    return [
        Claim(8, "8 workers against 1, simulated time", f"{faster:.2f} times", ">= 6 times", faster >= 6),
        Claim(8, "8 workers against 1, regret", told, "<= +0.01", worse.mean <= 0.01),
        Claim(8, "depth of the tree by workers (of the winner)", _depths(bench), "", None),
    ]


def _depths(bench: Bench) -> str:
    """Steps from the first workflow: with more of them under way at once, fewer can be built on one another."""
    runs = {count: bench.facts("default", _noisy(0.05), changed={"workers": count}, pace=1.0) for count in (1, 4, 8)}
    return ", ".join(
        f"{count}: {fmean(each.depth for each in facts):.1f} ({fmean(each.winner_depth for each in facts):.1f})"
        for count, facts in runs.items()
    )


CLAIMS: Mapping[int, Callable[[Bench], list[Claim]]] = {
    1: selection,
    2: honesty,
    3: nothing_new,
    4: stopping,
    5: easier_rubric,
    6: poisoned_metrics,
    7: staged_sampling,
    8: workers,
}
