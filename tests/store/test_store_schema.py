from __future__ import annotations

from pathlib import Path

from autosynth_core import store as package
from autosynth_core.store import Store
from autosynth_core.store.migrations import APPLICATION_ID, migrations

SCHEMA = Path(__file__).with_name("schema.sql")


def schema_of(store: Store) -> str:
    with store._db.read() as db:
        found = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name").fetchall()
    return "".join(f"{sql};\n" for (sql,) in found)


def test_the_whole_schema_is_the_one_on_file(store: Store) -> None:
    """A released migration is never edited. After appending one, put ``schema_of``'s new answer on file."""
    assert schema_of(store) == SCHEMA.read_text(encoding="utf-8")


def test_the_file_says_whose_it_is(store: Store) -> None:
    with store._db.read() as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        applied = [name for (name,) in db.execute("SELECT name FROM _sqlite_migrations")]
    assert applied == ["0001_first_tables", "0002_races_asked"]
    assert repr(migrations) == "<Migrations 'autosynth': [0001_first_tables, 0002_races_asked]>"


def test_there_is_no_column_for_the_score_of_a_node(store: Store) -> None:
    with store._db.read() as db:
        columns = {name for _, name, *_ in db.execute("PRAGMA table_info(nodes)")}
    assert not {name for name in columns if "score" in name or "reward" in name}


def test_a_database_is_opened_again_without_a_change(store: Store, path: Path) -> None:
    before = schema_of(store)
    store.close()
    with Store.open(path) as again:
        assert schema_of(again) == before


def test_the_public_names_are_these() -> None:
    assert package.__all__ == [
        "CallRow",
        "Lease",
        "RaceAsked",
        "Request",
        "Store",
        "WorkflowScore",
        "export_project",
        "import_project",
        "task_from_json",
        "task_to_json",
    ]
    methods = {name for name in dir(Store) if not name.startswith("_")}
    assert methods == {
        *(
            "acquire",
            "add_event",
            "add_feedback",
            "add_project",
            "add_race",
            "add_run",
            "anchors",
            "ask",
            "ask_race",
            "calls_of",
            "capabilities",
            "close",
        ),
        *(
            "decide_on_metric_set",
            "delete_project",
            "end_race",
            "events",
            "failure",
            "feedback",
            "find",
            "handled",
            "heartbeat",
            "lease",
            "looks",
            "race_asked",
            "races",
        ),
        *("mark_interrupted", "metric_set", "metric_sets", "node", "nodes", "open", "path", "pending", "project"),
        *(
            "projects",
            "put_anchors",
            "put_capabilities",
            "put_metric_set",
            "put_node",
            "put_outcome",
            "put_sample",
            "put_setting",
            "put_verdicts",
        ),
        *("record", "release", "require_file", "reuse"),
        *("run", "runs", "sample", "sample_scores", "samples", "set_run_state"),
        *(
            "set_settings",
            "setting",
            "tree_version",
            "update_task",
            "usage",
            "verdicts",
            "waiting",
            "failed_samples",
            "workflow_scores",
        ),
    }
