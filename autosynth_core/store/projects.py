"""Projects, runs, leases and the commands that pages leave for the engine.

Owns who may run a run: a lease is taken, kept and lost here, by compare and swap in one transaction. What a run
produces is left to ``tree``, what it asked models to ``calls``.
"""

# Only this package's own column lists are put into SQL text; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from sqlite3 import Connection as SqliteConnection

from autosynth_core.errors import InputError
from autosynth_core.records import Command, Metric, MetricSet, Project, Run, RunKind, RunState, Task
from autosynth_core.store import rows
from autosynth_core.store.connections import Connections
from autosynth_core.store.racing import put_back
from autosynth_core.store.rows import Lease, Request

__all__ = ["Projects"]

_ENDED = (RunState.STOPPED, RunState.FINISHED, RunState.FAILED)

# An owner whose clock jumped must not hold a run for ever: a heartbeat too far ahead is as dead as one too far behind.
_ALIVE = "abs(? - heartbeat) <= ?"


class Projects:
    """The part of ``Store`` that knows projects and runs."""

    _db: Connections
    _clock: Callable[[], float]
    _token: Callable[[], str]

    # --- projects

    def add_project(self, task: Task) -> Project:
        """A new project with an id made of the task's title and some random characters."""
        project = Project(f"{slug(task.title)}-{self._token()}", task, self._clock())
        with self._db.write() as db:
            db.put("INSERT INTO projects VALUES (?, ?, ?)", (project.id, rows.task_to_json(task), project.created))
        return project

    def project(self, project_id: str) -> Project:
        """Raises InputError when there is none."""
        with self._db.read() as db:
            row = db.put(f"SELECT {rows.PROJECT} FROM projects WHERE id = ?", (project_id,)).fetchone()
        if row is None:
            raise InputError(f"There is no project {project_id!r}; choose one from the list of projects.")
        return rows.read_project(row)

    def projects(self) -> list[Project]:
        """All projects, the newest first."""
        with self._db.read() as db:
            found = db.execute(f"SELECT {rows.PROJECT} FROM projects ORDER BY created DESC, id").fetchall()
        return [rows.read_project(row) for row in found]

    def update_task(self, project_id: str, task: Task) -> None:
        """Raises InputError when there is no such project."""
        with self._db.write() as db:
            cursor = db.put("UPDATE projects SET task = ? WHERE id = ?", (rows.task_to_json(task), project_id))
            if cursor.rowcount == 0:
                raise InputError(f"There is no project {project_id!r} any more; nothing was saved.")

    def delete_project(self, project_id: str, *, stale_after_s: float = 60.0) -> None:
        """Delete a project with everything in it, and every call that no other project used.

        Raises InputError while one of its runs is being run, i.e. its lease was renewed in the last ``stale_after_s``.
        """
        with self._db.write() as db:
            alive = db.put(
                f"SELECT 1 FROM leases JOIN runs ON runs.id = run_id WHERE project_id = ? AND {_ALIVE}",
                (project_id, self._clock(), stale_after_s),
            ).fetchone()
            if alive:
                raise InputError("A run of this project is still going; stop it, then delete the project.")
            _delete_calls(db, project_id)
            db.put("DELETE FROM projects WHERE id = ?", (project_id,))
            db.execute("DELETE FROM metric_sets WHERE version NOT IN (SELECT version FROM run_metric_sets)")

    # --- criteria

    def put_anchors(self, project_id: str, criteria: Sequence[Metric]) -> None:
        """Replace the project's criteria: those the educator approved (``anchor``), and those they only looked at.

        Raises StoreError when there is no such project.
        """
        with self._db.write() as db:
            db.put(
                "INSERT INTO anchors VALUES (?, ?, ?) ON CONFLICT (project_id) DO UPDATE SET "
                "metrics = excluded.metrics, at = excluded.at",
                (project_id, rows.metrics_to_json(MetricSet(tuple(criteria))), self._clock()),
            )

    def anchors(self, project_id: str) -> tuple[Metric, ...] | None:
        """The project's criteria, approved or not; None: nobody has said anything about them yet."""
        with self._db.read() as db:
            row = db.put("SELECT metrics FROM anchors WHERE project_id = ?", (project_id,)).fetchone()
        return None if row is None else rows.metrics_from_json(row[0]).metrics

    # --- runs

    def add_run(
        self, project_id: str, kind: RunKind, settings_json: str, brief: str = "", state: RunState = RunState.QUEUED
    ) -> Run:
        """A new run. Raises StoreError when there is no such project."""
        run_id = f"{kind}-{self._token()}"
        run = Run(run_id, project_id, kind, settings_json, state, "", self._clock(), None, brief)
        with self._db.write() as db:
            db.put(
                f"INSERT INTO runs ({rows.RUN}) VALUES ({rows.marks(rows.RUN)})",
                (run.id, project_id, kind, settings_json, state, "", run.created, None, brief),
            )
        return run

    def run(self, run_id: str) -> Run:
        """Raises InputError when there is none."""
        with self._db.read() as db:
            row = db.put(f"SELECT {rows.RUN} FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise InputError(f"There is no run {run_id!r}; choose one of those that are listed.")
        return rows.read_run(row)

    def runs(self, project_id: str | None = None, kind: RunKind | None = None) -> list[Run]:
        """Runs in the order they were made, of one project or kind where given."""
        with self._db.read() as db:
            found = db.put(
                f"SELECT {rows.RUN} FROM runs WHERE ifnull(project_id = ?, 1) AND ifnull(kind = ?, 1) "
                "ORDER BY created, rowid",
                (project_id, kind),
            ).fetchall()
        return [rows.read_run(row) for row in found]

    def set_run_state(self, run_id: str, state: RunState, reason: str = "") -> None:
        """Also notes when the run ended, and forgets that when it goes on. Raises InputError when there is no run."""
        finished = self._clock() if state in _ENDED else None
        self._update_run(
            "UPDATE runs SET state = ?, reason = ?, finished = ? WHERE id = ?", state, reason, finished, run_id
        )

    def set_settings(self, run_id: str, settings_json: str) -> None:
        """Raises InputError when there is no run."""
        self._update_run("UPDATE runs SET settings = ? WHERE id = ?", settings_json, run_id)

    def _update_run(self, sql: str, *values: str | float | None) -> None:
        with self._db.write() as db:
            if db.put(sql, values).rowcount == 0:
                raise InputError(f"There is no run {values[-1]!r} any more; nothing was changed.")

    # --- leases

    def acquire(self, run_id: str, owner: str, now: float, stale_after_s: float) -> bool:
        """Take the lease on a run: True when ``owner`` holds it now, False while another owner is alive."""
        with self._db.write() as db:
            held = db.put(
                f"SELECT 1 FROM leases WHERE run_id = ? AND owner <> ? AND {_ALIVE}",
                (run_id, owner, now, stale_after_s),
            ).fetchone()
            if held:
                return False
            db.put(
                "INSERT INTO leases (run_id, owner, acquired, heartbeat) VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO "
                "UPDATE SET acquired = iif(owner = excluded.owner, acquired, excluded.acquired), "
                "owner = excluded.owner, heartbeat = excluded.heartbeat",
                (run_id, owner, now, now),
            )
        return True

    def heartbeat(self, run_id: str, owner: str, now: float) -> bool:
        """Renew the lease. False: it was lost, and ``owner`` must write nothing more."""
        with self._db.write() as db:
            cursor = db.put("UPDATE leases SET heartbeat = ? WHERE run_id = ? AND owner = ?", (now, run_id, owner))
            return cursor.rowcount == 1

    def release(self, run_id: str, owner: str) -> None:
        """Give the lease back; nothing happens when another owner has it."""
        with self._db.write() as db:
            db.put("DELETE FROM leases WHERE run_id = ? AND owner = ?", (run_id, owner))

    def lease(self, run_id: str) -> Lease | None:
        with self._db.read() as db:
            row = db.put("SELECT run_id, owner, acquired, heartbeat FROM leases WHERE run_id = ?", (run_id,)).fetchone()
        return None if row is None else Lease(*row)

    def mark_interrupted(self, now: float, stale_after_s: float) -> list[Run]:
        """Running and paused runs without a living owner become INTERRUPTED; returned as they are now.

        One that was in a race on demand is what it was before the race. Their leases go, so that an owner that was only
        asleep finds out at its next heartbeat.
        """
        with self._db.write() as db:
            lost = db.put(
                "SELECT id FROM runs WHERE state IN (?, ?) AND NOT EXISTS "
                f"(SELECT 1 FROM leases WHERE run_id = runs.id AND {_ALIVE})",
                (RunState.RUNNING, RunState.PAUSED, now, stale_after_s),
            ).fetchall()
            for (run_id,) in lost:
                db.put("DELETE FROM leases WHERE run_id = ?", (run_id,))
                if put_back(db, run_id):
                    continue
                db.put(
                    "UPDATE runs SET state = ?, reason = ?, finished = NULL WHERE id = ?",
                    (RunState.INTERRUPTED, "The program that ran it has ended.", run_id),
                )
        return [self.run(run_id) for (run_id,) in lost]

    # --- requests

    def ask(self, run_id: str, command: Command, now: float) -> int:
        """Leave a command for the engine; returns its id."""
        with self._db.write() as db:
            cursor = db.put("INSERT INTO requests (run_id, command, at) VALUES (?, ?, ?)", (run_id, command, now))
            return int(cursor.lastrowid or 0)

    def pending(self, run_id: str) -> list[Request]:
        """Commands not handled yet, the oldest first."""
        with self._db.read() as db:
            found = db.put(
                "SELECT id, run_id, command, at FROM requests WHERE run_id = ? AND handled_at IS NULL ORDER BY id",
                (run_id,),
            ).fetchall()
        return [Request(number, run, Command(command), at) for number, run, command, at in found]

    def handled(self, request_id: int, now: float) -> None:
        with self._db.write() as db:
            db.put("UPDATE requests SET handled_at = ? WHERE id = ?", (now, request_id))


def slug(title: str) -> str:
    """Up to 40 characters of ``title`` in a-z, 0-9 and hyphens; "project" when nothing of it is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "project"


def _delete_calls(db: SqliteConnection, project_id: str) -> None:
    """Forget what a project's runs asked, keeping the answers that other projects' runs also use."""
    runs = "(SELECT id FROM runs WHERE project_id = ?)"
    db.execute(f"DELETE FROM call_uses WHERE run_id IN {runs}", (project_id,))
    db.execute(f"DELETE FROM call_failures WHERE run_id IN {runs}", (project_id,))
    unused = "NOT EXISTS (SELECT 1 FROM call_uses WHERE call_id = calls.id)"
    db.execute(f"DELETE FROM calls WHERE run_id IN {runs} AND {unused}", (project_id,))
    db.execute(f"DELETE FROM calls WHERE run_id IS NULL AND {unused}")
    db.execute(f"UPDATE calls SET run_id = NULL WHERE run_id IN {runs}", (project_id,))
