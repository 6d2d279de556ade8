"""Every prompt is documented and sent by something; nothing asks for a prompt that is not there."""

from __future__ import annotations

import ast
import re

import pytest
from docs_reading import ROOT, rows, strings, text_of

from autosynth_core.prompts import names

PATHS = sorted((ROOT / "autosynth_core").rglob("*.py"))
STRINGS = set().union(*(strings(path) for path in PATHS))


def patterns() -> set[str]:
    """Every f-string of the code as a regular expression, its values as words."""
    found = set()
    for path in PATHS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add(as_pattern(node))
    return found


def as_pattern(node: ast.JoinedStr) -> str:
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "([a-z_]+?)" for part in node.values
    )


def asked_for() -> list[ast.expr]:
    """The first argument of every call to render or rendered."""
    calls = [
        node for path in PATHS for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    return [
        call.args[0]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("render", "rendered") and call.args
    ]


PATTERNS = [pattern for pattern in patterns() if re.match(r"[a-z]+_[a-z_]*\(", pattern)]


@pytest.mark.parametrize("name", names())
def test_prompt_is_sent_by_something(name: str) -> None:
    """By its name, or by a name put together whose varying part stands in the code too."""
    made = (re.fullmatch(pattern, name) for pattern in PATTERNS)
    assert name in STRINGS or any(found and set(found.groups()) <= STRINGS for found in made)


def test_whatever_is_rendered_has_its_file() -> None:
    known = set(names())
    literal = [each.value for each in asked_for() if isinstance(each, ast.Constant)]
    built = [as_pattern(each) for each in asked_for() if isinstance(each, ast.JoinedStr)]
    assert len(literal) > 10
    assert set(literal) <= known
    assert [pattern for pattern in built if not any(re.fullmatch(pattern, name) for name in known)] == []


def test_prompts_page_names_every_prompt_and_no_other() -> None:
    assert sorted(rows(text_of("docs/prompts.md"))) == names()


def test_prompts_page_says_of_each_prompt_what_it_is_for() -> None:
    assert [name for name, cells in rows(text_of("docs/prompts.md")).items() if len(cells[0]) < 10] == []
