"""A workflow's text beside its syntax tree, and changes to it by position.

Owns reading (names, functions, constants, what refers to what) and patching. Text that an edit does not touch stays
as its author wrote it, comments included. What the program means is ``flow``'s concern.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from autosynth_core.workflow.edits.literals import literal

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
HOST = ("llm", "llm_json", "chat")
_RESERVED = frozenset((*HOST, "asyncio", "re", *dir(builtins)))


class Patch(NamedTuple):
    """Replace ``source[start:end]`` by ``text``; offsets in characters."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Program:
    """A parsed workflow. No two top-level statements share a line."""

    source: str
    tree: ast.Module

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The top-level functions by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, FUNCTIONS)}

    @cached_property
    def names(self) -> frozenset[str]:
        """Every identifier that occurs anywhere, so that a new one can avoid them all."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            for attribute in ("id", "name", "asname", "arg", "attr", "module", "rest"):
                value = getattr(node, attribute, None)
                if isinstance(value, str):
                    found.update(value.split("."))
        return frozenset(found)

    @cached_property
    def bound(self) -> dict[str, ast.stmt]:
        """The top-level names and the statement that binds each."""
        return {name: node for node in self.tree.body for name in _bound_by(node)}

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """The values of the top-level assignments to one name, by name."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
                found[node.target.id] = node.value
        return found

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.source))]

    def offset(self, line: int, column: int) -> int:
        """The character offset of a syntax tree's position (line from 1, column in UTF-8 bytes)."""
        start = self._line_starts[line - 1]
        text = self.source[start : start + column]
        if text.isascii():
            return start + column
        return start + len(text.encode()[:column].decode())

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def reach(self, start: str = "generate") -> frozenset[str]:
        """The top-level names that ``start`` needs, directly or through others, itself included."""
        found: set[str] = set()
        ahead = [start]
        while ahead:
            name = ahead.pop()
            if name in found or name not in self.bound:
                continue
            found.add(name)
            statement = self.bound[name]
            hidden = _own_parameters(statement) if isinstance(statement, FUNCTIONS) else set()
            read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            ahead.extend(sorted(read - hidden))
        return frozenset(found)

    def usable(self) -> bool:
        """Whether code put into this program would find the host functions, modules and builtins under their names."""
        taken = {name for name in self.bound if name in _RESERVED}
        return taken <= _plain_imports(self.tree) and "generate" in self.functions

    def patched(self, patches: Iterable[Patch]) -> Program:
        """The program with the patches applied, which must not overlap."""
        source = self.source
        for patch in sorted(patches, reverse=True):
            source = source[: patch.start] + patch.text + source[patch.end :]
        return parse(source)

    def without(self, names: Iterable[str]) -> Program:
        """The program less the statements that bind only ``names``."""
        unwanted = set(names)
        patches = [
            Patch(*self._lines(node), "") for node in self.tree.body if (bound := _bound_by(node)) and bound <= unwanted
        ]
        return self.patched(patches)

    def _lines(self, node: ast.stmt) -> tuple[int, int]:
        """The span of a top-level statement's whole lines, with decorators and the blank lines after it."""
        start, end = self._line_starts[first_line(node) - 1], self.span(node)[1]
        blank = re.compile(r"[^\n]*\n?(?:[ \t]*\n)*").match(self.source, end)
        return start, blank.end() if blank else end

    def place_before(self, node: ast.stmt) -> int:
        """The offset of the first line of ``node``, decorators and the comment lines right above it included."""
        line = first_line(node)
        floor = max((other.end_lineno or 0 for other in self.tree.body if other.lineno < node.lineno), default=0)
        lines = self.source.split("\n")
        while line - 1 > floor and lines[line - 2].startswith("#"):
            line -= 1
        return self._line_starts[line - 1]


def parse(source: str) -> Program:
    """The program of ``source``. Raises SyntaxError."""
    source = source.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").rstrip() + "\n"
    program = Program(source, ast.parse(source))
    if _crowded(program):
        source = _spread(program.tree)
        program = Program(source, ast.parse(source))
    return program


def first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def body_start(function: Function) -> ast.stmt:
    """The statement of ``function`` before which another can be put: the first that is no docstring."""
    skipped = ast.get_docstring(function, clean=False) is not None and len(function.body) > 1
    return function.body[1 if skipped else 0]


def documented(function: Function) -> str:
    """The first line of a function's docstring; "" when it has none."""
    return (ast.get_docstring(function) or "").strip().split("\n")[0].strip()


def folded(node: ast.expr) -> str | None:
    """The text that ``node`` always has: literals, their sums, and strip() of them; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = folded(node.left), folded(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        text = folded(node.func.value)
        if text is not None and node.func.attr in ("strip", "lstrip", "rstrip"):
            return str(getattr(text, node.func.attr)())
    return None


def _own_parameters(function: Function) -> set[str]:
    """A function's parameters, which hide top-level names; none where a default could still read those."""
    arguments = function.args
    if arguments.defaults or any(arguments.kw_defaults):
        return set()
    return {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}


def _plain_imports(tree: ast.Module) -> set[str]:
    """The modules imported under their own name."""
    return {
        alias.name
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname in (None, alias.name)
    }


def _crowded(program: Program) -> bool:
    """Whether something else than a comment shares a line with a statement that edits may cut or extend."""
    for node in _top_and_bodies(program.tree):
        end = program.span(node)[1]
        rest = program.source[end : program.source.find("\n", end)].strip()
        if rest and not rest.startswith("#"):
            return True
        start = program.source.rfind("\n", 0, program.span(node)[0]) + 1
        if program.source[start : program.span(node)[0]].strip():
            return True
    return False


def _top_and_bodies(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        yield node
        if isinstance(node, FUNCTIONS):
            yield node.body[0]
            yield body_start(node)


def _spread(tree: ast.Module) -> str:
    """The program a statement a line, its constants as readable blocks; comments are lost."""
    pieces: list[str] = []
    for node in tree.body:
        text = None
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = folded(node.value)
            text = None if value is None else f"{node.targets[0].id} = {literal(value)}"
        pieces.append(text or ast.unparse(node))
    return "\n\n".join(pieces) + "\n"
