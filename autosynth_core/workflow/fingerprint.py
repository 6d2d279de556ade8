"""When two workflows are the same program.

Owns the normal form and its hash; who compares with whom is the caller's business.
"""

from __future__ import annotations

import ast

from autosynth_core.records import content_hash
from autosynth_core.workflow.syntax import parse


def fingerprint(source: str) -> str:
    """The hash (32 hex digits) of the program in normal form.

    Comments, docstrings, formatting, quote style and positions don't count, nor does how much white space parts the
    words of a prompt constant (a string at the top level). Names count, and so does white space in strings elsewhere,
    such as separators. Raises SyntaxError as ``syntax.parse`` does.
    """
    tree = _Normal().visit(parse(source))
    tree.body = [_normal_constant(statement) for statement in tree.body]
    return content_hash("workflow", ast.dump(tree, annotate_fields=False))[:32]


class _Normal(ast.NodeTransformer):
    """Drops docstrings, and the places of strings within f-strings that differ by formatting alone."""

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = getattr(node, "body", [])
        kept = [statement for statement in body if not _is_bare_string(statement)]
        node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return node

    visit_Module = visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _without_docstring

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)  # forgets the u"" prefix


def _is_bare_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _normal_constant(statement: ast.stmt) -> ast.stmt:
    """A top-level assignment with the white space of its strings collapsed; anything else as it is."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        for node in ast.walk(statement.value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = " ".join(node.value.split())
    return statement
