from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from autosynth_core.errors import DatabaseLocked, DatabaseReadOnly, DatabaseTooNew, NotADatabase, StoreError
from autosynth_core.records import Answer, ChatRequest, Event, Run, RunKind, Scope, Task
from autosynth_core.store import Store

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the superuser's right to write anywhere; others never had it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that other users can reach; pytest's own can't be."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


# --- opening ------------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b c?#%41" / "studio.db"
    Store.open(path).close()
    assert path.is_file()


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    with Store.open(path) as store:
        assert store.projects() == []


def test_the_settings_are_those_for_many_short_commits(store: Store) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys")
    with store._db.read() as db:
        assert [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == ["wal", 1, 1]


def _text(path: Path) -> None:
    path.write_text("This is a long enough text that is certainly no database at all.\n" * 100)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE cookies (name)")


def _newer(path: Path) -> None:
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO _sqlite_migrations VALUES (99, 'autosynth', '9999_from_the_future', 'now')")
        db.commit()


def _damaged(path: Path) -> None:
    Store.open(path).close()
    with path.open("r+b") as file:
        file.truncate(5000)


def _cut_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 500)


@pytest.mark.parametrize("read_only", [False, True], ids=["writing", "reading"])
@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (_text, NotADatabase, "choose another file"),
        (_foreign, NotADatabase, "another program"),
        (_newer, DatabaseTooNew, "update this program"),
        (_damaged, NotADatabase, "damaged"),
        (_cut_header, NotADatabase, "choose another file"),
        (Path.mkdir, NotADatabase, "is a folder"),
    ],
    ids=["text", "another program's", "newer", "damaged", "cut header", "folder"],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    path: Path, make: Callable[[Path], None], error: type[StoreError], sentence: str, read_only: bool
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=sentence):
        Store.open(path, read_only=read_only)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_missing_file_is_not_made_for_reading(path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        Store.open(path, read_only=True)
    assert not path.exists()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose another"):
        Store.open(tmp_path / "file" / "studio.db")


def test_a_file_or_folder_that_may_not_be_written_is_named(open_place: Path) -> None:
    path = open_place / "studio.db"
    Store.open(path).close()
    path.chmod(0o444)
    open_place.chmod(0o555)
    with as_nobody():
        with pytest.raises(DatabaseReadOnly, match="allow writing"):
            Store.open(path)
        with pytest.raises(DatabaseReadOnly, match="allow writing"):
            Store.open(open_place / "new.db")
        with pytest.raises(DatabaseReadOnly, match="choose another"):
            Store.open(open_place / "folder" / "new.db")
    open_place.chmod(0o755)


def test_a_database_can_be_read_where_nothing_may_be_written(open_place: Path, task: Task) -> None:
    path = open_place / "studio.db"
    with Store.open(path) as store:
        project = store.add_project(task)
    open_place.chmod(0o555)
    with as_nobody(), Store.open(path, read_only=True) as reading:
        assert reading.projects() == [project]
    open_place.chmod(0o755)


def test_a_store_for_reading_sees_what_is_written_and_writes_nothing(store: Store, path: Path, task: Task) -> None:
    with Store.open(path, read_only=True) as reading:
        project = store.add_project(task)
        assert reading.projects() == [project]
        with pytest.raises(DatabaseReadOnly, match="reading only"):
            reading.add_project(task)


def test_an_older_database_is_not_brought_up_to_date_for_reading(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 0x4153594e")
    with pytest.raises(StoreError, match="older release"):
        Store.open(path, read_only=True)
    with Store.open(path) as store:
        assert store.projects() == []


def test_a_locked_database_is_named_and_works_again_afterwards(store: Store, path: Path, task: Task) -> None:
    with Store.open(path, busy_timeout_s=0.05) as impatient, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseLocked, match="try again"):
            impatient.add_project(task)
        assert impatient.projects() == []
        other.rollback()
        impatient.add_project(task)


def test_a_wholly_locked_new_file_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseLocked, match="try again"):
            Store.open(path, busy_timeout_s=0.05)


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store.open(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.projects()


def test_an_error_in_mid_transaction_leaves_the_connection_usable(store: Store, task: Task) -> None:
    kept = store.add_project(task)

    def fail() -> None:
        with store._db.write() as db:
            db.execute("DELETE FROM projects")
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert store.projects() == [kept]
    store.delete_project(kept.id)
    assert store.projects() == []


# --- many at once -------------------------------------------------------------------------------------------------


def test_threads_write_and_read_at_once_and_lose_nothing(store: Store, run: Run) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for each in range(50):
                store.add_event(Event(run.id, 1.0, "k", f"{number}-{each}"))
                assert store.events(run.id, limit=5)
        except BaseException as error:  # noqa: BLE001 - whatever a thread dies of must fail the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({event.message for event in store.events(run.id, limit=1000)}) == 400


def test_a_slow_reader_does_not_stop_a_writer(store: Store, run: Run) -> None:
    with store._db.snapshot() as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
        thread = threading.Thread(target=store.add_event, args=(Event(run.id, 1.0, "k", "m"),))
        thread.start()
        thread.join(timeout=5)
        assert not thread.is_alive()
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert len(store.events(run.id)) == 1


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answers(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let processes that have said they are ready go on all at once; their last lines."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def test_processes_that_make_the_same_database_at_once_all_succeed(path: Path) -> None:
    script = (
        "import sys; from autosynth_core.store import Store; print('ready', flush=True); input()\n"
        "print(len(Store.open(sys.argv[1]).projects()))"
    )
    assert answers([start(script, path) for _ in range(3)]) == ["0"] * 3


def test_of_processes_competing_for_a_lease_exactly_one_wins(store: Store, path: Path, run: Run) -> None:
    script = (
        "import sys; from autosynth_core.store import Store; store = Store.open(sys.argv[1])\n"
        "print('ready', flush=True); input(); print(store.acquire(sys.argv[2], sys.argv[3], 100.0, 10.0))"
    )
    said = answers([start(script, path, run.id, f"owner {number}") for number in range(3)])
    assert sorted(said) == ["False", "False", "True"]
    lease = store.lease(run.id)
    assert lease is not None
    assert lease.owner == f"owner {said.index('True')}"


WRITER = """
import sys
from autosynth_core.records import Answer, ChatRequest, Scope
from autosynth_core.store import Store
store = Store.open(sys.argv[1])
for number in range(1_000_000):
    request = ChatRequest("m", (("user", "x" * 20_000),), 0.0, 5, draw=str(number))
    store.record(request, Answer(request.key, "m", "y" * 20_000, "stop", 1, 1, 1.0, 1), Scope(sys.argv[2], "sample"))
    print(request.key, flush=True)
"""


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.11], ids=str)
def test_what_was_recorded_before_kill_9_is_there_afterwards(
    store: Store, path: Path, run: Run, pause_s: float
) -> None:
    process = start(WRITER, path, run.id)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(pause_s)
    process.send_signal(signal.SIGKILL)
    recorded = [first, *process.stdout.read().splitlines(keepends=True)]
    process.communicate()
    whole = [line.strip() for line in recorded if line.endswith("\n")]
    store.close()
    with Store.open(path) as again:
        assert all(again.find(key) is not None for key in whole)
        assert len(whole) <= again.usage(run.id).calls <= len(whole) + 1
        with again._db.read() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_writer_and_a_reader_in_two_processes_get_along(store: Store, path: Path, run: Run) -> None:
    process = start(WRITER, path, run.id)
    assert process.stdout is not None
    process.stdout.readline()
    for number in range(50):
        store.add_event(Event(run.id, 1.0, "k", str(number)))
        store.usage(run.id)
    process.kill()
    process.communicate()
    assert len(store.events(run.id)) == 50


def test_a_full_disk_is_named(store: Store, run: Run) -> None:
    with store._db.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    request = ChatRequest("m", (("user", "x"),), 0.0, 5)
    answer = Answer(request.key, "m", "y" * 100_000, "stop", 1, 1, None, 1)
    with pytest.raises(StoreError, match="full"):
        store.record(request, answer, Scope(run.id, "sample"))
    assert store.find(request.key) is None
    assert store.runs(kind=RunKind.SEARCH) == [run]
