"""``search``, ``resume``, ``status``, ``runs`` and ``workflow`` on a scripted endpoint, each in its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands_run import SMALL, Ended, command, finish, inside, is_one_clear_sentence, start
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.records import RunState
from autosynth_core.store import Store

USAGE = {"calls", "cached", "prompt_tokens", "completion_tokens", "usd"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A search that was run to its end, and its database."""
    db = tmp_path_factory.mktemp("finished") / "autosynth.db"
    task = Path(__file__).parents[2] / "data" / "tasks" / "science-analogies.json"
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        return db, command("search", task, "--db", db, "--base-url", server.base_url, "--json", *SMALL)


def documented(status: dict) -> bool:
    fields = {"run_id", "state", "iterations", "nodes", "broken", "duplicates", "best", "usage"}
    best = {"node", "reward", "ci", "sample_score", "workflow_score"}
    return fields <= set(status) and best <= set(status["best"]) and set(status["usage"]) >= USAGE


def test_search_ends_with_0_and_one_json_object(finished: tuple[Path, Ended]) -> None:
    _, ended = finished
    assert ended.status == 0, ended.said
    assert len(ended.out.splitlines()) == 1
    status = ended.json
    assert documented(status)
    assert (status["state"], status["iterations"], status["nodes"]) == ("finished", 2, 3)
    low, high = status["best"]["ci"]
    assert 0 <= low <= status["best"]["reward"] <= high <= 1
    assert status["usage"]["calls"] > 20
    assert "Traceback" not in ended.said


def test_search_follows_its_progress_on_standard_error(finished: tuple[Path, Ended]) -> None:
    _, ended = finished
    assert "The first recipe scores" in ended.said
    assert "Recipe 2, from" in ended.said


def test_status_and_runs_tell_what_search_told(
    finished: tuple[Path, Ended], capsys: pytest.CaptureFixture[str]
) -> None:
    db, ended = finished
    told = ended.json
    assert inside(capsys, "status", told["run_id"], "--db", db, "--json").json == told
    assert inside(capsys, "runs", "--db", db, "--json").json == {"runs": [told]}
    for_people = inside(capsys, "status", told["run_id"], "--db", db)
    assert for_people.status == 0
    assert f"reward {told['best']['reward']:.3f}" in for_people.out
    assert told["run_id"] in inside(capsys, "runs", "--db", db).out


def test_exported_workflow_runs_under_cpython(finished: tuple[Path, Ended], tmp_path: Path) -> None:
    db, ended = finished
    script = tmp_path / "new folder" / "workflow.py"
    written = command("workflow", ended.json["run_id"], "--db", db, "--out", script, "--json")
    assert written.status == 0
    assert written.json["node"] == ended.json["best"]["node"]
    seeds = [{"concept": "osmosis", "grade": "7"}, {"concept": "inertia", "grade": "8"}]
    with Store.open(db) as store:
        fields = store.project(store.run(ended.json["run_id"]).project_id).task.seed_fields
    rows = [{field: seed.get(field, "seven") for field in fields} for seed in seeds]
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        done = subprocess.run(
            [sys.executable, script, "--model", "scripted"],
            input="".join(json.dumps(row) + "\n" for row in rows),
            env={**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["seed"] for line in lines] == rows
    assert all(line["output"]["analogy"] for line in lines)


def test_finished_search_is_extended_and_not_begun_again(finished: tuple[Path, Ended], tmp_path: Path) -> None:
    db, ended = finished
    copy = tmp_path / "copy.db"
    copy.write_bytes(db.read_bytes())
    run_id = ended.json["run_id"]
    refused = command("resume", run_id, "--db", copy)
    assert refused.status == 2
    assert is_one_clear_sentence(refused)
    assert "larger number of iterations" in refused.said
    with Store.open(copy) as store:
        url = json.loads(store.run(run_id).settings)["models"]["base_url"]
        assert store.lease(run_id) is None
    with OpenAIServer(ScriptedModels(), models=["scripted"], port=int(url.split(":")[2].split("/")[0])):
        extended = command("resume", run_id, "--db", copy, "--iterations", "3", "--json")
    assert extended.status == 0, extended.said
    assert extended.json["iterations"] == 3
    assert extended.json["usage"]["calls"] > ended.json["usage"]["calls"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminated"])
def test_interrupted_search_ends_with_130_and_tells_how_to_go_on(
    number: signal.Signals, db: Path, task_file: Path
) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.2, models=["scripted"]) as server:
        process = start("search", task_file, "--db", db, "--base-url", server.base_url, "--json", *SMALL)
        wait_for_calls(server, 12)
        process.send_signal(number)
        ended = finish(process)
        assert ended.status == 130
        assert ended.json["state"] == "interrupted"
        assert f"resume {ended.json['run_id']} --db {db}" in ended.said
        assert "Traceback" not in ended.said
        again = command("resume", ended.json["run_id"], "--db", db, "--json")
    assert again.status == 0
    assert again.json["usage"]["calls"] == server.usable


def test_of_two_resumes_at_once_one_works_and_one_is_refused(db: Path, task_file: Path) -> None:
    with OpenAIServer(ScriptedModels(), delay_s=0.1, models=["scripted"]) as server:
        process = start("search", task_file, "--db", db, "--base-url", server.base_url, "--json", *SMALL)
        wait_for_calls(server, 8)
        process.send_signal(signal.SIGINT)
        run_id = finish(process).json["run_id"]
        both = [start("resume", run_id, "--db", db, "--json") for _ in range(2)]
        ended = sorted((finish(each) for each in both), key=lambda each: each.status)
        assert [each.status for each in ended] == [0, 2], [each.said for each in ended]
        assert ended[0].json["state"] == "finished"
        assert "being worked on by another process" in ended[1].said
        assert ended[1].out == ""
        assert ended[0].json["usage"]["calls"] == server.usable
    with Store.open(db) as store:
        assert store.run(run_id).state is RunState.FINISHED
        assert store.lease(run_id) is None


def wait_for_calls(server: OpenAIServer, calls: int, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while server.usable < calls:
        assert time.monotonic() < end, f"only {server.usable} calls"
        time.sleep(0.05)
