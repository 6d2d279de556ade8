"""What a workflow's program does: its pipeline, where its prompts are sent, what a run of it can cost.

Owns the reading of calls between functions. Changes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from autosynth_core.config import SampleLimits
from autosynth_core.workflow.edits.program import FUNCTIONS, HOST, Function, Program, body_start

DEFAULT_MAX_TOKENS = 1024  # of the host functions
_UNKNOWN_TURNS = 4  # taken for a loop whose length can't be read
LARGEST_SOURCE = 56_000  # bytes; a little below what preflight lets through


class Pipeline(NamedTuple):
    """A ``generate`` that passes a draft from one stage function to the next."""

    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a prompt is handed over: an expression within a top-level function that has the seed at hand."""

    function: str
    expression: ast.expr
    seed: str  # the function's parameter that holds the seed


class Cost(NamedTuple):
    """The most that one run may ask for, as far as can be read."""

    calls: int
    tokens: int


# --- the pipeline -------------------------------------------------------------------------------------------------


def pipeline(program: Program) -> Pipeline | None:
    """The stages of ``generate``: ``d = await a(seed)``, then ``d = await b(seed, d)`` ..., then ``return d``.

    None when it is written otherwise.
    """
    generate = program.functions["generate"]
    seed, statements = seed_parameter(generate), generate.body[generate.body.index(body_start(generate)) :]
    stages: list[str] = []
    draft = ""
    for number, node in enumerate(statements):
        last = number == len(statements) - 1
        if last and isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == draft:
            return Pipeline(tuple(stages))
        stage, target = _stage_call(node, seed, draft)
        if stage not in program.functions or (target == "") != last:
            return None
        stages.append(stage)
        draft = target
        if last:
            return Pipeline(tuple(stages))
    return None


def _stage_call(node: ast.stmt, seed: str, draft: str) -> tuple[str, str]:
    """The stage's name and the variable its draft goes to ("" for ``return``); ("", "") for any other statement."""
    target = ""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        target = node.targets[0].id
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        target = node.target.id
    elif not isinstance(node, ast.Return):
        return "", ""
    call = node.value.value if isinstance(node.value, ast.Await) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
        return "", ""
    given = [argument.id if isinstance(argument, ast.Name) else "" for argument in call.args]
    return (call.func.id, target) if given == ([seed, draft] if draft else [seed]) else ("", "")


def seed_parameter(function: Function) -> str:
    """The name of a function's first parameter; "" when it has none."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    return parameters[0].arg if parameters else ""


# --- where prompts are sent ------------------------------------------------------------------------------------------


def prompt_sites(program: Program, name: str) -> list[Site]:
    """The prompts that a run of function ``name`` sends, first to last, where they are put together.

    A prompt that a function merely passes on is followed up to its caller. Left out is what a function without the
    seed, or one that serves several callers, puts together: changing it would change other stages as well.
    """
    start = seed_parameter(program.functions[name])
    # By the contract the seed is called so; where the first stage calls it otherwise, its functions may as well.
    found: dict[tuple[int, int], Site] = {}
    for item in _sites(program, name, ()):
        if isinstance(item, Site) and (item.function == name or _callers(program, item.function) == 1):
            parameters = _parameters(program.functions[item.function])
            seed = next((name for name in (start, "seed") if name in parameters), "")
            if seed:
                place = (item.expression.lineno, item.expression.col_offset)
                found.setdefault(place, Site(item.function, item.expression, seed))
    return list(found.values())


def _sites(program: Program, name: str, above: tuple[str, ...]) -> Iterator[Site | str]:
    """Sites within and below ``name``; a str is a parameter of ``name`` that is sent as it comes."""
    function = program.functions[name]
    parameters = _parameters(function)
    for call in calls_in(function):
        for expression in _sent_by(program, call, (*above, name)):
            if isinstance(expression, Site):
                yield expression
            elif isinstance(expression, ast.Name) and expression.id in parameters:
                yield expression.id
            else:
                yield Site(name, expression, "")


def _sent_by(program: Program, call: ast.Call, above: tuple[str, ...]) -> Iterator[Site | ast.expr]:
    callee = call.func.id if isinstance(call.func, ast.Name) else ""
    if callee in HOST:
        prompt = _host_prompt(call, callee)
        if prompt is not None:
            yield prompt
    elif callee in program.functions and callee not in above:
        for item in _sites(program, callee, above):
            if isinstance(item, Site):
                yield item
            else:
                argument = _argument(program.functions[callee], call, item)
                if argument is not None:
                    yield argument


def _host_prompt(call: ast.Call, callee: str) -> ast.expr | None:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    name = "messages" if callee == "chat" else "prompt"
    value = call.args[0] if call.args else given.get(name)
    if callee != "chat":
        return None if isinstance(value, ast.Starred) else value
    if not isinstance(value, ast.List) or not value.elts or not isinstance(value.elts[-1], ast.Dict):
        return None
    message = value.elts[-1]
    for key, content in zip(message.keys, message.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "content":
            return content
    return None


def _argument(function: Function, call: ast.Call, parameter: str) -> ast.expr | None:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    for keyword in call.keywords:
        if keyword.arg == parameter:
            return keyword.value
    if parameter in names and names.index(parameter) < len(call.args):
        plain = call.args[: names.index(parameter) + 1]
        return None if any(isinstance(argument, ast.Starred) for argument in plain) else plain[-1]
    return None


def calls_in(function: Function) -> list[ast.Call]:
    """The calls in a function, in the order of their text."""
    calls = [node for statement in function.body for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset, -(call.end_col_offset or 0)))


def _parameters(function: Function) -> set[str]:
    arguments = function.args
    return {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _callers(program: Program, name: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(program.tree))


# --- what a run can cost ----------------------------------------------------------------------------------------------


def affordable(program: Program, limits: SampleLimits) -> bool:
    """Whether a sample of the program keeps within its host calls and tokens, and its text within the size gate."""
    calls, tokens = cost(program)
    fits = len(program.source.encode("utf-8", "replace")) <= LARGEST_SOURCE
    return fits and calls <= limits.host_calls and tokens <= limits.tokens


def cost(program: Program) -> Cost:
    """The most host calls, and tokens asked for, of one run: both sides of every branch, loops at their length."""
    return _function_cost(program, "generate", (), {})


def _function_cost(program: Program, name: str, above: tuple[str, ...], known: dict[str, Cost]) -> Cost:
    if name not in known:
        total = Cost(0, 0)
        for node in program.functions[name].body:
            total = _sum(total, _node_cost(program, node, (*above, name), known))
        known[name] = total
    return known[name]


def _node_cost(program: Program, node: ast.AST, above: tuple[str, ...], known: dict[str, Cost]) -> Cost:
    total = _call_cost(program, node, above, known) if isinstance(node, ast.Call) else Cost(0, 0)
    for child in ast.iter_child_nodes(node):
        total = _sum(total, _node_cost(program, child, above, known))
    turns = _turns(program, node)
    return Cost(total.calls * turns, total.tokens * turns)


def _call_cost(program: Program, call: ast.Call, above: tuple[str, ...], known: dict[str, Cost]) -> Cost:
    callee = call.func.id if isinstance(call.func, ast.Name) else ""
    if callee in HOST:
        return Cost(1, max_tokens(program, call))
    if callee in program.functions and callee not in above:
        return _function_cost(program, callee, above, known)
    return Cost(0, 0)


def _turns(program: Program, node: ast.AST) -> int:
    if isinstance(node, ast.For):
        return _length(program, node.iter)
    if isinstance(node, ast.While):
        return _UNKNOWN_TURNS
    turns = 1
    for generator in getattr(node, "generators", []):
        turns *= _length(program, generator.iter)
    return turns


def _length(program: Program, node: ast.expr) -> int:
    if isinstance(node, ast.Name) and node.id in program.constants:
        node = program.constants[node.id]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return max(1, len(node.elts))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        if node.func.id == "enumerate":
            return _length(program, node.args[0])
        values = [_integer(program, argument) for argument in node.args]
        if node.func.id == "range" and len(values) == 1 and values[0] is not None:
            return max(1, values[0])
        if node.func.id == "range" and len(values) == 2 and values[0] is not None and values[1] is not None:
            return max(1, values[1] - values[0])
    return _UNKNOWN_TURNS


def max_tokens(program: Program, call: ast.Call) -> int:
    """The tokens that a host call asks for; the default where that can't be read."""
    for keyword in call.keywords:
        if keyword.arg == "max_tokens":
            value = _integer(program, keyword.value)
            return DEFAULT_MAX_TOKENS if value is None else value
    return DEFAULT_MAX_TOKENS


def largest_answer(program: Program) -> int:
    """The most tokens that one call of the program asks for, 1024..2048: enough for a whole draft."""
    asked = [max_tokens(program, call) for call in host_calls(program.tree)]
    return max(DEFAULT_MAX_TOKENS, min(2048, max(asked, default=0)))


def host_calls(tree: ast.AST) -> list[ast.Call]:
    """The calls of host functions, in the order of their text."""
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HOST
    ]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def seed_fields_read(program: Program, name: str, fields: Iterable[str]) -> set[str]:
    """The seed fields that ``name``, or what it needs, is sure to have at hand: all, where it uses the seed whole."""
    fields = set(fields)
    needed = [program.bound[inner] for inner in program.reach(name)]
    if any(_uses_seed_whole(program, node) for node in needed if isinstance(node, FUNCTIONS)):
        return fields
    constants = [node for top in needed for node in ast.walk(top) if isinstance(node, ast.Constant)]
    return fields & {node.value for node in constants if isinstance(node.value, str)}


def _uses_seed_whole(program: Program, function: Function) -> bool:
    """Whether the seed is used other than by a named field or by handing it to another function of the program."""
    seeds = _parameters(function) & {"seed", seed_parameter(program.functions["generate"])}
    named: set[int] = set()
    for node in ast.walk(function):
        if (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)) or (
            isinstance(node, ast.Attribute) and node.attr == "get"
        ):
            named.add(id(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in program.functions:
            named.update(id(argument) for argument in node.args)
    return any(isinstance(node, ast.Name) and node.id in seeds and id(node) not in named for node in ast.walk(function))


def _integer(program: Program, node: ast.expr) -> int | None:
    if isinstance(node, ast.Name) and node.id in program.constants:
        node = program.constants[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    return None


def _sum(first: Cost, second: Cost) -> Cost:
    return Cost(first.calls + second.calls, first.tokens + second.tokens)
