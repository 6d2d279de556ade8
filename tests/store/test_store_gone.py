"""A database file that is taken away while it is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosynth_core.errors import StoreError
from autosynth_core.store import Store


def _deleted(path: Path) -> None:
    path.unlink()


def _moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replaced(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    Store.open(path).close()


@pytest.mark.parametrize("take_away", [_deleted, _moved, _replaced])
def test_file_taken_away_is_noticed(take_away: object, path: Path) -> None:
    with Store.open(path) as store:
        store.require_file()
        take_away(path)
        with pytest.raises(StoreError, match="database is gone"):
            store.require_file()


def test_no_empty_database_takes_the_place_of_one_that_was_deleted(path: Path) -> None:
    with Store.open(path) as store:
        with store._db.read():  # a second connection is needed meanwhile
            path.unlink()
            with pytest.raises(StoreError, match="database is gone"), store._db.read():
                pass
        assert not path.exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_file_that_is_written_to_stays_the_same(read_only: bool, path: Path) -> None:
    Store.open(path).close()
    with Store.open(path, read_only=read_only) as reader, Store.open(path) as writer:
        writer.put_setting("a", "b")
        reader.require_file()
        assert reader.setting("a") == "b"
