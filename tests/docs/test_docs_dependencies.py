"""Every dependency has its reason, and every reason its dependency."""

from __future__ import annotations

import ast
import re
import sys

import pytest
from docs_reading import ROOT, named, rows, sources, text_of

FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))
_PINNED = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==\S+")
_COMES_WITH = {
    "aiohttp": "openai",
    "httpx2": "openai",
    "pydantic_core": "pydantic",
}  # brought along
_IMPORTED_AS = {"pydantic_monty": "pydantic-monty", "sqlite_utils": "sqlite-utils"}


def dependencies(file: str) -> list[str]:
    lines = [line.strip() for line in text_of(file).splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize("file", FILES)
def test_dependency_is_pinned(file: str) -> None:
    assert [line for line in dependencies(file) if not _PINNED.fullmatch(line)] == []


def test_dependencies_are_those_with_a_reason() -> None:
    needed = {found.group(1) for file in FILES for line in dependencies(file) if (found := _PINNED.fullmatch(line))}
    assert set(rows(text_of("docs/decisions/0000-dependencies.md"))) == needed


def test_direct_pins_and_constraints_agree() -> None:
    constraints = dict(line.split("==") for line in dependencies("constraints.txt"))
    pins = [re.sub(r"\[.*\]", "", line).split("==") for file in FILES for line in dependencies(file)]
    assert [(name, pin) for name, pin in pins if constraints.get(name) != pin] == []


def test_nothing_is_imported_that_is_not_a_dependency() -> None:
    needed = {_PINNED.fullmatch(line).group(1) for file in FILES for line in dependencies(file)}  # type: ignore[union-attr]
    own = {"autosynth_core", "benchmarks", "pages", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    missing = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            tops = {module.partition(".")[0] for module in modules} - own - sys.stdlib_module_names
            tops = {_COMES_WITH.get(top, _IMPORTED_AS.get(top, top)) for top in tops}
            missing += [(named(path), top) for top in sorted(tops - needed)]
    assert missing == []
