"""Reads the repository as its readers do: pages, links, code blocks, and what the code itself says."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block: what is written behind the fence, and what stands in it."""

    language: str
    text: str


def pages() -> list[Path]:
    """Every page: the Markdown files at the root and all under docs."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def sources() -> list[Path]:
    """Every Python file of the product, its benchmarks and what its tests stand on; the tests themselves not."""
    folders = ("autosynth_core", "pages", "benchmarks", "tests/support")
    return sorted([ROOT / "app.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))])


def named(path: Path) -> str:
    """A path as a reader would write it."""
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    return [Block(language.strip(), body) for language, body in _FENCE.findall(text)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Targets of the links and images in a page's prose."""
    return _LINK.findall(_CODE_SPAN.sub("", prose(text)))


def code_spans(text: str) -> list[str]:
    return _CODE_SPAN.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What a link may point at within a page, as GitHub makes it of the headings."""
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in _HEADING.findall(prose(text))}


def rows(text: str) -> dict[str, list[str]]:
    """The table rows of a page that begin with one code span: that span, and the other cells."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and (span := _CODE_SPAN.fullmatch(cells[0])):
            found[span.group(1)] = cells[1:]
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The shell commands in a page's blocks as words: comments, assignments before them and pipes behind them cut."""
    for block in blocks(text):
        if block.language in ("sh", "bash", "shell", "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line.removeprefix("$ ")):
                    if words := _words(part):
                        yield words


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and (words[0] == "export" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    return words[: words.index(">")] if ">" in words else words


def strings(path: Path) -> set[str]:
    """Every string constant in a Python file, the pieces of f-strings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces
    }
