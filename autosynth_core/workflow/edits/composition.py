"""A child program in the making: new constants, functions and imports around the parent's text.

Owns the names (never colliding), the parts that composed stages share, and the pipeline that ``generate`` becomes.
What a stage says is the operators' concern.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, NamedTuple

from autosynth_core.prompts import render
from autosynth_core.records import FieldKind, OutputField, Task
from autosynth_core.workflow.edits.flow import largest_answer, pipeline
from autosynth_core.workflow.edits.literals import literal
from autosynth_core.workflow.edits.program import HOST, Patch, Program, first_line
from autosynth_core.workflow.edits.words import escaped, short, whole, without_fields

# Bytes, some 500 and 125 tokens: with draft, notes and answer they must fit into the 4096 of a small model's slot.
_LONGEST_DESCRIPTION, _LONGEST_AUDIENCE = 2000, 500

# What composed functions call their own variables: no top-level name may be one of these.
LOCALS = frozenset(
    {
        "seed",
        "draft",
        "drafts",
        "approach",
        "plan",
        "notes",
        "problems",
        "doubts",
        "second",
        "revised",
        "answer",
        "name",
        "value",
        "text",
        "turns",
        "turn",
        "speaker",
        "openings",
        "lines",
        "first_line",
        "rest",
        "result",
        "found",
        "count",
        "phrase",
    }
)
# Placeholders of composed prompts that hold something else than a seed field.
_PLACEHOLDERS = frozenset({"draft", "drafts", "second", "notes", "doubts", "problems", "plan"})


class Material(NamedTuple):
    """The seed in a prompt: its lines with placeholders, and the arguments that fill them."""

    lines: str
    arguments: str


class Composition:
    """Collects what is new; ``source`` puts it in front of ``generate`` and rewrites the pipeline."""

    def __init__(self, parent: Program, task: Task) -> None:
        self.task = task
        self.program, self.stages = staged(parent)
        self._added: list[str] = []
        self._imports: list[str] = []
        self._patches: list[Patch] = []
        self._new_names: set[str] = set()

    def fresh(self, name: str) -> str:
        """``name``, with a number behind it where it is taken."""
        return self._unused(name, self.program.names | self._new_names | LOCALS | set(HOST))

    def variable(self, name: str) -> str:
        """As ``fresh``, for a variable put into one of the parent's functions."""
        return self._unused(name, self.program.names | self._new_names)

    def _unused(self, name: str, taken: Set[str]) -> str:
        chosen, number = name, 1
        while chosen in taken:
            number += 1
            chosen = f"{name}_{number}"
        self._new_names.add(chosen)
        return chosen

    def constant(self, name: str, text: str) -> str:
        """A new prompt constant; returns its name."""
        chosen = self.fresh(name)
        self._added.append(f"{chosen} = {literal(text)}")
        return chosen

    def function(self, name: str, code: str) -> str:
        """A new function, written with ``NAME`` for its name; returns its name."""
        chosen = self.fresh(name)
        self._added.append(code.replace("NAME", chosen, 1).strip())
        return chosen

    def shared(self, name: str, code: str) -> str:
        """As ``function``, but one that the program already has, or has just got, is used again."""
        for existing, node in self.program.functions.items():
            if ast.dump(node) == ast.dump(ast.parse(code.replace("NAME", existing, 1)).body[0]):
                return existing
        added = next(
            (text for text in self._added if re.sub(r"(?<=def )\w+", "NAME", text, count=1) == code.strip()), ""
        )
        return re.findall(r"def (\w+)", added)[0] if added else self.function(name, code)

    def value(self, name: str, expression: str) -> str:
        """As ``shared``, for a constant that holds a value."""
        dumped = ast.dump(ast.parse(expression, mode="eval").body)
        for existing, node in self.program.constants.items():
            if ast.dump(node) == dumped:
                return existing
        written = next((text for text in self._added if text.endswith(f" = {expression}")), "")
        if written:
            return written.split(" = ")[0]
        chosen = self.fresh(name)
        self._added.append(f"{chosen} = {expression}")
        return chosen

    def imports(self, module: str) -> None:
        if module not in self.program.bound and module not in self._imports:
            self._imports.append(module)

    def patch(self, patch: Patch) -> None:
        """Change the parent's own text; positions are those of ``self.program``."""
        self._patches.append(patch)

    def source(self, stages: Iterable[str]) -> str:
        """The child's text, with ``stages`` as the pipeline and without what only a former stage needed."""
        program, stages = self.program, tuple(stages)
        generate = program.functions["generate"]
        patches = [*self._patches]
        if stages != self.stages:
            patches.append(Patch(*program.span(generate), _generate(program, stages)))
        place = program.place_before(generate)
        added = "".join(f"{text}\n\n\n" for text in self._added)
        if self._imports:
            imports = _import_patch(program, self._imports)
            # Two insertions at one place have no order: they become one.
            added, imports = (
                (imports.text + added, imports._replace(text="")) if imports.start == place else (added, imports)
            )
            patches.append(imports)
        patches.append(Patch(place, place, added))
        child = program.patched(patches)
        orphans = program.reach() - child.reach()
        return child.without(orphans).source if orphans else child.source

    # --- parts of composed stages -------------------------------------------------------------------------------

    def material(self) -> Material:
        """The seed's fields, a line each. Placeholders are plain names, whatever the fields are called."""
        lines, arguments, taken = [], [], set(_PLACEHOLDERS)
        for number, field in enumerate(self.task.seed_fields, 1):
            name = re.sub(r"\W+", "_", field, flags=re.ASCII).strip("_").lower()
            if not re.match(r"[a-z]\w*\Z", name) or keyword.iskeyword(name) or name in taken:
                name = f"input_{number}"
            taken.add(name)
            lines.append(f"{escaped(short(title_of(field), 80))}: {{{name}}}")
            arguments.append(f"{name}=seed[{quoted(field)}]")
        return Material("\n".join(lines), ", ".join(arguments))

    def draft_as_text(self) -> str:
        """The name of the function that writes a draft out for a prompt."""
        return self.shared("draft_as_text", _draft_as_text(self.task.output_fields))

    def about(self) -> str:
        """The task in two lines, safe in a format string: the teacher's own words, whole unless they are very long."""
        task = self.task
        told = whole(task.description, _LONGEST_DESCRIPTION)
        return escaped(f"Task: {short(task.title, 120)}. {told}\nReaders: {whole(task.audience, _LONGEST_AUDIENCE)}")

    def schema(self) -> str:
        """The name of the constant with the JSON Schema of the task's output."""
        return self.value("OUTPUT_SCHEMA", as_literal(output_schema(self.task)))

    def answer_form(self) -> str:
        """The name of the constant that ends a prompt for a draft: the form that the program expects."""
        return self.value("ANSWER_FORM", literal("\n\n" + answer_form(self.task)))

    def answer_tokens(self) -> int:
        """Tokens to allow for a whole draft."""
        return largest_answer(self.program)

    def revision(self, prompt: str, arguments: str) -> str:
        """The lines that end a stage: ask ``prompt`` for a new draft and lay it over ``draft``; four blanks deep."""
        tokens = self.answer_tokens()
        if is_single_text(self.task):
            with_revision = self.shared("with_revision", _with_text(self.task.output_fields[0]))
            settings = [f"max_tokens={tokens}"]
            host = "llm"
        else:
            with_revision = self.shared("with_revision", _with_fields(self.task.output_fields))
            settings = [f"schema={self.schema()}", f"max_tokens={tokens}"]
            host = "llm_json"
        call = host_call(host, f"{prompt}.format({arguments}) + {self.answer_form()}", *settings)
        return f"    revised = {call}\n    return {with_revision}(draft, revised)"


def is_single_text(task: Task) -> bool:
    return len(task.output_fields) == 1 and task.output_fields[0].kind is FieldKind.TEXT


def host_call(host: str, prompt: str, *settings: str) -> str:
    """An awaited call of a model, an argument a line; for a statement four blanks deep."""
    return f"await {host}(\n" + "".join(f"        {argument},\n" for argument in (prompt, *settings)) + "    )"


def title_of(name: str) -> str:
    """A field's or constant's name as a heading."""
    words = " ".join(name.replace("_", " ").split())
    return words[:1].upper() + words[1:]


def answer_form(task: Task) -> str:
    """What a prompt says about the form of the answer; for a prompt that is not formatted."""
    if is_single_text(task):
        field = task.output_fields[0]
        wanted = f"{title_of(field.name)}: {short(field.description, 300)}".rstrip(": ")
        text = f"Answer with the finished text alone ({wanted}), without a heading or remarks."
    else:
        rows = [f"- {quoted(field.name)}: {_wanted(field)}" for field in task.output_fields]
        text = "Answer as JSON with these fields:\n" + "\n".join(rows)
    return without_fields(f"{text}\nWrite in {short(task.language, 60)}.")


def rendered(prompt: str, **values: str) -> str:
    """A stage's instructions, without the gaps that empty values leave."""
    return re.sub(r"\n{3,}", "\n\n", render(prompt, **values))


def output_as_text(task: Task, output: Mapping[str, Any]) -> str:
    """An output as a reader sees it; the same form that composed programs write drafts in."""
    lines: list[str] = []
    for field in task.output_fields:
        lines += [f"{title_of(field.name)}:"] if len(task.output_fields) > 1 else []
        value = output.get(field.name, "")
        if field.kind is FieldKind.TURNS and isinstance(value, list):
            turns = [turn for turn in value if isinstance(turn, Mapping)]
            lines += [f"{turn.get('speaker', '')}: {turn.get('text', '')}" for turn in turns]
        else:
            lines.append(str(value))
    return "\n".join(lines)


def output_schema(task: Task) -> dict[str, Any]:
    """The JSON Schema of a whole output."""
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in task.output_fields},
        "required": [field.name for field in task.output_fields],
        "additionalProperties": False,
    }


def staged(program: Program) -> tuple[Program, tuple[str, ...]]:
    """The program as a pipeline: a ``generate`` written otherwise becomes the stage ``first_draft``."""
    flow = pipeline(program)
    if flow:
        return program, flow.stages
    name, number = "first_draft", 1
    while name in program.names:
        number += 1
        name = f"first_draft_{number}"
    generate = program.functions["generate"]
    start, end = program.span(generate)
    head = re.compile(r"async\s+def\s+(generate)\b").match(program.source, start)
    if head is None:
        raise ValueError("This workflow's generate is not written as 'async def generate(seed)'.")
    patches = [Patch(*head.span(1), name)]
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Name) and node.id == "generate":
            patches.append(Patch(*program.span(node), name))
    patches.append(Patch(end, end, "\n\n\n" + _generate(program, (name,))))
    return program.patched(patches), (name,)


def _generate(program: Program, stages: tuple[str, ...]) -> str:
    # A stage may be called like the variable, which inside the function would hide it.
    draft = next(name for name in ("draft", "current", "so_far", "work_in_progress") if name not in stages)
    seed = next(name for name in ("seed", "given", "inputs", "seed_values") if name not in stages)
    lines = [f"async def generate({seed}: dict[str, str]) -> dict:"]
    lines += [
        f"    {draft} = await {stage}({seed}{f', {draft}' if number else ''})" for number, stage in enumerate(stages)
    ]
    return "\n".join([*lines, f"    return {draft}"])


def _import_patch(program: Program, modules: list[str]) -> Patch:
    body = program.tree.body
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    rest = [
        node
        for node in body[1 if documented else 0 :]
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    imported = isinstance(rest[0], (ast.Import, ast.ImportFrom))
    text = "".join(f"import {module}\n" for module in sorted(modules)) + ("" if imported else "\n")
    place = program.offset(first_line(rest[0]), 0)
    return Patch(place, place, text)


# --- the functions that composed stages share -----------------------------------------------------------------------


def _draft_as_text(fields: tuple[OutputField, ...]) -> str:
    lines = ["def NAME(draft: dict) -> str:", '    """The draft as a reader sees it."""', "    lines = []"]
    for field in fields:
        heading = quoted(f"{title_of(field.name)}:")
        if len(fields) > 1:
            lines.append(f"    lines.append({heading})")
        if field.kind is FieldKind.TURNS:
            lines += [
                f"    turns = draft.get({quoted(field.name)})",
                "    for turn in turns if isinstance(turns, list) else []:",
                "        if isinstance(turn, dict):",
                '            lines.append(str(turn.get("speaker", "")) + ": " + str(turn.get("text", "")))',
            ]
        else:
            lines.append(f'    lines.append(str(draft.get({quoted(field.name)}, "")))')
    return "\n".join([*lines, '    return "\\n".join(lines)'])


def _with_text(field: OutputField) -> str:
    name = quoted(field.name)
    return f'''def NAME(draft: dict, revised: str) -> dict:
    """The draft with the revised text, less a model's opening remark; an empty revision changes nothing."""
    text = revised.strip()
    first_line, _, rest = text.partition("\\n")
    openings = ("here", "sure", "certainly", "revised", {quoted(field.name.lower())})
    if first_line.strip().lower().startswith(openings) and first_line.strip().endswith(":") and rest.strip():
        text = rest.strip()
    return {{**draft, {name}: text or draft.get({name}, "")}}'''


def _with_fields(fields: tuple[OutputField, ...]) -> str:
    texts = [quoted(field.name) for field in fields if field.kind is FieldKind.TEXT]
    dialogues = [quoted(field.name) for field in fields if field.kind is FieldKind.TURNS]
    lines = [
        "def NAME(draft: dict, revised: dict) -> dict:",
        '    """The draft with every field that the revision filled; a missing field keeps the draft\'s."""',
        "    result = dict(draft)",
    ]
    if texts:
        lines += [
            f"    for name in [{', '.join(texts)}]:",
            "        value = revised.get(name)",
            "        if isinstance(value, str) and value.strip():",
            "            result[name] = value.strip()",
        ]
    for name in dialogues:
        lines += [
            "    turns = []",
            f"    value = revised.get({name})",
            "    for turn in value if isinstance(value, list) else []:",
            '        speaker = str(turn.get("speaker", "")).strip() if isinstance(turn, dict) else ""',
            '        text = str(turn.get("text", "")).strip() if isinstance(turn, dict) else ""',
            "        if speaker and text:",
            '            turns.append({"speaker": speaker, "text": text})',
            "    if len(turns) > 1:",
            f"        result[{name}] = turns",
        ]
    return "\n".join([*lines, "    return result"])


def _wanted(field: OutputField) -> str:
    form = 'a list of turns, each with "speaker" and "text"; ' if field.kind is FieldKind.TURNS else ""
    return form + short(field.description, 300)


def _field_schema(field: OutputField) -> Mapping[str, Any]:
    text = {"type": "string", "minLength": 1}
    if field.kind is FieldKind.TEXT:
        return text
    turn = {
        "type": "object",
        "properties": {"speaker": text, "text": text},
        "required": ["speaker", "text"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": turn, "minItems": 2, "maxItems": 40}


def as_literal(value: object, indent: int = 0) -> str:
    """A plain value as Python, a dict's entry a line."""
    if isinstance(value, Mapping):
        pad = " " * (indent + 4)
        rows = [f"{pad}{quoted(key)}: {as_literal(inner, indent + 4)},\n" for key, inner in value.items()]
        return "{\n" + "".join(rows) + " " * indent + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_literal(inner, indent) for inner in value) + "]"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    return literal(text) if "\n" not in text and len(text) <= 80 else repr(text)
