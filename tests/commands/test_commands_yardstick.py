"""What ``search``, ``status`` and ``resume --race`` tell of race, judge, chance and alarms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands_run import Ended, command, inside, is_one_clear_sentence
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.config import RunSettings
from autosynth_core.records import Event, RunState
from autosynth_core.store import Store

TASK = Path(__file__).parents[2] / "data" / "tasks" / "science-analogies.json"
SMALL = ("--iterations", "4", "--workers", "2", "--seed-inputs", "4")
CRITERIA = [
    {"name": "Maps the parts", "description": "Each part stands for one.", "low": "None.", "high": "All.", "weight": 2}
]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ended, OpenAIServer]]:
    """A search with a criterion of the educator's, on a server that is still there."""
    folder = tmp_path_factory.mktemp("searched")
    db, criteria = folder / "autosynth.db", folder / "criteria.json"
    criteria.write_text(json.dumps(CRITERIA), encoding="utf-8")
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        ended = command(
            "search", TASK, "--db", db, "--base-url", server.base_url, "--json", *SMALL,
            "--criteria", criteria, "--anchor-share", "0.25", "--sampling", "fixed", "--convergence", "never",
            "--race-contenders", "3",
        )  # fmt: skip
        yield db, ended, server


def test_search_tells_what_its_scores_rest_on(searched: tuple[Path, Ended, OpenAIServer]) -> None:
    _, ended, _ = searched
    assert ended.status == 0, ended.said
    told = ended.json
    race, judge, noise = told["race"], told["judge"], told["noise"]
    assert set(race) == {"winner", "sealed", "claimed", "gain", "raced", "probability"}
    for each in (race["sealed"], race["claimed"]):
        assert each["ci"][0] <= each["reward"] <= each["ci"][1]
    assert race["gain"]["ci"][0] <= race["gain"]["mean"] <= race["gain"]["ci"][1]
    assert race["sealed"]["n"] >= 4
    assert race["raced"] >= 1
    assert race["probability"] is None if race["raced"] == 1 else 0 <= race["probability"] <= 1
    assert judge["verdict"] in {"fit", "weak", "unfit", "unknown"}
    assert judge["ci"][0] <= judge["auc"] <= judge["ci"][1]
    assert set(noise) == {"sample", "judge", "seed", "detects"}
    assert noise["sample"] >= 0
    assert isinstance(told["alarms"], list)


def test_options_reach_the_run_and_criteria_have_their_share(searched: tuple[Path, Ended, OpenAIServer]) -> None:
    db, ended, _ = searched
    with Store.open(db) as store:
        run = store.run(ended.json["run_id"])
        settings = RunSettings.model_validate_json(run.settings)
        metrics = store.metric_sets(run.id)[0].metric_set.metrics
    assert (settings.sampling, settings.convergence, settings.race_contenders) == ("fixed", "never", 3)
    own = [metric for metric in metrics if metric.anchor]
    assert [metric.name for metric in own] == ["Maps the parts"]
    assert own[0].weight / sum(metric.weight for metric in metrics) == pytest.approx(0.25, abs=1e-3)


def test_status_says_the_same_in_words(
    searched: tuple[Path, Ended, OpenAIServer], capsys: pytest.CaptureFixture[str]
) -> None:
    db, ended, _ = searched
    with Store.open(db) as store:
        store.add_event(Event(ended.json["run_id"], 1.0, "alarm length", "Long texts \x1b[31m get high scores."))
    told = inside(capsys, "status", ended.json["run_id"], "--db", db).out
    assert f"Race: recipe {ended.json['race']['winner']} scores {ended.json['race']['sealed']['reward']:.2f}" in told
    assert "Judge: " in told
    assert "Chance: " in told
    assert "Alarm: Long texts" in told
    assert "\x1b" not in told


def test_race_again_leaves_the_run_as_it_was(searched: tuple[Path, Ended, OpenAIServer]) -> None:
    db, ended, _ = searched
    again = command("resume", ended.json["run_id"], "--race", "--db", db, "--json")
    assert again.status == 0, again.said
    for name in ("state", "reason", "iterations", "nodes", "best", "first"):
        assert again.json[name] == ended.json[name]
    with Store.open(db) as store:
        assert len(store.races(ended.json["run_id"])) == 2
        assert store.lease(ended.json["run_id"]) is None


def test_race_of_a_stopped_run_ends_with_0(searched: tuple[Path, Ended, OpenAIServer], tmp_path: Path) -> None:
    db, ended, _ = searched
    copy = tmp_path / "copy.db"
    copy.write_bytes(db.read_bytes())
    run_id = ended.json["run_id"]
    with Store.open(copy) as store:
        store.set_run_state(run_id, RunState.STOPPED, "stopped by you")
    again = command("resume", run_id, "--race", "--db", copy, "--json")
    assert again.status == 0, again.said
    assert (again.json["state"], again.json["reason"]) == ("stopped", "stopped by you")


def test_race_with_new_recipes_is_refused(
    searched: tuple[Path, Ended, OpenAIServer], capsys: pytest.CaptureFixture[str]
) -> None:
    db, ended, _ = searched
    refused = inside(capsys, "resume", ended.json["run_id"], "--race", "--iterations", "9", "--db", db)
    assert refused.status == 2
    assert is_one_clear_sentence(refused)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read"),
        (b"\xff\xfe", "can't be read"),
        (b"[]", "list of objects"),
        (b'[{"name": "A"}]', "missing"),
    ],
    ids=["not there", "no text", "empty", "parts missing"],
)
def test_criteria_that_cannot_be_used_are_refused_before_anything_is_made(
    content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, db = tmp_path / "criteria.json", tmp_path / "autosynth.db"
    if content is not None:
        path.write_bytes(content)
    refused = inside(capsys, "search", TASK, "--criteria", path, "--db", db, "--base-url", "http://127.0.0.1:9/v1")
    assert refused.status == 2
    assert is_one_clear_sentence(refused)
    assert says in refused.said
    with Store.open(db) as store:
        assert store.projects() == []


@pytest.mark.parametrize("option", ["--sampling", "--scoring", "--convergence"])
def test_unknown_choice_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert inside(capsys, "search", TASK, option, "nonsense").status == 2
