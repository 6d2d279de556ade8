"""Opening the database file, lending connections, and naming what is wrong with it.

Owns the SQLite settings, the migrations' turn, transactions and the mapping from SQLite's error codes to the errors of
this program. What is read and written is left to the modules beside this one.

Any thread may use one ``Connections``: each operation borrows a connection for its duration, so a long read never
keeps a write waiting. Writes of one process take turns at a lock; those of several processes at SQLite's, for at most
``busy_timeout_s``. Open it after a fork, never before.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from autosynth_core.errors import DatabaseLocked, DatabaseReadOnly, DatabaseTooNew, NotADatabase, StoreError
from autosynth_core.store.migrations import APPLICATION_ID, migrations

__all__ = ["Connection", "Connections", "Value"]

Value = str | bytes | int | float | None

_INT64 = 2**63 - 1


def _storable(value: Value) -> Value:
    """The nearest thing SQLite takes: bytes for a text with lone surrogates, the bound for an integer past 64 bits."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    if isinstance(value, int):
        return max(-_INT64, min(_INT64, value))
    return value


class Connection(sqlite3.Connection):
    """A connection that takes every text and integer."""

    def put(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        """``execute``, also where a text has no UTF-8 form or an integer exceeds 64 bits."""
        try:
            return self.execute(sql, values)
        except (UnicodeEncodeError, OverflowError):
            return self.execute(sql, [_storable(value) for value in values])


class Connections:
    """The connections to one database file."""

    def __init__(self, path: Path, *, read_only: bool, busy_timeout_s: float) -> None:
        """Open ``path``, creating or migrating it unless ``read_only``. Raises StoreError."""
        self.path = path
        self.read_only = read_only
        self._busy_timeout_s = busy_timeout_s
        self._idle: deque[Connection] = deque()
        self._writing = threading.Lock()
        self._closed = False
        self._immutable = False
        try:
            self._prepare_place()
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            raise StoreError(f"{path} can't be looked up ({error.strerror}); choose another place.") from error
        with self._named_errors(), ExitStack() as on_failure:
            connection = self._first_connection()
            on_failure.callback(connection.close)
            self._prepare_file(connection)
            self._file = _identity(self.path)
            self._idle.append(connection)
            on_failure.pop_all()

    def require_file(self) -> None:
        """Raise StoreError when the file that was opened lies no longer at its path: what is written is lost."""
        if _identity(self.path) != self._file:
            raise StoreError(
                f"The database is gone; {self.path} was deleted, moved or replaced while in use. "
                "Put it back and resume."
            )

    def close(self) -> None:
        """Close the idle connections; those lent out are closed when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for one query."""
        with self._named_errors(), self._lent() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for several queries that must all see the same moment."""
        with self._named_errors(), self._lent() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed when the block ends and rolled back when it raises."""
        if self.read_only:
            raise DatabaseReadOnly(
                f"The database {self.path} was opened for reading only; open it for writing to change it."
            )
        with self._named_errors(), self._writing, self._lent() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        if self._closed:
            raise StoreError(f"The database {self.path} was closed; open it again.")
        try:
            connection = self._idle.pop()
        except IndexError:
            self.require_file()  # else an empty database would be made in its place
            connection = self._connect()
        try:
            yield connection
        finally:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _connect(self) -> Connection:
        mode = ("ro&immutable=1" if self._immutable else "ro") if self.read_only else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(os.fspath(self.path))}?mode={mode}",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=Connection,
        )
        with ExitStack() as on_failure:
            on_failure.callback(connection.close)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the file, and shows what it is
            on_failure.pop_all()
        return connection

    def _first_connection(self) -> Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            no_shared_memory = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not self.read_only or not no_shared_memory or self.path.with_name(self.path.name + "-wal").exists():
                raise
        # In a folder that can't be written SQLite can't make its shared-memory file. Without a log beside the file
        # nobody is writing, and it can be read as it lies.
        self._immutable = True
        return self._connect()

    def _prepare_place(self) -> None:
        if self.path.is_dir():
            raise NotADatabase(f"{self.path} is a folder; name a database file in it.")
        if self.read_only:
            if not self.path.exists():
                raise StoreError(f"There is no database at {self.path}; check the path, or start a project first.")
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseReadOnly(
                f"The folder {self.path.parent} can't be made ({error.strerror}); choose another."
            ) from error
        for place in (self.path, self.path.parent):
            if place.exists() and not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise DatabaseReadOnly(f"{place} can't be written; allow writing to it, or choose another place.")

    def _prepare_file(self, connection: Connection) -> None:
        db = Database(connection, recursive_triggers=False, execute_plugins=False)
        self._refuse_foreign(connection, db)
        if not migrations.pending(db):
            return
        if self.read_only:
            raise StoreError(
                f"The database {self.path} was written by an older release; open it once for writing to update it."
            )
        self._enable_wal(db)
        # Two processes may get here at once: the second one waits, and then finds nothing left to do.
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrations.apply(db)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _refuse_foreign(self, connection: Connection, db: Database) -> None:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        marked = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and marked != APPLICATION_ID:
            raise NotADatabase(f"The database {self.path} belongs to another program; choose another file.")
        if {migration.name for migration in migrations.applied(db)} - _known_migrations():
            raise DatabaseTooNew(
                f"The database {self.path} was written by a newer release; update this program to open it."
            )

    def _enable_wal(self, db: Database) -> None:
        """Switch to the write-ahead log. SQLite does not wait here when another process does the same."""
        until = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                db.enable_wal()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.Error) -> StoreError:
        """SQLite's error as one of ours, with what to do about it."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return DatabaseLocked(f"Another program is writing to {self.path}; close it or try again in a moment.")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return DatabaseReadOnly(f"{self.path} can't be written; allow writing to it, or choose another place.")
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return NotADatabase(f"{self.path} is not a database, or is damaged; choose another file or restore a copy.")
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"The disk that holds {self.path} is full; make room and try again.")
        if code == sqlite3.SQLITE_CANTOPEN:
            return StoreError(f"{self.path} can't be opened; check that it and its folder may be read and written.")
        if code == sqlite3.SQLITE_CONSTRAINT:
            return StoreError(f"The database {self.path} has no such project or run any more; reload and try again.")
        return StoreError(f"The database {self.path} can't be used ({error}); check the file and its disk.")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at ``path`` from another one there; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _known_migrations() -> set[str]:
    return {migration.name for migration in migrations.pending(Database(memory=True, execute_plugins=False))}
