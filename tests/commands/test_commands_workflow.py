"""``workflow``: what it writes, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands_run import inside, is_one_clear_sentence

from autosynth_core.config import RunSettings
from autosynth_core.engine import start_search
from autosynth_core.records import Form, Node, NodeState, RunState
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task
from autosynth_core.workflow import SCRIPT_MARK, plain_workflow

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run_id(db: Path, task_file: Path) -> str:
    """A search whose first recipe can be exported."""
    task = load_task(task_file)
    with Store.open(db) as store:
        run = start_search(store, store.add_project(task).id, RunSettings(), state=RunState.STOPPED)
        store.put_node(Node(run.id, 0, None, NodeState.SCORED, Form.ROOT, source=plain_workflow(task)))
    return run.id


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"], ids=lambda end: end or "itself")
@pytest.mark.parametrize("more", [[], ["--force"]], ids=["", "forced"])
def test_the_database_is_never_written_over(end: str, more: list[str], db: Path, run_id: str, capsys: Capture) -> None:
    for out in (f"{db}{end}", f"{db.parent}/../{db.parent.name}/{db.name}{end}"):
        ended = inside(capsys, "workflow", run_id, "--db", db, "--node", 0, "--out", out, *more)
        assert ended.status == 2
        assert is_one_clear_sentence(ended), ended.said
    with Store.open(db) as store:
        assert [run.id for run in store.runs()] == [run_id]


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_to_the_database_is_seen_through(link: object, db: Path, run_id: str, capsys: Capture) -> None:
    assert callable(link)
    link(db, db.with_name("w.py"))
    ended = inside(capsys, "workflow", run_id, "--db", db, "--node", 0, "--out", db.with_name("w.py"), "--force")
    assert ended.status == 2
    assert "database" in ended.said
    with Store.open(db) as store:
        assert [run.id for run in store.runs()] == [run_id]


def test_another_file_is_replaced_by_force_alone(db: Path, run_id: str, tmp_path: Path, capsys: Capture) -> None:
    notes = tmp_path / "notes.py"
    notes.write_text("# mine\n")
    words = ("workflow", run_id, "--db", db, "--node", 0, "--out", notes)
    before = content(tmp_path)
    refused = inside(capsys, *words)
    assert refused.status == 2
    assert is_one_clear_sentence(refused), refused.said
    assert "--force" in refused.said
    assert content(tmp_path) == before
    assert inside(capsys, *words, "--force").status == 0
    assert notes.read_text().startswith(SCRIPT_MARK)
    assert inside(capsys, *words).status == 0, "an earlier script is replaced without a word"


@pytest.mark.parametrize("more", [[], ["--force"]], ids=["", "forced"])
def test_what_is_no_regular_file_is_refused(
    more: list[str], db: Path, run_id: str, tmp_path: Path, capsys: Capture
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for place in (pipe, tmp_path / "circle", Path("/dev/null"), tmp_path):
        ended = inside(capsys, "workflow", run_id, "--db", db, "--node", 0, "--out", place, *more)
        assert ended.status == 2
        assert is_one_clear_sentence(ended), ended.said
    assert pipe.is_fifo()


def test_a_script_is_written_where_a_link_leads_with_the_rights_of_any_new_file(
    db: Path, run_id: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "link.py").symlink_to(tmp_path / "target.py")
    (tmp_path / "plain").write_text("")
    assert inside(capsys, "workflow", run_id, "--db", db, "--node", 0, "--out", tmp_path / "link.py").status == 0
    assert (tmp_path / "link.py").is_symlink()
    assert (tmp_path / "target.py").read_text().startswith(SCRIPT_MARK)
    assert (tmp_path / "target.py").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def (((", "Recipe 1 is no program that can be read; choose another with --node."),
        ("import os\n", "Recipe 1 can't be taken away (line 1: the module os can't be imported"),
    ],
    ids=["no program", "harmful"],
)
def test_a_recipe_that_cant_be_taken_away_is_named(
    source: str, says: str, db: Path, run_id: str, tmp_path: Path, capsys: Capture
) -> None:
    with Store.open(db) as store:
        store.put_node(Node(run_id, 1, 0, NodeState.SCORED, Form.REWRITE, source=source, fingerprint="f"))
    ended = inside(capsys, "workflow", run_id, "--db", db, "--node", 1, "--out", tmp_path / "w.py")
    assert ended.status == 2
    assert ended.said.startswith(says)
    assert is_one_clear_sentence(ended)
    assert not (tmp_path / "w.py").exists()
