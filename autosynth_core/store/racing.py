"""Races on demand: what a run was before its race, kept until the race is over, however it ends.

Owns that each step is one transaction, so that a process killed anywhere leaves a run that is known to be in a race, or
one that is as it was before. When to race and what is said about it is the engine's.
"""

from __future__ import annotations

from typing import NamedTuple

from autosynth_core.records import Command, RunState
from autosynth_core.store.connections import Connection, Connections

__all__ = ["RaceAsked", "Racing", "put_back"]


class RaceAsked(NamedTuple):
    """A race that is queued or under way. Its caps count what it spends itself."""

    budget_usd: float | None  # None: no cap of its own
    budget_tokens: int | None  # None: no cap of its own


class Racing:
    """The part of ``Store`` that knows races on demand."""

    _db: Connections

    def ask_race(
        self, run_id: str, now: float, *, budget_usd: float | None = None, budget_tokens: int | None = None
    ) -> bool:
        """Queue an ended run for a race, in place of what was asked of it before. False when it has not ended."""
        with self._db.write() as db:
            asked = db.put(
                "INSERT OR REPLACE INTO races_asked SELECT id, state, reason, finished, ?, ? FROM runs "
                "WHERE id = ? AND state IN (?, ?)",
                (budget_usd, budget_tokens, run_id, RunState.FINISHED, RunState.STOPPED),
            )
            if asked.rowcount == 0:
                return False
            db.put("UPDATE requests SET handled_at = ? WHERE run_id = ? AND handled_at IS NULL", (now, run_id))
            db.put("INSERT INTO requests (run_id, command, at) VALUES (?, ?, ?)", (run_id, Command.RACE, now))
            db.put("UPDATE runs SET state = ?, finished = NULL WHERE id = ?", (RunState.QUEUED, run_id))
        return True

    def race_asked(self, run_id: str) -> RaceAsked | None:
        """The race that the run is queued for or in; None when it is in none."""
        with self._db.read() as db:
            found = db.put("SELECT budget_usd, budget_tokens FROM races_asked WHERE run_id = ?", (run_id,)).fetchone()
        return None if found is None else RaceAsked(*found)

    def end_race(self, run_id: str) -> bool:
        """The run is what it was before its race. False when it is in none."""
        with self._db.write() as db:
            return put_back(db, run_id)


def put_back(db: Connection, run_id: str) -> bool:
    """``end_race`` within a transaction."""
    put = db.put(
        "UPDATE runs SET (state, reason, finished) = "
        "(SELECT state, reason, finished FROM races_asked WHERE run_id = runs.id) "
        "WHERE id = ? AND id IN (SELECT run_id FROM races_asked)",
        (run_id,),
    )
    db.put("DELETE FROM races_asked WHERE run_id = ?", (run_id,))
    return put.rowcount == 1
