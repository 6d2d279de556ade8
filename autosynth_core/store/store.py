"""The store: one SQLite file, records in, records out.

Owns how a store is opened. Its methods are in ``projects`` (projects, runs, leases, commands), ``tree`` (nodes,
samples, verdicts, metric sets, events, feedback), ``calls`` (model calls, usage, capabilities),
``racing`` (races on demand) and ``waiting`` (what the engine polls, what a person chose in Settings).
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from autosynth_core.store.calls import Calls
from autosynth_core.store.connections import Connections
from autosynth_core.store.projects import Projects
from autosynth_core.store.racing import Racing
from autosynth_core.store.tree import Tree
from autosynth_core.store.waiting import Waiting

__all__ = ["Store"]


def _random_token() -> str:
    """8 hex digits."""
    return secrets.token_hex(4)


class Store(Projects, Racing, Tree, Calls, Waiting):
    """Everything that outlives a process. Usable from several threads and several processes at once.

    Each method is one transaction, committed when it returns; all of them may raise StoreError. What is looked up by
    an id that is not there is ``None``, except for a project or a run, which raise InputError.
    """

    def __init__(self, connections: Connections, clock: Callable[[], float], token: Callable[[], str]) -> None:
        self._db = connections
        self._clock = clock
        self._token = token

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        busy_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = _random_token,
    ) -> Self:
        """Open the database at ``path``, made with its folder when missing and brought up to date when old.

        ``token`` gives the random part of new ids. Raises DatabaseLocked, DatabaseReadOnly, DatabaseTooNew,
        NotADatabase or plain StoreError, each with a sentence that says what to do.
        """
        place = Path(path).expanduser().absolute()
        return cls(Connections(place, read_only=read_only, busy_timeout_s=busy_timeout_s), clock, token)

    @property
    def path(self) -> Path:
        """Where the database lies."""
        return self._db.path

    def require_file(self) -> None:
        """Raise StoreError when the database file was deleted, moved or replaced since it was opened."""
        self._db.require_file()

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
