"""What an operator is given, asks and returns.

Owns the shapes that operators share. What an operator does with them is each operator's own; who picks an operator,
asks a model and runs the child is decided above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from autosynth_core.config import SampleLimits
from autosynth_core.records import Example, Task


@dataclass(frozen=True, slots=True)
class EditContext:
    """What is known besides the program itself.

    ``accepted`` are the educator's accepted samples. ``random`` serves the operators that choose (``examples``,
    ``sampling``): the same state of it, the same choice. A child that could exceed ``limits`` is never a target.
    """

    task: Task
    accepted: tuple[Example, ...] = ()
    random: Random = field(default_factory=lambda: Random(0))
    limits: SampleLimits = field(default_factory=SampleLimits)


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a model for: text only, under a JSON Schema of one or two string fields."""

    prompt: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """A child program and, in one sentence a teacher can read, what changed in it."""

    source: str
    modification: str


class Operator(Protocol):
    """One kind of change to a workflow.

    ``targets`` lists where it can be applied ([]: nowhere); ``question`` is None when no words are needed;
    ``compose`` raises ValueError with a sentence a model can act on when the words (or the target) can't be used.
    """

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    def targets(self, source: str, context: EditContext) -> list[str]: ...

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question | None: ...

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit: ...
