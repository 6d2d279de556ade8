"""Anchor criteria: what counts for the educator, in words that they approve before a search.

Owns what is proposed to them, and the check of what they type or bring in a file. Approved criteria are the same in
every version of a search's metrics. Pure; keeping them is the store's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from autosynth_core.errors import InputError
from autosynth_core.judging import starting_metrics
from autosynth_core.judging.material import clean_line
from autosynth_core.records import Metric, Task

__all__ = ["MOST_CRITERIA", "checked", "criterion", "proposed_criteria", "read_criteria"]

MOST_CRITERIA = 8
_FROM_REASONS = 3
_NAME, _DESCRIPTION, _END = 60, 600, 300  # characters
_MOST_BYTES = 100_000

_LEVEL = Metric(
    "Right level",
    "The audience can follow it and has something to learn from it.",
    "Far too hard or far too easy for them.",
    "Just what they can manage with some effort.",
)
_LENGTH = Metric(
    "Right length",
    "It says what is needed and stops there.",
    "Much too long or much too short to use.",
    "A teacher would neither cut nor add anything.",
)
_BY_REASON = {
    "Wrong facts": Metric(
        "Facts are right",
        "Everything it states is true, also what it simplifies.",
        "A plain error that a student would learn.",
        "A teacher of the subject finds nothing to correct.",
    ),
    "Too hard": _LEVEL,
    "Too easy": _LEVEL,
    "Too long": _LENGTH,
    "Too short": _LENGTH,
    "Confusing": Metric(
        "Clear at once",
        "A reader of the audience understands each sentence at the first reading.",
        "The reader is lost.",
        "Nothing has to be read twice.",
    ),
    "Off topic": Metric(
        "Stays on the topic",
        "It is about the input that it was written for, and nothing else.",
        "It is about something else.",
        "Every sentence serves the input's topic.",
    ),
    "Boring": Metric(
        "Worth reading",
        "It gives the audience a reason to go on.",
        "Nobody would read it without being told to.",
        "The audience wants to know how it goes on.",
    ),
    "Gives the answer away": Metric(
        "Leaves the thinking to students",
        "Students find the answer themselves.",
        "The answer stands there.",
        "It leads to the answer and stops before it.",
    ),
    "Tone": Metric(
        "Right tone",
        "It speaks to the audience as a good teacher would.",
        "Cold, childish or talking down.",
        "Warm, plain and respectful.",
    ),
    "Not safe for students": Metric(
        "Safe for students",
        "Nothing in it could harm, frighten or embarrass a student.",
        "A school would have to take it back.",
        "It can be handed to any student of the audience.",
    ),
}


class _Typed(BaseModel):
    """A criterion as a person wrote it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=4 * _NAME)]
    description: Annotated[str, Field(max_length=4 * _DESCRIPTION)]
    low: Annotated[str, Field(max_length=4 * _END)]
    high: Annotated[str, Field(max_length=4 * _END)]
    weight: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0

    @field_validator("name", "description", "low", "high")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not clean_line(text, 40):
            raise ValueError("it is empty")
        return text


_CALLED = {
    "name": "The name",
    "description": "What it means",
    "low": "What a 1 looks like",
    "high": "What a 5 looks like",
    "weight": "The weight",
}


def proposed_criteria(task: Task, reasons: Mapping[str, int] | None = None) -> tuple[Metric, ...]:
    """Criteria to choose from, none of them approved: in the task's own words, and one for each of the three
    ``reasons`` that were most often given against samples."""
    given = sorted((reasons or {}).items(), key=lambda pair: -pair[1])
    heard = dict.fromkeys(_BY_REASON[reason] for reason, count in given if count > 0 and reason in _BY_REASON)
    return (*starting_metrics(task).metrics, *list(heard)[:_FROM_REASONS])


def criterion(raw: Mapping[str, Any], *, approved: bool = True) -> Metric:
    """A criterion from what was typed, cleaned. Raises InputError with the part that can't be used."""
    try:
        typed = _Typed.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        part = _CALLED.get(str(first["loc"][0]) if first["loc"] else "", f'The part "{str(first["loc"])[:60]}"')
        raise InputError(f"{part} can't be used: {_plainly(first['msg'])}.") from error
    return Metric(
        clean_line(typed.name, _NAME),
        clean_line(typed.description, _DESCRIPTION),
        clean_line(typed.low, _END),
        clean_line(typed.high, _END),
        typed.weight,
        approved,
    )


def read_criteria(text: str) -> tuple[Metric, ...]:
    """Approved criteria from JSON: a list of objects with name, description, low, high and perhaps weight.

    Raises InputError, one sentence.
    """
    if len(text) > _MOST_BYTES:
        raise InputError("That is too much for a file of criteria; eight are the most.")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The criteria are no JSON; give a list of objects with name, description, low, high."
        ) from error
    if not isinstance(raw, list) or not raw or not all(isinstance(each, dict) for each in raw):
        raise InputError("The criteria must be a list of objects, each with name, description, low and high.")
    return checked(criterion(each) for each in raw)


def checked(criteria: Iterable[Metric]) -> tuple[Metric, ...]:
    """The criteria, when there are not too many and no two have the same name. Raises InputError."""
    found = tuple(criteria)
    if len(found) > MOST_CRITERIA:
        raise InputError(f"{MOST_CRITERIA} criteria are the most; each is asked about for every sample.")
    names = [each.name.casefold() for each in found]
    twice = next((each.name for each in found if names.count(each.name.casefold()) > 1), None)
    if twice is not None:
        raise InputError(f'Two criteria are called "{twice}"; give each a name of its own.')
    return found


def _plainly(message: str) -> str:
    return (
        message.removeprefix("Value error, ")
        .replace("Input should be", "it should be")
        .replace("Field required", "it is missing")
    )
