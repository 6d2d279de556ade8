"""How the engine's states and numbers are said to a teacher.

Owns the wording that pages and commands share. Pure; no text here is markdown, and no text of a model or a person
passes through it.
"""

from __future__ import annotations

import re

from autosynth_core.judging.reward import Difference
from autosynth_core.records import Comparison, NodeState, Rating, Run, RunState, StopReason

__all__ = [
    "ACTIVE",
    "RATING_WORDS",
    "REASONS",
    "ago",
    "compared",
    "count",
    "duration",
    "fetched",
    "field_label",
    "money",
    "node_state",
    "run_state",
]

ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.PAUSED})
"""States in which the engine holds, or will hold, the run."""

_RUN_STATES = {
    RunState.QUEUED: "Waiting to start",
    RunState.RUNNING: "Running",
    RunState.PAUSED: "Paused",
    RunState.STOPPED: "Stopped by you",
    RunState.INTERRUPTED: "Interrupted when the app closed; nothing was lost, press Resume to go on",
    RunState.FINISHED: "Finished",
    RunState.FAILED: "Stopped by a problem",
}
_STOPS = {
    StopReason.CONVERGED: "Finished: more recipes would hardly have helped",
    StopReason.ITERATIONS: "Finished: all planned recipes were tried",
    StopReason.BUDGET: "Finished: the budget is used up",
}
_NODE_STATES = {
    NodeState.RUNNING: "being tried",
    NodeState.SCORED: "scored",
    NodeState.BROKEN: "did not work",
    NodeState.DUPLICATE: "same as another",
    NodeState.UNSCORED: "could not be scored",
}
RATING_WORDS = {Rating.USE: "Use as is", Rating.USE_EDITED: "Use with edits", Rating.NOT_USABLE: "Not usable"}
REASONS = (
    "Wrong facts",
    "Too hard",
    "Too easy",
    "Too long",
    "Too short",
    "Confusing",
    "Off topic",
    "Boring",
    "Gives the answer away",
    "Tone",
    "Not safe for students",
)
"""Reasons a teacher can tap on a sample."""


def run_state(run: Run) -> str:
    """A run's state in words; a finished run says why it finished."""
    if run.state is RunState.FINISHED and run.reason in set(StopReason):
        return _STOPS[StopReason(run.reason)]
    return _RUN_STATES[run.state]


def node_state(state: NodeState) -> str:
    return _NODE_STATES[state]


def compared(difference: Difference | None, parent: int | None) -> str:
    """A recipe against the one it was made from, with the uncertainty, in points of the 1..5 scale."""
    if parent is None:
        return "The first recipe: the others are measured from here."
    if difference is None or difference.mean is None:
        return f"Not compared with recipe {parent}: too little of it could be scored."
    inputs = count(difference.n, "shared input")
    basis = f"on {inputs} (95% range {difference.low:+.2f} to {difference.high:+.2f})"
    match difference.verdict:
        case Comparison.BETTER:
            return f"Better than recipe {parent} by {difference.mean:.2f} points {basis}."
        case Comparison.WORSE:
            return f"Worse than recipe {parent} by {-difference.mean:.2f} points {basis}."
        case Comparison.CANT_TELL:
            return (
                f"Can't tell from recipe {parent}: a difference of {difference.mean:+.2f} points {basis} may be chance."
            )


def duration(seconds: float | None) -> str:
    """A length of time, coarse on purpose: an estimate to the second would claim too much."""
    if seconds is None:
        return "not known yet"
    if seconds < 50:
        return "less than a minute"
    if seconds < 90 * 60:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} hours"


def ago(then: float, now: float) -> str:
    """How long ago something was; both in UTC seconds."""
    passed = max(0.0, now - then)
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{round(passed / 60)} min ago"
    if passed < 86_400:
        return f"{round(passed / 3600)} h ago"
    return f"{round(passed / 86_400)} d ago"


def money(usd: float) -> str:
    """US dollars; small sums keep the digits that make them differ from nothing."""
    return f"${usd:.2f}" if usd >= 0.095 or usd == 0 else f"${usd:.4f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, one or many."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def field_label(name: str) -> str:
    """A field's name as a heading: ``student_belief`` becomes ``Student belief``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def fetched(message: str) -> float | None:
    """How much of the built-in model is there (0..1), from an event's words; None where it speaks of something else."""
    found = re.match(r"Fetching the embedded model, (\d{1,3})%", message)
    return int(found.group(1)) / 100 if found else None
