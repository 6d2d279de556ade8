"""What a person can get wrong: one clear sentence and a status each, and nothing is lost or made."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from commands_run import SMALL, command, inside, is_one_clear_sentence
from openai_server import OpenAIServer
from pydantic import BaseModel, ValidationError
from scripted_models import ScriptedModels

from autosynth_core.config import CallSettings, ModelSettings, RoundSettings, RunSettings, SampleLimits
from autosynth_core.engine import start_round, start_search
from autosynth_core.errors import StoreError
from autosynth_core.records import Form, Node, NodeState, RunState, Usage
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task

Capture = pytest.CaptureFixture[str]


def changed(task_file: Path, change: Callable[[dict], object]) -> str:
    raw = json.loads(task_file.read_text())
    change(raw)
    return json.dumps(raw)


TASKS: dict[str, Callable[[Path], bytes | None]] = {
    "missing": lambda good: None,
    "empty": lambda good: b"",
    "not JSON": lambda good: b"title: analogies",
    "missing field": lambda good: changed(good, lambda raw: raw.pop("description")).encode(),
    "empty seed list": lambda good: changed(good, lambda raw: raw.update(search_seeds=[])).encode(),
    "wrong encoding": lambda good: good.read_text().replace("Science", "Wissenschaft für").encode("utf-16")[3:],
    "latin 1": lambda good: good.read_text().replace("Science", "für").encode("latin-1"),
    "100,000 seeds": lambda good: changed(
        good,
        lambda raw: raw.update(search_seeds=[{**raw["search_seeds"][0], "concept": str(n)} for n in range(100_000)]),
    ).encode(),
    "a list": lambda good: b"[1, 2, 3]",
    "deeply nested": lambda good: b"[" * 200_000,
}


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_task_file_that_cant_be_used_is_refused_before_anything_is_made(
    make: Callable[[Path], bytes | None], tmp_path: Path, task_file: Path, db: Path, capsys: Capture
) -> None:
    path, content = tmp_path / "task.json", make(task_file)
    if content is not None:
        path.write_bytes(content)
    ended = inside(capsys, "search", path, "--db", db, "--json")
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert "task.json" in ended.said
    assert ended.out == ""
    assert not db.exists()


def locked(db: Path) -> sqlite3.Connection:
    Store.open(db).close()
    connection = sqlite3.connect(db, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def newer(db: Path) -> None:
    Store.open(db).close()
    with closing(sqlite3.connect(db)) as connection, connection:
        row = connection.execute("SELECT * FROM _sqlite_migrations LIMIT 1").fetchone()
        marks = ", ".join("?" * len(row))
        values = [9999 if isinstance(value, int) else value for value in row]
        names = [each[1] for each in connection.execute("PRAGMA table_info(_sqlite_migrations)")]
        values[names.index("name")] = "from_the_future"
        connection.execute(f"INSERT INTO _sqlite_migrations VALUES ({marks})", values)


def not_a_database(db: Path) -> None:
    db.write_bytes(b"These are my notes, not a database." * 100)


def directory(db: Path) -> None:
    db.mkdir()


def foreign(db: Path) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


@pytest.mark.parametrize("words", [["runs"], ["status", "r"], ["resume", "r"]], ids=lambda words: words[0])
@pytest.mark.parametrize("spoil", [newer, not_a_database, directory, foreign], ids=lambda each: each.__name__)
def test_database_that_cant_be_used_is_refused_and_left_as_it_was(
    spoil: Callable[[Path], None], words: list[str], db: Path, capsys: Capture
) -> None:
    spoil(db)
    before = db.read_bytes() if db.is_file() else None
    ended = inside(capsys, *words, "--db", db)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert (db.read_bytes() if db.is_file() else None) == before


def test_locked_database_is_waited_for_and_then_named(
    db: Path, task_file: Path, server: OpenAIServer, capsys: Capture
) -> None:
    with closing(locked(db)):
        ended = inside(capsys, "search", task_file, "--db", db, "--base-url", server.base_url, *SMALL)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert server.calls == 0


def test_place_that_cant_be_written_is_refused(
    task_file: Path, server: OpenAIServer, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file" / "autosynth.db", Path("/proc/autosynth.db")):
        ended = inside(capsys, "search", task_file, "--db", place, "--base-url", server.base_url, *SMALL)
        assert ended.status == 2
        assert is_one_clear_sentence(ended), ended.said
    assert server.calls == 0


@pytest.mark.parametrize(
    "words",
    [["status", "x"], ["runs"], ["resume", "x"], ["workflow", "x", "--out", "w.py"]],
    ids=lambda words: words[0],
)
def test_looking_for_a_database_makes_none(words: list[str], db: Path, capsys: Capture) -> None:
    place = db.parent / "sub" / "autosynth.db"
    ended = inside(capsys, *words, "--db", place)
    assert ended.status == 2
    assert is_one_clear_sentence(ended)
    assert "--db" in ended.said
    assert not place.parent.exists()


@pytest.fixture
def run_id(db: Path, task_file: Path) -> str:
    """A search that was made and never began."""
    with Store.open(db) as store:
        project = store.add_project(load_task(task_file))
        settings = RunSettings(iterations=2, models=ModelSettings(base_url="http://127.0.0.1:9/v1"))
        return start_search(store, project.id, settings, state=RunState.STOPPED).id


@pytest.mark.parametrize(
    "words",
    [["status"], ["resume"], ["workflow", "--out", "w.py"]],
    ids=lambda words: words[0],
)
def test_unknown_run_is_named(words: list[str], db: Path, run_id: str, capsys: Capture) -> None:
    ended = inside(capsys, words[0], "no-such-run", *words[1:], "--db", db)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert "no-such-run" in ended.said


@pytest.mark.parametrize("more", [[], ["--node", "0"], ["--node", "77"], ["--node", "-1"]], ids=str)
def test_node_without_a_workflow_is_refused_and_no_file_is_left(
    more: list[str], db: Path, run_id: str, tmp_path: Path, capsys: Capture
) -> None:
    with Store.open(db) as store:
        store.put_node(Node(run_id, 0, None, NodeState.BROKEN, Form.ROOT))
    out = tmp_path / "out" / "w.py"
    ended = inside(capsys, "workflow", run_id, "--db", db, "--out", out, *more)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert not out.exists()


@pytest.mark.parametrize("place", ["/proc/w.py", "folder", "file/w.py"], ids=["unwritable", "a folder", "under a file"])
def test_export_to_an_impossible_place_is_refused(
    place: str, db: Path, run_id: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way")
    source = "async def generate(seed: dict[str, str]) -> dict:\n    return {}\n"
    with Store.open(db) as store:
        store.put_node(Node(run_id, 0, None, NodeState.SCORED, Form.ROOT, source=source, fingerprint="f"))
    ended = inside(capsys, "workflow", run_id, "--db", db, "--out", tmp_path / place, "--node", 0)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert [each.name for each in (tmp_path / "folder").iterdir()] == []
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize(
    "words",
    [
        ("--iterations", "0"),
        ("--iterations", "-1"),
        ("--iterations", str(10**9)),
        ("--workers", "0"),
        ("--seed", "-1"),
        ("--seed-inputs", "1"),
        ("--workflow-weight", "1.5"),
        ("--workflow-weight", "nan"),
        ("--budget-usd", "0"),
        ("--budget-usd", "inf"),
        ("--metric-refresh", "-1"),
    ],
    ids=" ".join,
)
def test_setting_out_of_range_is_refused_by_its_name(
    words: tuple[str, str], task_file: Path, db: Path, server: OpenAIServer, capsys: Capture
) -> None:
    ended = inside(capsys, "search", task_file, "--db", db, "--base-url", server.base_url, *words)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert words[0] in ended.said
    assert server.calls == 0


def test_a_cap_without_end_leaves_the_run_as_it_was(db: Path, run_id: str, capsys: Capture) -> None:
    ended = inside(capsys, "resume", run_id, "--db", db, "--budget-usd", "inf")
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said


@pytest.mark.parametrize(
    "model", [RunSettings, RoundSettings, CallSettings, SampleLimits], ids=lambda each: each.__name__
)
def test_no_setting_is_endless(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        if "float" in str(field.annotation):
            with pytest.raises(ValidationError, match="finite"):
                model.model_validate({name: float("inf")})


BYTES = "b\udcff"  # as a byte that is not UTF-8 arrives from the shell


@pytest.mark.parametrize(
    "words",
    [
        ("search", "{task}", "--db", "{db}", "--optimizer-model", BYTES),
        ("search", "{task}", "--db", "{db}", "--base-url", f"http://127.0.0.1:9/{BYTES}"),
        ("search", BYTES, "--db", "{db}"),
        *(
            (*words, "--db", place)
            for words in (["search", "{task}"], ["runs"], ["doctor"])
            for place in (BYTES, "n" * 300)
        ),
        ("search", "n" * 300, "--db", "{db}"),
        ("status", BYTES, "--db", "{db}"),
        ("status", "r", "--db", "{db}/" + "n" * 300),
        ("workflow", "r", "--db", "{db}", "--out", "n" * 300),
        ("workflow", "r", "--db", "{db}", "--out", BYTES),
    ],
    ids=lambda words: " ".join(words).replace("n" * 300, "long").replace(BYTES, "bytes"),
)
def test_words_that_no_file_or_text_can_be_are_refused(
    words: tuple[str, ...], db: Path, run_id: str, task_file: Path, capsys: Capture
) -> None:
    ended = inside(capsys, *(word.format(db=db, task=task_file) for word in words))
    assert ended.status == 2
    if words[0] != "doctor" or BYTES in words:
        assert is_one_clear_sentence(ended), ended.said
    with Store.open(db) as store:
        assert [run.id for run in store.runs()] == [run_id]


def test_what_to_run_next_can_be_pasted_into_a_shell(tmp_path: Path, task_file: Path) -> None:
    db = tmp_path / "my $(touch pwned) 'files'.db"
    ended = command("search", task_file, "--db", db, "--base-url", "http://127.0.0.1:9/v1", "--json", *SMALL)
    line = next(line for line in ended.said.splitlines() if "go on with: " in line)
    assert shlex.split(line.split("go on with: ")[1])[3:] == ["resume", ended.json["run_id"], "--db", str(db)]


@pytest.mark.parametrize("number", ["0", "-1", str(10**9)])
def test_goal_out_of_range_leaves_the_run_as_it_was(number: str, db: Path, run_id: str, capsys: Capture) -> None:
    ended = inside(capsys, "resume", run_id, "--db", db, "--iterations", number)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    with Store.open(db) as store:
        assert store.run(run_id).state is RunState.STOPPED
        assert RunSettings.model_validate_json(store.run(run_id).settings).iterations == 2
        assert store.lease(run_id) is None


def test_round_is_not_resumed_as_a_search(db: Path, task_file: Path, capsys: Capture) -> None:
    with Store.open(db) as store:
        project = store.add_project(load_task(task_file))
        run = start_round(store, project.id, RoundSettings())
    ended = inside(capsys, "resume", run.id, "--db", db)
    assert ended.status == 2
    assert is_one_clear_sentence(ended)
    assert "in the app" in ended.said


@pytest.mark.parametrize(
    "words",
    [[], ["search"], ["dance"], ["search", "t.json", "--strategy", "luck"], ["models", "pull", "gpt"]],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_wrong_words_are_refused_with_the_usage(words: list[str], capsys: Capture) -> None:
    ended = inside(capsys, *words)
    assert ended.status == 2
    assert "usage:" in ended.said
    assert "Traceback" not in ended.said


# --- endpoints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["not a url", "ftp://example.org/v1", "http://", "http://user:secret@127.0.0.1:9/v1", "http://[::1/v1"],
)
def test_malformed_address_is_refused_before_anything_is_stored(
    url: str, db: Path, task_file: Path, capsys: Capture
) -> None:
    ended = inside(capsys, "search", task_file, "--db", db, "--base-url", url, *SMALL)
    assert ended.status == 2
    assert is_one_clear_sentence(ended), ended.said
    assert "secret" not in ended.said
    if db.exists():
        with Store.open(db) as store:
            assert store.runs() == []


def test_endpoint_that_is_down_ends_with_3_and_the_run_can_be_resumed(db: Path, task_file: Path) -> None:
    ended = command("search", task_file, "--db", db, "--base-url", "http://127.0.0.1:9/v1", "--json", *SMALL)
    assert ended.status == 3
    assert ended.json["state"] == "failed"
    assert "127.0.0.1:9" in ended.said
    assert f"resume {ended.json['run_id']}" in ended.said
    assert "Traceback" not in ended.said


def test_refused_key_ends_with_3_and_is_never_shown(db: Path, task_file: Path) -> None:
    key = "sk-live-4f9a77b1c2d3"
    with OpenAIServer(ScriptedModels(), api_key="another", models=["scripted"]) as server:
        ended = command(
            "search", task_file, "--db", db, "--base-url", server.base_url, "--json", *SMALL, OPENAI_API_KEY=key
        )
    assert ended.status == 3
    assert "key" in ended.said
    assert key not in ended.said + ended.out
    assert key.encode() not in db.read_bytes()
    assert "Traceback" not in ended.said


def test_model_that_does_not_exist_ends_with_3_and_is_named(db: Path, task_file: Path, server: OpenAIServer) -> None:
    ended = command(
        "search", task_file, "--db", db, "--base-url", server.base_url, "--generator-model", "gpt-99", "--json", *SMALL
    )
    assert ended.status == 3
    assert "gpt-99" in ended.said
    assert "Traceback" not in ended.said


def test_runs_are_listed_beside_one_that_cant_be_read(
    db: Path, run_id: str, task_file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(store: Store, asked: str) -> Usage:
        if asked == run_id:
            raise StoreError(f"Run {asked} can't be summed up; choose another.")
        return Usage()

    with Store.open(db) as store:
        other = start_search(store, store.runs()[0].project_id, RunSettings(), state=RunState.STOPPED).id
    monkeypatch.setattr(Store, "usage", spoilt)
    ended = inside(capsys, "runs", "--db", db, "--json")
    assert ended.status == 0
    assert [row["run_id"] for row in ended.json["runs"]] == [other]
    assert run_id in ended.said


def test_words_of_models_do_not_steer_the_terminal(db: Path, run_id: str, capsys: Capture) -> None:
    with Store.open(db) as store:
        store.set_run_state(run_id, RunState.FAILED, "\x1b[2J\x1b]0;owned\x07 it failed \ud800")
    ended = inside(capsys, "status", run_id, "--db", db)
    assert ended.status == 0
    assert "\x1b" not in ended.out
    assert json.loads(inside(capsys, "status", run_id, "--db", db, "--json").out)["state"] == "failed"
