"""Commands in the pages work as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_reading import ROOT, commands, named, pages, text_of

from autosynth_core.__main__ import parser

PAGES = pytest.mark.parametrize("page", pages(), ids=named)


@PAGES
def test_command_lines_parse(page: Path) -> None:
    for words in commands(text_of(page)):
        if words[:3] == ["python", "-m", "autosynth_core"]:
            parser().parse_args(words[3:])  # exits, and so fails, on anything it does not know


@PAGES
def test_task_files_in_command_lines_are_there(page: Path) -> None:
    named_files = [word for words in commands(text_of(page)) for word in words if word.startswith("data/tasks/")]
    assert [name for name in named_files if not (ROOT / name).is_file()] == []


@PAGES
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    asked = [word for words in commands(text_of(page)) if words[0] == "make" for word in words[1:] if "=" not in word]
    asked += re.findall(r"`make ([a-z]+)", text_of(page))
    assert [target for target in asked if target not in targets] == []


def test_readme_shows_how_to_start_test_and_search() -> None:
    shown = list(commands(text_of("README.md")))
    assert ["make", "run"] in shown
    assert ["make", "test"] in shown
    assert ["pip", "install", "-r", "requirements.txt"] in shown
    assert ["streamlit", "run", "app.py"] in shown
    assert any(words[:4] == ["python", "-m", "autosynth_core", "search"] for words in shown)


@pytest.mark.parametrize("page", ["README.md", "docs/command-line.md", "docs/first-run.md", "docs/embedded-run.md"])
def test_a_newcomer_is_told_to_enter_the_environment_before_the_first_command(page: str) -> None:
    shown = list(commands(text_of(page)))
    first = next(place for place, words in enumerate(shown) if words[0] == "python")
    assert ["source", ".venv/bin/activate"] in shown[:first]


def test_every_command_has_its_place_in_the_readme() -> None:
    there = set(parser()._subparsers._group_actions[0].choices)  # type: ignore[arg-type, union-attr]
    shown = {words[3] for words in commands(text_of("README.md")) if words[:3] == ["python", "-m", "autosynth_core"]}
    assert there - shown == set()


def test_labels_in_the_tour_are_those_of_the_app() -> None:
    tour = text_of("README.md").partition("## Five minutes in the app")[2].partition("\n## ")[0]
    labels = re.findall(r"\*\*([^*]+)\*\*", tour)
    screens = "".join(path.read_text("utf-8") for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")])
    titles = "".join(path.read_text("utf-8") for path in (ROOT / "data" / "tasks").glob("*.json"))
    assert len(labels) > 8
    assert [label for label in labels if label not in screens + titles] == []
    walked = re.findall(r"\*\*([^*]+)\*\*", text_of("docs/first-run.md"))
    assert len(walked) > 20
    words = text_of("autosynth_core/views/words.py")
    assert [label for label in walked if label not in screens + words] == []
