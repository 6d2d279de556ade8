"""Reading a workflow's text as a syntax tree without trusting it.

Owns the size limit and the guarded parse. What the tree means is decided in ``preflight``; nothing here runs code.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable

MAX_BYTES = 60_000  # of a workflow's text in UTF-8; an expert's longest is about 8 000
MAX_DEPTH = 120  # of the syntax tree; deeper trees exhaust the stack of what walks them


def size(source: str) -> int:
    """Bytes of ``source`` in UTF-8."""
    return len(source.encode("utf-8", "surrogatepass"))


def parse(source: str) -> ast.Module:
    """The syntax tree of ``source``.

    Raises SyntaxError for whatever is no program: also null bytes, lone surrogates, a text over ``MAX_BYTES``, and
    nesting deeper than ``MAX_DEPTH``.
    """
    if size(source) > MAX_BYTES:
        raise SyntaxError(f"the text is larger than {MAX_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" is the author's taste, not our log's business
            tree = ast.parse(source)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(_unparsable(error)) from error
    _refuse_deep(tree)
    return tree


def replace_statements(source: str, replacements: Iterable[tuple[ast.stmt, str]]) -> str:
    """``source`` with statements replaced by text of one line each; all other lines keep their numbers.

    Line breaks within a statement go inside the closing bracket of its text, or behind a text without one.
    """
    text = source.encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, new in sorted(replacements, key=lambda pair: (pair[0].lineno, pair[0].col_offset), reverse=True):
        begin = starts[node.lineno - 1] + node.col_offset  # columns of the tree count bytes
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        breaks = b"\n" * text[begin:end].count(b"\n")
        head, bracket = (new[:-1], new[-1]) if new.endswith(")") else (new, "")
        text = text[:begin] + head.encode() + breaks + bracket.encode() + text[end:]
    return text.decode()


def without_future(source: str) -> str:
    """``source`` without its ``from __future__`` lines: they change nothing here, and Monty's checker trips on them."""
    future = [node for node in parse(source).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return replace_statements(source, [(node, "pass") for node in future])


def _unparsable(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "the text holds characters that are no valid Unicode; write them anew"
    if isinstance(error, ValueError):
        return "the text holds null bytes; remove them"
    return "the program is nested too deeply; write it in smaller statements"


def _refuse_deep(tree: ast.Module) -> None:
    """Walks level by level, so that the check itself can't run out of stack."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise SyntaxError(
        "the program is nested too deeply; write it in smaller statements",
        (None, getattr(level[0], "lineno", None), None, None),
    )
