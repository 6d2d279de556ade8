"""The settings of a run as views read them: text that an archive, or another version of the program, may have written.

Owns turning what can't be read into one sentence about that run, so that no other run's screen or line suffers from
it. Writing and changing settings is the engine's.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from autosynth_core.config import RoundSettings, RunSettings
from autosynth_core.errors import InputError
from autosynth_core.records import Run, RunKind
from autosynth_core.views import words

__all__ = ["in_words", "read_settings", "round_settings", "search_settings"]

UNREADABLE = "Can't be read by this version"

S = TypeVar("S", bound=BaseModel)


def search_settings(run: Run) -> RunSettings:
    """Raises InputError when they can't be read."""
    return _read(run, RunSettings)


def round_settings(run: Run) -> RoundSettings:
    """Raises InputError when they can't be read."""
    return _read(run, RoundSettings)


def read_settings(run: Run) -> RunSettings | RoundSettings:
    """Raises InputError when they can't be read."""
    return search_settings(run) if run.kind is RunKind.SEARCH else round_settings(run)


def in_words(run: Run) -> str:
    """A run's state in words for a list, also of a run that can't be read."""
    try:
        read_settings(run)
    except InputError:
        return UNREADABLE
    return words.run_state(run)


def _read(run: Run, kind: type[S]) -> S:
    try:
        return kind.model_validate_json(run.settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise InputError(
            f"The settings of run {run.id} can't be read by this version of the program ({problem}); choose another."
        ) from error
