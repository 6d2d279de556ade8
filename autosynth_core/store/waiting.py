"""What the engine looks at on every poll, and what a person chose in Settings."""

from __future__ import annotations

from autosynth_core.records import RunState
from autosynth_core.store import rows
from autosynth_core.store.connections import Connections

__all__ = ["Waiting"]


class Waiting:
    """The part of ``Store`` that knows what waits for the engine, and the program's own settings."""

    _db: Connections

    def waiting(self) -> list[str]:
        """Ids of the runs that are queued or have a command not handled yet, the oldest first. Cheap: polled often."""
        with self._db.read() as db:
            found = db.put(
                "SELECT id FROM runs WHERE state = ? OR id IN (SELECT run_id FROM requests WHERE handled_at IS NULL) "
                "ORDER BY created, id",
                (RunState.QUEUED,),
            ).fetchall()
        return [str(run_id) for (run_id,) in found]

    def setting(self, name: str) -> str | None:
        """What was chosen under this name; None when nothing was. Keys and passwords never stand here."""
        with self._db.read() as db:
            row = db.put("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else rows.text(row[0])

    def put_setting(self, name: str, value: str) -> None:
        with self._db.write() as db:
            db.put(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
