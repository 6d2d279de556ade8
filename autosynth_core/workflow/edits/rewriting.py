"""Operators that change what is there: the wording of one prompt, the sampling settings of one call.

Owns which constants are prompts that may be reworded and which of their fields must survive.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from autosynth_core.prompts import data_block, render
from autosynth_core.workflow.edits.context import Edit, EditContext, Question
from autosynth_core.workflow.edits.flow import affordable, host_calls, max_tokens
from autosynth_core.workflow.edits.literals import literal
from autosynth_core.workflow.edits.program import HOST, Patch, Program, folded, parse
from autosynth_core.workflow.edits.words import (
    LONGEST_PROMPT,
    completed,
    fields_of,
    fitted,
    short,
    taken,
    without_fields,
)

_LONGEST_WEAKNESS = 2000  # characters: a round of feedback with its comments must reach the model whole
_FEWEST_WORDS = 4  # a shorter text that is no format string is a separator or a label, not a prompt
_FORM = re.compile(r"_FORM(_\d+)?\Z")  # what code reads answers by; a new wording would break it
_TEMPERATURES = (0.2, 0.5, 0.7, 0.9, 1.1)
_MAX_TOKENS = (1024, 1536, 2048)


class Use(StrEnum):
    """How a prompt constant reaches a model."""

    FORMAT = "format"  # its fields are filled by str.format
    PLAIN = "plain"  # as it is
    PASSED = "passed on"  # to a function of the program, which may do either


class _Prompt(NamedTuple):
    text: str
    use: Use
    fields: tuple[str, ...]


class RewritePrompt:
    """A new wording for one prompt constant; its fields stay."""

    name = "rewrite_prompt"
    summary = "one prompt gets a new wording, with the same inputs"

    def targets(self, source: str, context: EditContext) -> list[str]:
        return list(rewritable(parse(source)))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question:
        old = _chosen(parse(source), target)
        longest = max(1200, min(LONGEST_PROMPT, 2 * len(old.text)))
        prompt = render(
            "edit_ask_rewrite_prompt",
            title=short(context.task.title, 120),
            audience=short(context.task.audience, 160),
            language=short(context.task.language, 60),
            weakness=data_block("weakness", short(weakness, _LONGEST_WEAKNESS) or "none was named"),
            prompt=data_block("prompt", old.text),
            fields=", ".join(f"{{{field}}}" for field in old.fields) or "none",
        )
        text = {"type": "string", "minLength": 20, "maxLength": longest}
        schema = {
            "type": "object",
            "properties": {"prompt": text},
            "required": ["prompt"],
            "additionalProperties": False,
        }
        return Question(prompt, schema)

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        program = parse(source)
        old = _chosen(program, target)
        text = taken(words, "prompt", max(LONGEST_PROMPT, len(old.text)))
        if sum(char.isalnum() for char in text) < 10:
            raise ValueError(f"Write the whole new prompt for {target}: at least one sentence of instructions.")
        new = _worded(text, old)
        if new.split() == old.text.split():
            raise ValueError(f"The new prompt for {target} is the old one: change its wording.")
        child = program.patched([Patch(*program.span(program.constants[target]), literal(new))])
        return Edit(child.source, f"Rewords the {_called(target)} prompt. {_told(old.text, new)}")


def _called(constant: str) -> str:
    """A prompt constant's name in words; a workflow of one prompt has no name for it."""
    words = constant.lower().removesuffix("_prompt").removesuffix("prompt").replace("_", " ").strip()
    return words or "main"


def _told(old: str, new: str) -> str:
    """What a reader would notice first: a sentence that is new, else one that went."""
    before, after = _sentences(old), _sentences(new)
    added = [sentence for key, sentence in after.items() if key not in before]
    if added:
        return f"New in it: {short(max(added, key=len))}"
    gone = [sentence for key, sentence in before.items() if key not in after]
    return f"Gone from it: {short(max(gone, key=len))}" if gone else "The same sentences stand in another order."


def _sentences(text: str) -> dict[str, str]:
    """The sentences and lines of a prompt, by their words alone."""
    found = (piece.strip(" -*#\t") for line in text.splitlines() for piece in re.split(r"(?<=[.!?])\s+", line))
    return {" ".join(re.findall(r"\w+", piece.lower())): piece for piece in found if re.search(r"\w", piece)}


class Sampling:
    """Another temperature, or more room for the answer, for one call."""

    name = "sampling"
    summary = "one model call gets another temperature or more room for its answer"

    def targets(self, source: str, context: EditContext) -> list[str]:
        program = parse(source)
        return [label for label, call in _calls(program).items() if _settings(program, call, context)]

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> None:
        return None

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        program = parse(source)
        call = _calls(program).get(target)
        choices = _settings(program, call, context) if call else []
        if call is None or not choices:
            raise ValueError(f"There is no model call {target!r} whose settings can be changed.")
        name, value = context.random.choice(choices)
        child = _with_setting(program, call, name, value)
        told = "creativity (temperature)" if name == "temperature" else "room for the answer (max_tokens)"
        number, _, function = target.removeprefix("call ").partition(" in ")
        which = "" if len(_calls(program)) == 1 else f" of model call {number} in {function.replace('_', ' ')}"
        return Edit(child.source, f"Sets the {told}{which} to {value}.")


# --- prompts ------------------------------------------------------------------------------------------------------


def rewritable(program: Program) -> dict[str, _Prompt]:
    """The prompt constants that a new wording can be put into, in the order of the text."""
    found: dict[str, _Prompt] = {}
    for name, value in program.constants.items():
        text = folded(value)
        if text is None or name not in program.reach() or _FORM.search(name):
            continue
        prompt = _read(program, name, text)
        if prompt is not None:
            found[name] = prompt
    return found


def _chosen(program: Program, target: str) -> _Prompt:
    prompts = rewritable(program)
    if target not in prompts:
        raise ValueError(f"There is no prompt {target!r} to reword; there are: {', '.join(prompts) or 'none'}.")
    return prompts[target]


def _read(program: Program, name: str, text: str) -> _Prompt | None:
    """The constant as a prompt; None where it is something else, or used in ways that can't be followed."""
    uses = {_use(program, node, above) for node, above in _places(program.tree) if node.id == name}
    if None in uses or len(uses) != 1:
        return None
    use = uses.pop()
    assert use is not None
    if use is not Use.FORMAT and len(text.split()) < _FEWEST_WORDS:
        return None
    try:
        fields = fields_of(text)
    except ValueError:
        return None if use is not Use.PLAIN else _Prompt(text, use, ())
    if any(not field or field.isdigit() for field in fields.names):
        return None if use is not Use.PLAIN else _Prompt(text, use, ())
    return _Prompt(text, use, () if use is Use.PLAIN else fields.texts)


def _worded(text: str, old: _Prompt) -> str:
    if old.use is Use.PLAIN:
        return without_fields(text)
    new = completed(fitted(text, old.fields), old.fields)
    if old.use is Use.PASSED:
        # Whoever fills it in may not know doubled braces.
        new = new.replace("{{", "(").replace("}}", ")")
    return new


def _places(tree: ast.Module) -> list[tuple[ast.Name, tuple[ast.AST, ...]]]:
    """The names that are read, each with the nodes around it, innermost first."""
    found: list[tuple[ast.Name, tuple[ast.AST, ...]]] = []

    def visit(node: ast.AST, above: tuple[ast.AST, ...]) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.append((node, above))
        for child in ast.iter_child_nodes(node):
            visit(child, (node, *above))

    visit(tree, ())
    return found


def _use(program: Program, node: ast.Name, above: tuple[ast.AST, ...]) -> Use | None:
    around, *outer = above
    if isinstance(around, ast.Attribute):
        called = outer and isinstance(outer[0], ast.Call) and outer[0].func is around
        return Use.FORMAT if called and around.attr == "format" else None
    while (
        isinstance(around, ast.BinOp | ast.JoinedStr | ast.FormattedValue | ast.keyword | ast.Dict | ast.List) and outer
    ):
        if isinstance(around, ast.BinOp) and not isinstance(around.op, ast.Add):
            return None
        around, *outer = outer
    if not isinstance(around, ast.Call) or not isinstance(around.func, ast.Name):
        return None
    if around.func.id in HOST:
        return Use.PLAIN
    return Use.PASSED if around.func.id in program.functions else None


# --- sampling -----------------------------------------------------------------------------------------------------


def _calls(program: Program) -> dict[str, ast.Call]:
    """The model calls by the name a person can find them under."""
    found: dict[str, ast.Call] = {}
    for name, function in program.functions.items():
        if name not in program.reach():
            continue
        for number, call in enumerate(host_calls(function), 1):
            found[f"call {number} in {name}"] = call
    return found


def _settings(program: Program, call: ast.Call, context: EditContext) -> list[tuple[str, float]]:
    """The values that differ from the call's own and keep it affordable."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if None in given or not (call.args or given):  # **settings: what they hold can't be read
        return []
    choices: list[tuple[str, float]] = []
    temperature = given.get("temperature", ast.Constant(0.7))
    if isinstance(temperature, ast.Constant):
        choices += [("temperature", value) for value in _TEMPERATURES if value != temperature.value]
    if isinstance(given.get("max_tokens", ast.Constant(1024)), ast.Constant):
        more = [value for value in _MAX_TOKENS if value > max_tokens(program, call)][:1]
        wider = [
            value for value in more if affordable(_with_setting(program, call, "max_tokens", value), context.limits)
        ]
        choices += [("max_tokens", value) for value in wider]
    return choices


def _with_setting(program: Program, call: ast.Call, name: str, value: float) -> Program:
    for keyword in call.keywords:
        if keyword.arg == name:
            return program.patched([Patch(*program.span(keyword.value), repr(value))])
    end = max(program.span(node)[1] for node in (*call.args, *(keyword.value for keyword in call.keywords)))
    # The last argument may stand in brackets of its own, so the setting goes before the call's last bracket.
    close = program.span(call)[1] - 1
    comma = "" if "," in _uncommented(program.source[end:close]) else ","
    return program.patched([Patch(close, close, f"{comma} {name}={value!r}")])


def _uncommented(text: str) -> str:
    return "\n".join(line.split("#")[0] for line in text.split("\n"))
