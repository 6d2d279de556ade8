"""A workflow told in plain words.

Owns what a page says of any workflow, whoever wrote it: its steps and its prompts. A text that is no Python has none.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from autosynth_core.workflow.edits.flow import calls_in, pipeline
from autosynth_core.workflow.edits.program import HOST, Function, Program, documented, folded, parse

_LONGEST = 160  # characters of a description


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a workflow."""

    name: str  # the stage function's; for a lone call of a model, what its answer is called
    description: str  # a few plain words, or the first line of the function's docstring
    prompts: tuple[str, ...]  # the prompt constants it uses, in the order of the text


def stages(source: str) -> list[Stage]:
    """The steps of a workflow, first to last; [] when the text can't be read as one."""
    program = _readable(source)
    if program is None:
        return []
    flow = pipeline(program)
    if flow:
        return [_function_stage(program, name) for name in flow.stages]
    steps = _steps(program) or [_function_stage(program, "generate")]
    if len(steps) == 1 and steps[0].description == _words(steps[0].name):
        return [replace(steps[0], description="one prompt writes it")]
    return steps


def prompt_constants(source: str) -> dict[str, str]:
    """The texts of a workflow's constants in capitals, by name, in the order of the text."""
    program = _readable(source)
    if program is None:
        return {}
    texts = {name: folded(value) for name, value in program.constants.items() if name.isupper()}
    return {name: text for name, text in texts.items() if text is not None}


def _readable(source: str) -> Program | None:
    try:
        program = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # whatever a broken text makes of the parser
        return None
    return program if "generate" in program.functions else None


def _steps(program: Program) -> list[Stage]:
    """The awaited calls within ``generate``, of models and of the program's own functions."""
    generate = program.functions["generate"]
    named, calls = _answers(generate), calls_in(generate)
    called = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    steps: list[Stage] = []
    for call in calls:
        callee = call.func.id if isinstance(call.func, ast.Name) else ""
        if callee in HOST or (called.count(callee) > 1 and _is_async(program, callee)):
            used = _prompts_in(program, call)
            name = used[0].lower().removesuffix("_prompt") if used else named.get(id(call), callee)
            steps.append(Stage(name, _words(name), used))
        elif _is_async(program, callee):
            steps.append(_function_stage(program, callee))
    return steps


def _is_async(program: Program, name: str) -> bool:
    return isinstance(program.functions.get(name), ast.AsyncFunctionDef)


def _function_stage(program: Program, name: str) -> Stage:
    told = documented(program.functions[name]) or _words(name)
    used = tuple(constant for constant in prompt_names(program) if constant in program.reach(name))
    return Stage(name, told[:_LONGEST].rstrip("."), used)


def prompt_names(program: Program) -> list[str]:
    """The constants in capitals that hold text."""
    return [name for name, value in program.constants.items() if name.isupper() and folded(value) is not None]


def _prompts_in(program: Program, node: ast.AST) -> tuple[str, ...]:
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return tuple(name for name in prompt_names(program) if name in names)


def _answers(function: Function) -> dict[int, str]:
    """What the variable is called that a call's answer goes to, by the call's identity."""
    return {
        id(node.value.value): node.targets[0].id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Await) and isinstance(node.targets[0], ast.Name)
    }


def _words(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
