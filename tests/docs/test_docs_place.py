"""The repository speaks of the product alone: nothing in it names the machine it was written on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from docs_reading import ROOT, named, text_of

import autosynth_core

_KINDS = {".py", ".md", ".txt", ".toml", ".json", ".sql", ".svg", ""}
_FOLDERS = ("autosynth_core", "pages", "docs", "tests", "benchmarks", ".ci", ".streamlit")
_ANYBODYS = {"/tmp/", "/home/", "/opt/", "/srv/", "/usr/", "/var/"}
_MADE_UP = {"ann"}  # a user of a test
_SOMEBODY = re.compile(r"(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)(\w+)")
_PRIVATE = re.compile(r"//(?:10\.\d|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)|--(?:extra-)?index-url|--trusted-host")


def files() -> list[Path]:
    inside = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    return sorted(path for path in [*ROOT.glob("*"), *inside] if path.is_file() and path.suffix in _KINDS)


FILES = pytest.mark.parametrize("path", files(), ids=named)


@FILES
def test_file_names_no_folder_of_this_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    here = [str(place) + "/" for place in (ROOT, ROOT.parent, Path.home()) if len(place.parts) > 1]
    here = [place for place in here if place not in _ANYBODYS]
    assert [place for place in here if re.search(rf"(?<![\w.\-]){re.escape(place)}", text)] == []
    assert set(_SOMEBODY.findall(text)) <= _MADE_UP


@pytest.mark.parametrize("path", [path for path in files() if ROOT / "tests" not in path.parents], ids=named)
def test_file_names_no_private_address_or_package_index(path: Path) -> None:
    assert _PRIVATE.findall(path.read_text(encoding="utf-8")) == []


def test_licence_is_whole_and_named_everywhere() -> None:
    text = text_of("LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["license"] == "Apache-2.0"
    assert "(LICENSE)" in text_of("README.md")


def test_newest_entry_of_the_changelog_is_this_version() -> None:
    newest = re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == autosynth_core.__version__
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["version"] == autosynth_core.__version__
