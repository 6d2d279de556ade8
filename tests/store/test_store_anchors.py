"""The criteria that an educator approved, kept with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosynth_core.errors import InputError, StoreError
from autosynth_core.records import Metric, Task
from autosynth_core.store import Store, export_project, import_project
from autosynth_core.store import archive as archive_module
from tests.store.test_store_archive import archive_of, lines_of

CRITERIA = (
    Metric("Clear", "lone \ud83d", "No.", "Yes.", 2.0, anchor=True),
    Metric("Short", "Stops in time.", "Never.", "At once."),
)


def test_criteria_come_back_as_they_were_put_and_the_last_word_counts(store: Store, task: Task) -> None:
    project = store.add_project(task)
    assert store.anchors(project.id) is None
    store.put_anchors(project.id, CRITERIA)
    assert store.anchors(project.id) == CRITERIA
    store.put_anchors(project.id, ())
    assert store.anchors(project.id) == ()


def test_criteria_need_a_project_and_go_with_it(store: Store, task: Task) -> None:
    with pytest.raises(StoreError):
        store.put_anchors("nobody's", CRITERIA)
    project = store.add_project(task)
    store.put_anchors(project.id, CRITERIA)
    store.delete_project(project.id)
    assert store.anchors(project.id) is None


@pytest.mark.parametrize("criteria", [CRITERIA, ()], ids=["some", "none"])
def test_criteria_travel_in_the_archive(criteria: tuple[Metric, ...], store: Store, task: Task, tmp_path: Path) -> None:
    project = store.add_project(task)
    store.put_anchors(project.id, criteria)
    with Store.open(tmp_path / "other.db") as other:
        arrived = import_project(other, export_project(store, project.id))
        assert other.anchors(arrived.id) == criteria


@pytest.mark.parametrize(
    "metrics",
    [
        '[["a"]]',
        '[["a","b","c","d",-1,true]]',
        '[["a","b","c","d","e",true]]',
        '[["a","b","c","d",1,"yes"]]',
        "{}",
        "x",
    ],
)
def test_archive_with_criteria_that_cannot_be_is_refused(metrics: str, store: Store, task: Task) -> None:
    project = store.add_project(task)
    store.put_anchors(project.id, CRITERIA)
    lines = lines_of(export_project(store, project.id))
    forged = [
        ["anchors", metrics, 1.0] if line[0:1] == ["anchors"] else line for line in lines if isinstance(line, list)
    ]
    with pytest.raises(InputError):
        import_project(store, archive_of([lines[0], *forged]))
    assert len(store.projects()) == 1
    assert archive_module.VERSION == 1
