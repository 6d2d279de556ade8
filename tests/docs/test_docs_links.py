"""What a page points at is there."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
from docs_reading import ROOT, anchors, blocks, code_spans, links, named, pages, text_of

PAGES = pytest.mark.parametrize("page", pages(), ids=named)
_OURS = re.compile(r"(?:autosynth_core|pages|docs|tests|benchmarks|data/tasks)/[\w./-]*|[\w-]+\.(?:md|toml|txt)")


@PAGES
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in links(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        there = path.exists() and ROOT in [path, *path.parents]
        if not there or (anchor and anchor not in anchors(text_of(path))):
            broken.append(target)
    assert broken == []


@PAGES
def test_web_links_are_encrypted(page: Path) -> None:
    assert [target for target in links(text_of(page)) if target.startswith("http:")] == []


@PAGES
def test_files_named_in_a_page_are_there(page: Path) -> None:
    spans = [span for span in code_spans(text_of(page)) if _OURS.fullmatch(span) and not span.isupper()]
    places = [ROOT, page.parent, ROOT / "autosynth_core", ROOT / "data"]
    assert [span for span in spans if not any((place / span).exists() for place in places)] == []


def test_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / target.partition("#")[0]).resolve() for target in links(text_of(index))}
    assert [named(page) for page in pages() if page.parent != ROOT and page != index and page not in reached] == []


@PAGES
def test_python_in_a_page_compiles_and_imports_what_there_is(page: Path) -> None:
    for block in blocks(text_of(page)):
        if block.language == "python":
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autosynth_core"):
                    module = importlib.import_module(node.module or "")
                    assert [each.name for each in node.names if not hasattr(module, each.name)] == []
