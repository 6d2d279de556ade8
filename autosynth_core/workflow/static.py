"""What a workflow's syntax tree tells about its prompts and answers before anything runs.

Owns the checks of the gates SIGNATURE and PROMPTS: each function gives the first thing wrong as one sentence with its
line, or "". They are strict where a slip is common and silent (an answer dropped, a placeholder forgotten), and let
pass what they can't decide: the dry run sees the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import NamedTuple

from autosynth_core.workflow.contract import ALLOWED_MODULES, ENTRY, HOST_FUNCTIONS

_CAPITALS = re.compile(r"[A-Z][A-Z0-9_]*\Z")
Function = ast.FunctionDef | ast.AsyncFunctionDef


# --- the form of the module -----------------------------------------------------------------------------------


def check_signature(tree: ast.Module) -> str:
    """Whether the module holds imports, constants and functions alone, and ``async def generate(seed)``."""
    problems = [_top_level(statement) for statement in tree.body]
    problems += [_import(node) for node in ast.walk(tree)]
    problems += [_entry(tree), _twice(tree), _host_names(tree)]
    return next(filter(None, problems), "")


def _top_level(statement: ast.stmt) -> str:
    if isinstance(statement, Function | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Pass):
        return ""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return ""
    targets = _targets(statement)
    if targets and all(isinstance(target, ast.Name) for target in targets):
        return ""
    what = ast.unparse(statement).splitlines()[0][:60]
    return (
        f"line {statement.lineno}: only imports, constants and functions may stand at the top level; "
        f"move `{what}` into a function"
    )


def _targets(statement: ast.stmt) -> Sequence[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    if isinstance(statement, ast.AnnAssign):
        return [statement.target]
    return []


def _import(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = ["." * node.level + (node.module or "")]
        if any(alias.name == "*" for alias in node.names):
            return f"line {node.lineno}: import names from {modules[0]} one by one, not *"
    else:
        return ""
    for module in modules:
        if module not in ALLOWED_MODULES:
            allowed = ", ".join(sorted(ALLOWED_MODULES - {"__future__"}))
            return f"line {node.lineno}: the module {module} can't be imported; available are {allowed}"
    return ""


def _entry(tree: ast.Module) -> str:
    found = [node for node in tree.body if isinstance(node, Function) and node.name == ENTRY]
    wanted = "async def generate(seed: dict[str, str]) -> dict"
    if not found:
        return f"there is no `{wanted}` at the top level; add it"
    entry = found[-1]
    if not isinstance(entry, ast.AsyncFunctionDef):
        return f"line {entry.lineno}: generate must be async; write `{wanted}`"
    given = entry.args
    if len(given.args) + len(given.posonlyargs) != 1 or given.vararg or given.kwonlyargs or given.kwarg:
        return f"line {entry.lineno}: generate must take one argument, the seed; write `{wanted}`"
    if entry.decorator_list:
        return f"line {entry.lineno}: generate must have no decorator"
    return ""


def _twice(tree: ast.Module) -> str:
    seen: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef):
            if node.name in seen:
                return (
                    f"line {node.lineno}: {node.name} was defined already in line {seen[node.name]}; keep one of them"
                )
            seen[node.name] = node.lineno
    return ""


def _host_names(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        name = node.name if isinstance(node, Function | ast.ClassDef) else node.arg if isinstance(node, ast.arg) else ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            name = node.id
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = next((alias.asname or "" for alias in node.names if alias.asname in HOST_FUNCTIONS), "")
        if name in HOST_FUNCTIONS:
            return f"line {getattr(node, 'lineno', 0)}: {name} is given; don't define it, use another name"
    return ""


# --- prompts, placeholders, answers ---------------------------------------------------------------------------


class Constant(NamedTuple):
    """A top-level name in capitals. ``text`` is None when it is no string, or one that only running would tell."""

    line: int
    text: str | None


def prompt_constants(tree: ast.Module) -> dict[str, Constant]:
    """The module's constants in CAPITALS, by name."""
    found: dict[str, Constant] = {}
    for statement in tree.body:
        value = getattr(statement, "value", None)
        for target in _targets(statement):
            if isinstance(target, ast.Name) and _CAPITALS.match(target.id) and value is not None:
                found[target.id] = Constant(statement.lineno, _static_text(value, found))
    return found


def check_prompts(tree: ast.Module, seed_fields: Sequence[str]) -> str:
    """Whether prompts, placeholders, seed fields and answers all meet."""
    constants = prompt_constants(tree)
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    checks: list[Iterator[str]] = [
        _undefined(tree, constants),
        _unused(tree, constants),
        _formats(tree, constants, seed_fields),
        _seed_reads(tree, seed_fields),
        (problem for function in functions for problem in _dropped_answers(function, _awaitable(tree))),
    ]
    return next((problem for check in checks for problem in check), "")


def _static_text(node: ast.expr, known: Mapping[str, Constant]) -> str | None:
    """The text of a string expression made of literals, known constants, ``+`` and ``.strip()``."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return known[node.id].text if node.id in known else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _static_text(node.left, known), _static_text(node.right, known)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not (node.args or node.keywords):
        inner = _static_text(node.func.value, known)
        if inner is not None and node.func.attr in ("strip", "lstrip", "rstrip"):
            return str(getattr(inner, node.func.attr)())
    return None


def _undefined(tree: ast.Module, constants: Mapping[str, Constant]) -> Iterator[str]:
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, Function | ast.ClassDef)}
    bound |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and _CAPITALS.match(node.id) and node.id not in bound | constants.keys():
            yield f"line {node.lineno}: {node.id} is used but never defined; add the prompt constant at the top"


def _unused(tree: ast.Module, constants: Mapping[str, Constant]) -> Iterator[str]:
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name, constant in constants.items():
        if name not in read:
            yield f"line {constant.line}: {name} is defined but never used; use it or remove it"
    for node in tree.body:
        if isinstance(node, Function) and node.name != ENTRY and not _read_outside(tree, node):
            yield f"line {node.lineno}: the function {node.name} is never called; call it or remove it"


def _read_outside(tree: ast.Module, function: Function) -> bool:
    """Whether a function's name is read anywhere but in its own body."""
    own = {id(node) for node in ast.walk(function)}
    return any(
        isinstance(node, ast.Name) and node.id == function.name and id(node) not in own for node in ast.walk(tree)
    )


def _formats(tree: ast.Module, constants: Mapping[str, Constant], seed_fields: Sequence[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            text = _static_text(node.func.value, constants)
            if text is not None:
                name = node.func.value.id if isinstance(node.func.value, ast.Name) else "the prompt"
                yield from _format(node, name, text, seed_fields)


def _format(call: ast.Call, name: str, text: str, seed_fields: Sequence[str]) -> Iterator[str]:
    where = f"line {call.lineno}: "
    try:
        fields = placeholders(text)
    except ValueError as error:
        yield f"{where}{name} can't be filled: {error}; write {{{{ and }}}} for braces that are no placeholder"
        return
    odd = next((field for field in fields if not field.isidentifier()), None)
    if odd is not None:
        shown = "{" + odd[:40] + "}"
        yield (
            f"{where}{name} has the placeholder {shown}; placeholders are plain names such as {{concept}}, "
            "and other braces are doubled: {{ and }}"
        )
        return
    if call.args:
        yield f"{where}{name}.format is given values without names; fill it by keyword, as in .format(concept=...)"
        return
    given = {keyword.arg for keyword in call.keywords if keyword.arg}
    spread = [keyword.value for keyword in call.keywords if keyword.arg is None]
    if spread and not all(isinstance(value, ast.Name) and value.id == "seed" for value in spread):
        return
    missing = sorted(set(fields) - given - (set(seed_fields) if spread else set()))
    if missing:
        yield f"{where}{name} has the placeholder {{{missing[0]}}}, which .format does not fill; add {missing[0]}=..."
    extra = sorted(given - set(fields))
    if extra:
        yield f"{where}{name} has no placeholder {{{extra[0]}}}; put it into the prompt or drop {extra[0]}=..."


def placeholders(text: str) -> list[str]:
    """The placeholders of a ``.format`` template, those within format specs included. Raises ValueError."""
    found: list[str] = []
    for _, field, spec, _ in Formatter().parse(text):
        if field is not None:
            found.append(field)
        if spec:
            found += [inner for _, inner, _, _ in Formatter().parse(spec) if inner is not None]
    return found


def _seed_reads(tree: ast.Module, seed_fields: Sequence[str]) -> Iterator[str]:
    listed = ", ".join(seed_fields)
    for node in ast.walk(tree):
        field = _seed_field(node)
        if field is not None and field not in seed_fields:
            yield f"line {getattr(node, 'lineno', 0)}: seed has no field {field[:60]!r}; its fields are {listed}"


def _seed_field(node: ast.AST) -> str | None:
    """The field that ``seed["field"]`` or ``seed.get("field")`` reads."""
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "seed":
        key = node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "seed"
        and node.args
    ):
        key = node.args[0]
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


# --- answers that nobody reads ----------------------------------------------------------------------------------


def _awaitable(tree: ast.Module) -> set[str]:
    """The functions whose answer means something: the host's and the module's own async ones."""
    return {*HOST_FUNCTIONS, *(node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef))}


def _dropped_answers(function: Function, awaitable: set[str]) -> Iterator[str]:
    for node in _own_nodes(function):
        for block in _blocks(node):
            for number, statement in enumerate(block):
                yield from _dropped(statement, block[number + 1 :], function, awaitable)


def _dropped(statement: ast.stmt, after: Sequence[ast.stmt], function: Function, awaitable: set[str]) -> Iterator[str]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Await):
        called = _called(statement.value)
        if called in awaitable:
            yield f"line {statement.lineno}: the answer of {called} is thrown away; assign it and use it"
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.Await) or not isinstance(statement, ast.Assign | ast.AnnAssign):
        return
    for name in _names(_targets(statement)):
        if _overwritten(name, after):
            yield f"line {statement.lineno}: the answer in {name} is replaced unused; use it or drop the call"
        elif not _reads(name, [function]):
            yield f"line {statement.lineno}: the answer in {name} is never used; pass it on or drop the call"


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """The function's nodes without those of functions inside it, which are looked at by themselves."""
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, Function | ast.Lambda)]


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block


def _called(node: ast.Await) -> str:
    return node.value.func.id if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) else ""


def _names(targets: Sequence[ast.expr]) -> list[str]:
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name) and _stored(node)]


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _reads(name: str, nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for root in nodes
        for node in ast.walk(root)
    )


def _overwritten(name: str, after: Sequence[ast.stmt]) -> bool:
    """Whether the next statement of the block that names ``name`` replaces it unread."""
    for statement in after:
        if _reads(name, [statement]):
            return False
        if name in _names(_targets(statement)):
            return True
    return False
