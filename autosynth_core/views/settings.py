"""The settings and the task of a run as views read them: an archive, or another version, may have written them.

Owns turning what can't be read into one sentence about that run, so that no other run's screen or line suffers from
it. Writing and changing settings is the engine's.
"""

from __future__ import annotations

import json

from autosynth_core import config
from autosynth_core.config import RoundSettings, RunSettings
from autosynth_core.errors import InputError
from autosynth_core.records import Run, RunKind, Task
from autosynth_core.store import Store, task_from_json
from autosynth_core.views import words

__all__ = ["in_words", "read_settings", "round_settings", "search_settings", "task_of"]

UNREADABLE = "Can't be read by this version"


def search_settings(run: Run) -> RunSettings:
    """Raises InputError when they can't be read."""
    return config.read_settings(RunSettings, run.settings, run.id)


def round_settings(run: Run) -> RoundSettings:
    """Raises InputError when they can't be read."""
    return config.read_settings(RoundSettings, run.settings, run.id)


def read_settings(run: Run) -> RunSettings | RoundSettings:
    """Raises InputError when they can't be read."""
    return search_settings(run) if run.kind is RunKind.SEARCH else round_settings(run)


def task_of(store: Store, run: Run) -> Task:
    """The task as it was when the run was made; as it is now where that can't be read, as an archive may have it."""
    try:
        return task_from_json(json.loads(run.brief)["task"])
    except (ValueError, KeyError, TypeError, InputError):
        return store.project(run.project_id).task


def in_words(run: Run) -> str:
    """A run's state in few words for a list, also of a run that can't be read."""
    try:
        read_settings(run)
    except InputError:
        return UNREADABLE
    return words.run_state(run)
