"""Whether a workflow names nothing that would reach further under CPython than it does in Monty.

Owns one check of the gate SIGNATURE. In the sandbox it changes little: what is refused here is not there. It is for
the script that a person takes away, around which there is no sandbox, and it looks at names alone: a module's insides
(``asyncio.subprocess``, ``json.codecs``), builtins that run or open things, and the attributes that lead from any value
to the interpreter. It keeps out what is known to lead there; that nothing else does can't be shown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

__all__ = ["LENT", "OWN_PREFIX", "check_reach"]

OWN_PREFIX = "_studio"
"""What the names of an exported script's own code begin with; no workflow's may, in any case of letters."""

LENT: Mapping[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "asyncio": "gather run sleep",
        "collections": "Counter defaultdict deque namedtuple",
        "copy": "copy deepcopy",
        "dataclasses": "FrozenInstanceError MISSING dataclass field is_dataclass",
        "datetime": "date datetime time timedelta timezone",
        "functools": "cache lru_cache partial reduce",
        "hashlib": "algorithms_available algorithms_guaranteed blake2b blake2s md5 new pbkdf2_hmac sha1 sha224 sha256 "
        "sha384 sha3_224 sha3_256 sha3_384 sha3_512 sha512 shake_128 shake_256",
        "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile "
        "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
        "json": "JSONDecodeError dump dumps load loads",
        "math": "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp "
        "exp2 expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm "
        "ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan "
        "tanh tau trunc ulp",
        "random": "Random betavariate choice choices expovariate gauss getrandbits randint random randrange sample "
        "seed shuffle triangular uniform",
        "re": "A ASCII DOTALL I IGNORECASE M MULTILINE Match NOFLAG Pattern S compile error escape findall finditer "
        "fullmatch match search split sub",
        "typing": "Annotated Any Callable ClassVar Dict Final FrozenSet Generator Generic Iterable Iterator List "
        "Literal Mapping Never NoReturn Optional Protocol Self Sequence Set TYPE_CHECKING Tuple Type TypeVar Union",
    }.items()
}
"""What Monty has of each module (a test compares). The same modules of CPython lead on to all others."""

_RUNNING = {"breakpoint", "compile", "eval", "exec", "globals", "locals", "open", "vars"}
_BY_NAME = {"delattr", "getattr", "hasattr", "setattr"}
_METHODS = {
    *("__add__", "__bool__", "__call__", "__contains__", "__eq__", "__format__", "__ge__", "__getitem__", "__gt__"),
    *("__hash__", "__init__", "__iter__", "__le__", "__len__", "__lt__", "__ne__", "__next__", "__post_init__"),
    *("__repr__", "__str__"),
}
_INSIDES = {
    *("ag_await", "ag_code", "ag_frame", "cr_await", "cr_code", "cr_frame", "cr_origin", "gi_code", "gi_frame"),
    *("gi_yieldfrom", "f_back", "f_builtins", "f_code", "f_globals", "f_locals", "f_trace", "tb_frame", "tb_next"),
    *("get_context", "get_coro", "get_loop", "get_stack", "print_stack", "_loop"),
}


def check_reach(tree: ast.Module) -> str:
    """The first name that would reach too far, as one sentence with its line, or ""."""
    modules = _modules(tree)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        name = _odd_name(node) or _odd_module(node, modules, above) or _odd_call(node, above)
        if name:
            return f"line {getattr(node, 'lineno', 0)}: {name[:60]} can't be used here; write it another way"
    return ""


def _modules(tree: ast.Module) -> dict[str, str]:
    """The names that stand for modules, with the module."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    return {alias.asname or alias.name: alias.name for node in imports for alias in node.names}


def _odd_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name | ast.arg) and (node.id if isinstance(node, ast.Name) else node.arg) in _RUNNING:
        return node.id if isinstance(node, ast.Name) else node.arg
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in _METHODS:
        return ""
    return next((name for name in _identifiers(node) if not _is_plain(name, node)), "")


def _identifiers(node: ast.AST) -> Iterator[str]:
    """Whatever the node names: variables, attributes, arguments, patterns, what it imports."""
    if isinstance(node, ast.Constant | ast.ImportFrom):
        return
    for _, value in ast.iter_fields(node):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                yield each


def _is_plain(name: str, node: ast.AST) -> bool:
    if name == "__name__":
        return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    return not (name.startswith("__") or name.lower().startswith(OWN_PREFIX) or name in _INSIDES)


def _odd_module(node: ast.AST, modules: Mapping[str, str], above: Mapping[ast.AST, ast.AST]) -> str:
    """What of a module is not lent, or the module itself where it is handed about."""
    if isinstance(node, ast.ImportFrom) and node.module != "__future__":
        lent = LENT.get(node.module or "", frozenset())
        return next((f"{node.module}.{alias.name}" for alias in node.names if alias.name not in lent), "")
    if not isinstance(node, ast.Name) or node.id not in modules:
        return ""
    parent = above[node]
    if not isinstance(parent, ast.Attribute):
        return f"the module {node.id} as a value" if isinstance(node.ctx, ast.Load) else ""
    return "" if parent.attr in LENT.get(modules[node.id], frozenset()) else f"{node.id}.{parent.attr}"


def _odd_call(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> str:
    """Access by a name that only running would tell, and classes that are made by hand."""
    if isinstance(node, ast.ClassDef) and node.keywords:
        return f"a keyword of the class {node.name}"
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return ""
    call = above[node]
    called = isinstance(call, ast.Call) and call.func is node
    if node.id in _BY_NAME:
        return "" if called and isinstance(call, ast.Call) and _names_plainly(call) else node.id
    if node.id == "type":
        seen = isinstance(call, ast.Call) and called and len(call.args) == 1 and not call.keywords
        return "" if seen and _only_looked_at(call, above[call]) else "type"
    return ""


def _names_plainly(call: ast.Call) -> bool:
    name = call.args[1] if len(call.args) > 1 else None
    return isinstance(name, ast.Constant) and isinstance(name.value, str) and _is_plain(name.value, call)


def _only_looked_at(call: ast.AST, parent: ast.AST) -> bool:
    if isinstance(parent, ast.Attribute):
        return parent.attr == "__name__"
    return isinstance(parent, ast.Compare | ast.FormattedValue)
