"""What ``--help`` says, how refusals are worded, and how much a command prints while one waits."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands_run import SMALL, command, inside
from openai_server import OpenAIServer
from scripted_models import ScriptedModels

from autosynth_core.__main__ import parser
from autosynth_core.commands.models import Progress
from autosynth_core.config import ModelSettings, RoundSettings
from autosynth_core.engine import start_round
from autosynth_core.records import RunState
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task

Capture = pytest.CaptureFixture[str]


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    (choices,) = (each.choices for each in parser()._actions if isinstance(each.choices, dict))
    yield from choices.items()


@pytest.mark.parametrize(("name", "made"), list(commands()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_option_says_what_it_is_and_what_it_is_by_default(name: str, made: argparse.ArgumentParser) -> None:
    assert made.description
    for action in made._actions:
        assert action.help, action.dest
        if action.option_strings and action.dest != "help":
            assert "default" in action.help, f"{name} {action.option_strings}"


def test_models_help_says_what_each_does(capsys: Capture) -> None:
    said = " ".join(inside(capsys, "models", "--help").out.split())
    assert all(f"{action}: " in said for action in ("pull", "serve", "list"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--iterations", "0"), "--iterations must be at least 1, not 0;"),
        (("--seed-inputs", "500"), "--seed-inputs must be at most 200, not 500;"),
        (("--budget-usd", "0"), "--budget-usd must be more than 0, not 0.0;"),
        (("--workflow-weight", "nan"), "--workflow-weight must be a finite number, not nan;"),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_a_value_out_of_range_is_refused_in_our_own_words(
    words: tuple[str, str], said: str, db: Path, task_file: Path, capsys: Capture
) -> None:
    ended = inside(capsys, "search", task_file, "--db", db, "--base-url", "http://127.0.0.1:9/v1", *words)
    assert ended.status == 2
    assert ended.said.startswith(said)


def test_the_command_line_names_nothing_that_only_the_app_has(db: Path, task_file: Path, capsys: Capture) -> None:
    with Store.open(db) as store:
        project = store.add_project(load_task(task_file))
        models = ModelSettings(base_url="http://127.0.0.1:9/v1")
        run = start_round(store, project.id, RoundSettings(models=models))
        store.set_run_state(run.id, RunState.INTERRUPTED)
    told = inside(capsys, "resume", run.id, "--db", db).said + inside(capsys, "resume", "none", "--db", db).said
    told += inside(capsys, "status", run.id, "--db", db).out
    assert not [word for word in ("Initialize", "press", "Resume", "page", "project's") if word in told], told


def test_what_made_a_search_fail_is_said_once(db: Path, task_file: Path) -> None:
    with OpenAIServer(ScriptedModels(), api_key="right", models=["scripted"]) as server:
        ended = command("search", task_file, "--db", db, "--base-url", server.base_url, *SMALL, OPENAI_API_KEY="wrong")
    assert ended.status == 3
    reason = next(line for line in ended.said.splitlines() if "key" in line)
    assert ended.said.count(reason[:60]) == 1, ended.said


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_loading_is_told_every_few_seconds_without_a_terminal() -> None:
    out, now = io.StringIO(), iter(number / 4 for number in range(100))
    progress = Progress(out, lambda: next(now))
    for number in range(60):  # a quarter of a second apart
        progress(f"Loading: {number}")
    progress.done()
    assert out.getvalue().splitlines() == ["Loading: 0", "Loading: 20", "Loading: 40"]


def test_loading_rewrites_one_line_on_a_terminal() -> None:
    out = _Terminal()
    progress = Progress(out, lambda: 0.0)
    for number in range(5):
        progress(f"Loading: {number}")
    progress.done()
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\rLoading: 4\033[K\n")
