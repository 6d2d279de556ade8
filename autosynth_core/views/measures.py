"""How the figures about criteria, judge, noise and race are said to a teacher.

Owns the sentences; the figures are ``yardstick``'s. Pure; no text here is markdown.
"""

from __future__ import annotations

import math

from autosynth_core.judging import Auc, FitnessVerdict, Quality
from autosynth_core.records import Comparison, Metric, Reward, Standing
from autosynth_core.views import words
from autosynth_core.views.yardstick import Changes, NoiseView, RaceView, VersionView

__all__ = [
    "auc",
    "chances",
    "changed",
    "claimed",
    "fitness_verdict",
    "gained",
    "milder",
    "planned",
    "raced",
    "ranged",
    "standing",
    "surely",
]

_VERDICTS = {
    FitnessVerdict.FIT: "Fit for its work",
    FitnessVerdict.WEAK: "Weak",
    FitnessVerdict.UNFIT: "Unfit",
    FitnessVerdict.UNKNOWN: "Not known",
}
_STANDINGS = {
    Standing.PROPOSED: "as proposed",
    Standing.IN_FORCE: "used until newer ones came",
    Standing.QUARANTINED: "set aside, you decide",
    Standing.RELEASED: "set aside, then taken by you",
    Standing.REJECTED: "left out by you",
}


def ranged(reward: Reward) -> str:
    """A reward with its 95% range."""
    return f"{reward.total:.2f} ({reward.low:.2f} to {reward.high:.2f})"


def auc(found: Auc | None) -> str:
    """The power to tell good from bad as pairs out of 100."""
    if found is None:
        return "not known"
    return f"{100 * found.value:.0f} of 100 ({100 * found.low:.0f} to {100 * found.high:.0f})"


def fitness_verdict(verdict: FitnessVerdict) -> str:
    return _VERDICTS[verdict]


def standing(version: VersionView) -> str:
    return "in use now" if version.current else _STANDINGS[version.standing]


def gained(race: RaceView) -> str:
    """The winner against the first recipe: better, worse or can't tell, with the interval."""
    mean, low, high = race.result.gain
    if race.result.winner == 0:
        return "The first recipe is still the best: nothing that was tried beats it."
    interval = f"({low:+.2f} to {high:+.2f})"
    if low == high:
        return f"The samples of both got the same marks; the {mean:+.2f} is the mark for the recipe itself."
    match race.verdict:
        case Comparison.BETTER:
            return f"Better than the first recipe by {mean:.2f} {interval}."
        case Comparison.WORSE:
            return f"Worse than the first recipe by {-mean:.2f} {interval}."
        case Comparison.CANT_TELL:
            return f"Can't tell it from the first recipe: {mean:+.2f} {interval} may be chance."


def chances(race: RaceView) -> str:
    """How sure it is that the winner is the best of those that ran."""
    others = len(race.result.contenders) - 1
    if others < 1:
        return "No other recipe was raced against it."
    return f"It is the best of the {others + 1} that were raced with a probability of {surely(race)}."


def surely(race: RaceView) -> str:
    """The winner's probability to be the best; never 100%, which no race can show."""
    probability = race.result.probability
    return "over 99%" if probability > 0.99 else f"{100 * probability:.0f}%"


def claimed(race: RaceView) -> str:
    """What the search itself had said, and whether that was too good: by more than the two intervals allow."""
    had = f"The search had claimed {ranged(race.result.claimed)}"
    allowed = math.hypot(*((each.high - each.low) / 2 for each in (race.result.claimed, race.result.sealed)))
    if abs(race.too_good) <= allowed:
        return f"{had}, which fits."
    return f"{had}, which was too {'high' if race.too_good > 0 else 'low'}."


def raced(race: RaceView) -> str:
    """The whole race in a few sentences."""
    result = race.result
    by = " by the second judge" if race.second_judge else ""
    return (
        f"Race: recipe {result.winner} scores {ranged(result.sealed)}{by} on {words.count(result.sealed.n, 'input')} "
        f"that the search never saw. {claimed(race)} {gained(race)} {chances(race)}"
    )


def milder(shift: Quality | None) -> str:
    """What a version does to scores, compared with the first one."""
    if shift is None:
        return "nothing was scored by them"
    if shift.sd == 0:
        return "the first ones: all others are measured against them"
    interval = f"({shift.low:+.2f} to {shift.high:+.2f})"
    if shift.low > 0:
        return f"milder by {shift.mean:.2f} points {interval}, which is taken out of the scores"
    if shift.high < 0:
        return f"stricter by {-shift.mean:.2f} points {interval}, which is taken out of the scores"
    return f"about as strict as the first ones: {shift.mean:+.2f} points {interval}, which is taken out of the scores"


def changed(changes: Changes | None) -> str:
    """What a version changed against the one before."""
    if changes is None:
        return "The first criteria."
    parts = []
    if changes.new:
        parts.append(f"New: {_names(changes.new)}")
    if changes.gone:
        parts.append(f"Gone: {_names(changes.gone)}")
    if changes.reweighted:
        parts.append(f"Other weight: {', '.join(changes.reweighted)}")
    return ". ".join(parts) + "." if parts else "Nothing but small changes of weight."


def _names(metrics: tuple[Metric, ...]) -> str:
    return ", ".join(metric.name for metric in metrics)


def planned(view: NoiseView) -> str:
    """What it would take to see a gain worth having."""
    if view.detects <= view.wanted:
        return ""
    plan = view.plan
    each = "" if plan.replicates == 1 else f", {plan.replicates} samples on each"
    if plan.reached:
        return f"To notice a gain of {view.wanted:.1f} points, two recipes need {plan.seeds} inputs{each} in common."
    if plan.detects > 4:
        return "Chance is too large here for any number of inputs that a search can use."
    return (
        f"Even {plan.seeds} inputs{each} would only show gains from {plan.detects:.1f} points on: "
        "steadier recipes or a steadier judge would help more."
    )
