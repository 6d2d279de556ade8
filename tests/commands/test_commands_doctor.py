"""``doctor`` and ``models list``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands_run import inside
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.config import ModelSettings
from autosynth_core.engine import save_models
from autosynth_core.store import Store

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


def test_models_list_names_both_models_and_their_state(capsys: Capture) -> None:
    ended = inside(capsys, "models", "list", "--json")
    assert ended.status == 0
    rows = ended.json["models"]
    assert len(rows) == 2
    assert all(row["bytes"] > 400_000_000 and not row["installed"] for row in rows)
    assert inside(capsys, "models", "list").out.count("not fetched") == 2


def test_doctor_without_an_endpoint_tells_of_the_built_in_model(db: Path, capsys: Capture) -> None:
    ended = inside(capsys, "doctor", "--db", db, "--json")
    assert ended.status == 0, ended.out
    found = {row["what"]: row for row in ended.json["findings"]}
    assert "not fetched" in found["Built-in model"]["state"]
    assert not db.exists()


def test_doctor_shows_what_the_endpoint_can_do_and_makes_no_database(
    db: Path, server: OpenAIServer, capsys: Capture
) -> None:
    ended = inside(capsys, "doctor", "--db", db, "--base-url", server.base_url, "--json")
    assert ended.status == 0, ended.out
    told = " ".join(row["state"] for row in ended.json["findings"] if row["what"] == "Models")
    assert server.base_url in told
    assert "log-probabilities" in told
    assert not db.exists()


def test_doctor_tries_the_models_saved_in_the_database(db: Path, server: OpenAIServer, capsys: Capture) -> None:
    with Store.open(db) as store:
        save_models(store, ModelSettings(base_url=server.base_url, optimizer="missing"))
    ended = inside(capsys, "doctor", "--db", db)
    assert ended.status == 3
    assert "missing" in ended.out
    assert "!!" in ended.out


def test_doctor_ends_with_3_where_the_endpoint_is_down_or_refuses(db: Path, capsys: Capture) -> None:
    assert inside(capsys, "doctor", "--db", db, "--base-url", "http://127.0.0.1:9/v1").status == 3
    with OpenAIServer(ScriptedModels(), api_key="right", models=["scripted"]) as server:
        refused = inside(capsys, "doctor", "--db", db, "--base-url", server.base_url)
    assert refused.status == 3
    assert "key" in refused.out


def test_doctor_ends_with_2_where_the_database_cant_be_used(db: Path, capsys: Capture) -> None:
    db.write_bytes(b"no database at all, just text" * 50)
    ended = inside(capsys, "doctor", "--db", db)
    assert ended.status == 2
    assert "Traceback" not in ended.said


@pytest.mark.parametrize("words", [["doctor"], ["search", "task.json"], ["--help"]], ids=lambda words: words[0])
def test_python_without_the_packages_gets_one_sentence_that_says_what_to_do(words: list[str]) -> None:
    line = [sys.executable, "-S", "-m", "autosynth_core", *words]  # -S: none of the installed packages
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "source .venv/bin/activate" in ended.stderr
    assert "pip install -r requirements.txt" in ended.stderr


@pytest.mark.parametrize("content", [None, "no JSON", '{"models": {"m": {"prompt": -1, "completion": 0}}}'])
def test_doctor_finds_a_price_file_that_cant_be_read(
    content: str | None, db: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.json"
    if content is not None:
        prices.write_text(content)
    monkeypatch.setenv("AUTOSYNTH_PRICES", str(prices))
    ended = inside(capsys, "doctor", "--db", db, "--json")
    assert ended.status == 2
    found = {row["what"]: row for row in ended.json["findings"]}
    assert str(prices) in found["Prices"]["remedy"]


def test_doctor_counts_the_prices_of_a_persons_own(
    db: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"models": {"m": {"prompt": 1, "completion": 2}}}')
    monkeypatch.setenv("AUTOSYNTH_PRICES", str(prices))
    ended = inside(capsys, "doctor", "--db", db, "--json")
    assert ended.status == 0, ended.out
    assert next(row["state"] for row in ended.json["findings"] if row["what"] == "Prices") == f"{prices}, 1 model"
