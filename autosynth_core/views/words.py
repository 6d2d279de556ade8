"""How the engine's states and numbers are said to a teacher.

Owns the wording that pages and commands share. Pure; no text here is markdown, and no text of a model or a person
passes through it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from autosynth_core.config import Convergence, RoundSettings, RunSettings
from autosynth_core.judging.reward import Difference
from autosynth_core.llm.protocol import FailureKind
from autosynth_core.records import Comparison, Event, NodeState, Rating, Run, RunState, StopReason, VerdictMethod

__all__ = [
    "ACTIVE",
    "RATING_WORDS",
    "REASONS",
    "Failure",
    "ago",
    "compared",
    "count",
    "duration",
    "failure",
    "fetched",
    "field_label",
    "how_ended",
    "many",
    "method",
    "money",
    "node_state",
    "purpose",
    "run_state",
    "span",
    "told",
    "verdict",
]

ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.PAUSED})
"""States in which the engine holds, or will hold, the run."""

_RUN_STATES = {
    RunState.QUEUED: "Waiting to start",
    RunState.RUNNING: "Running",
    RunState.PAUSED: "Paused",
    RunState.STOPPED: "Stopped by you",
    RunState.INTERRUPTED: "Interrupted when the program ended; nothing was lost, and it can go on",
    RunState.FINISHED: "Finished",
    RunState.FAILED: "Stopped by a problem",
}
_STOPS = {
    StopReason.CONVERGED: "Finished: the best recipes hardly gained any more",
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


_TOLD = {  # what the engine writes at a run's end
    "converged": _STOPS[StopReason.CONVERGED],
    "iterations used": _STOPS[StopReason.ITERATIONS],
    "budget used": _STOPS[StopReason.BUDGET],
    "samples made": "Finished: the samples are there",
    "stopped by you": "Stopped by you",
    "the program ended; resume to go on": "Interrupted when the program ended; nothing was lost",
}
_PURPOSES = {
    "propose": "write a recipe",
    "repair": "mend a recipe",
    "sample": "write a sample",
    "verdict": "judge a sample",
    "workflow verdict": "judge the recipe itself",
    "second judge": "judge a sample, second judge",
    "metrics": "write the judging criteria",
    "reason": "say what was weak",
    "fitness": "try the judge on known samples",
    "noise": "judge a sample once more",
    "known": "write a sample that breaks a rule, to try the judge on",
    "probe": "try what the model can do",
}
_METHODS = {
    VerdictMethod.EXPECTED: "the mean of the scores the judge considered, by their probabilities",
    VerdictMethod.SAMPLED: "the mean of scores the judge was asked for several times",
}


class Failure(NamedTuple):
    """A kind of failed model call: what happened, and what to do about it."""

    happened: str
    advice: str


_NO_MATTER = "Nothing to do: it was tried again."
_FAILURES = {
    FailureKind.RATE_LIMITED: Failure(
        "The service asked for fewer calls at a time.",
        "Nothing to do: the app slows down by itself. If it happens all the time, try fewer recipes at the same time.",
    ),
    FailureKind.SERVER_ERROR: Failure(
        "The service had a problem of its own.",
        f"{_NO_MATTER} If it goes on, see whether the service reports an outage.",
    ),
    FailureKind.TIMEOUT: Failure(
        "The model took too long to answer.",
        f"{_NO_MATTER} If it happens often, take a faster model or try fewer recipes at the same time.",
    ),
    FailureKind.CUT: Failure(
        "The connection broke before the answer was there.",
        f"{_NO_MATTER} If it happens often, check your network.",
    ),
    FailureKind.UNREACHABLE: Failure(
        "Nothing answered at the address of the models.",
        "See that the model server runs and that its address in Settings is right, then resume.",
    ),
    FailureKind.MALFORMED: Failure(
        "The service sent something that could not be read as an answer.",
        f"{_NO_MATTER} If it happens often, check the address in Settings, or use another service.",
    ),
    FailureKind.ERROR_BODY: Failure(
        "The service sent an error message in place of an answer.",
        f"{_NO_MATTER} If it happens often, see what the service says about your account or model.",
    ),
    FailureKind.EMPTY: Failure(
        "The model answered without a word.",
        f"{_NO_MATTER} If it happens often, choose another model in Settings.",
    ),
    FailureKind.TRUNCATED: Failure(
        "The model wrote more than it may, and its answer was cut off.",
        f"{_NO_MATTER} If it happens often, ask for shorter material or choose another model in Settings.",
    ),
    FailureKind.REFUSED: Failure(
        "The service or the model refused what was asked.",
        "Check the key and the models in Settings. If they are right, something in the task may be against the "
        "service's rules: word it differently.",
    ),
}
_OTHER_FAILURE = Failure(
    "A call failed for another reason.", "If it happens often, ask whoever looks after the models."
)
_ENDS = {"ok": "complete", "truncated": "cut off at its length", "empty": "without text"}


def run_state(run: Run, settings: RunSettings | RoundSettings | None = None) -> str:
    """A run's state in words; a finished run says why it finished, and by which rule where its settings are given."""
    if run.state is RunState.FINISHED and run.reason == StopReason.CONVERGED and isinstance(settings, RunSettings):
        return f"Finished early: {_converged(settings)}. You can still have more recipes tried."
    if run.state is RunState.FINISHED and run.reason in set(StopReason):
        return _STOPS[StopReason(run.reason)]
    return _RUN_STATES[run.state]


def _converged(settings: RunSettings) -> str:
    """What was seen when the rule of ``search.converge`` was met."""
    recipes = count(settings.patience, "recipe")
    match settings.convergence:
        case Convergence.PAPER:
            return f"the mean reward of the best three moved by less than {settings.epsilon:g} over the last {recipes}"
        case Convergence.UNCHANGED:
            return f"the best three stayed the same over the last {recipes}"
        case _:
            return (
                "looking back over as many recipes as were left to try, and no fewer than "
                f"{settings.patience}, the best three had gained less than {settings.epsilon:g} in reward, as far as "
                "can be told"
            )


def node_state(state: NodeState) -> str:
    return _NODE_STATES[state]


def told(event: Event) -> str:
    """An event as a teacher reads it: the engine's short words for the end of a run become those of ``run_state``."""
    state, _, reason = event.message.removesuffix(".").partition(": ")
    ends = event.kind in set(RunState) and state.lower() == event.kind
    return f"{_TOLD[reason]}." if ends and reason in _TOLD else event.message


def failure(kind: str) -> Failure:
    """What a kind of failed call means; one that has no words here, as of another version, in general words."""
    return _FAILURES[FailureKind(kind)] if kind in set(FailureKind) else _OTHER_FAILURE


def purpose(name: str) -> str:
    """What a model was called for; a name that has no words here as it is."""
    return _PURPOSES.get(name, name)


def method(name: VerdictMethod) -> str:
    """How a score came about."""
    return _METHODS[name]


def how_ended(status: str) -> str:
    """Why an answer ended, from the endpoint's word for it."""
    return _ENDS.get(status, status)


def verdict(comparison: Comparison) -> str:
    """A comparison in brackets behind a number."""
    return "can't tell, may be chance" if comparison is Comparison.CANT_TELL else comparison.value


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


def span(low: float, high: float) -> str:
    """A time that may be anything from ``low`` to ``high`` seconds; steps of five minutes beyond twenty."""
    if high < 90:
        return "a minute or less"
    first, last = (_coarse(seconds / 60) for seconds in (low, high))
    if last < 90:
        return f"{first} to {last} minutes" if first < last else f"about {last} minutes"
    start = f"{first} minutes" if first < 90 else f"{first / 60:.1f}"
    return f"{start} to {last / 60:.1f} hours"


def _coarse(minutes: float) -> int:
    return max(1, round(minutes)) if minutes < 20 else 5 * round(minutes / 5)


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


def many(number: int) -> str:
    """A large number, coarse."""
    if number < 10_000:
        return f"{number:,}"
    return f"{round(number, -3):,}" if number < 950_000 else f"{number / 1e6:.1f} million"


def field_label(name: str) -> str:
    """A field's name as a heading: ``student_belief`` becomes ``Student belief``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def fetched(message: str) -> float | None:
    """How much of the built-in model is there (0..1), from an event's words; None where it speaks of something else."""
    found = re.match(r"Fetching the (?:built-in|embedded) model, (\d{1,3})%", message)
    return int(found.group(1)) / 100 if found else None
