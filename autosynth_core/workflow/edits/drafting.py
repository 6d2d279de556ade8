"""Operators that change how the first draft is made: a plan before it, several to pick from, examples.

Owns what is put around the first draft's prompt, wherever the program builds it (``flow.prompt_sites``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

from autosynth_core.prompts import render
from autosynth_core.records import Example
from autosynth_core.workflow.edits.adding import sentence, stage_question
from autosynth_core.workflow.edits.composition import (
    LOCALS,
    Composition,
    host_call,
    output_as_text,
    rendered,
)
from autosynth_core.workflow.edits.context import Edit, EditContext, Question
from autosynth_core.workflow.edits.flow import Site, affordable, calls_in, prompt_sites
from autosynth_core.workflow.edits.program import Patch, Program, body_start, documented, first_line, parse
from autosynth_core.workflow.edits.words import focus, without_fields

FIRST_DRAFT = "first draft"
_PLAN_TOKENS = 800
_PICK_TOKENS = 200
_LONGEST_EXAMPLE = 3000  # characters of a sample shown to the model
_PLANNED = "Plans the draft before it is written."
_PICKED = "Writes three drafts at once and keeps the best."
_SHOWN = "Samples a teacher accepted, to learn from; never one for these very inputs."


class Plan:
    """A plan is made first and the first draft's prompt carries it."""

    name = "plan"
    summary = "a plan is made before the first draft, which follows it"

    def targets(self, source: str, context: EditContext) -> list[str]:
        return _first_draft_targets(source, context, _PLANNED, lambda program: self._child(program, "", context))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question:
        return stage_question(self.name, "focus", context, weakness)

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        _require(self.name, target)
        sharpened = focus(words, "focus")
        changes = "Makes a plan before the first draft, which then follows it"
        return Edit(self._child(parse(source), sharpened, context), sentence(changes, sharpened))

    def _child(self, program: Program, sharpened: str, context: EditContext) -> str:
        composition = Composition(program, context.task)
        site = _sites(composition)[0]
        material = composition.material()
        hint = f"Above all, settle this: {sharpened}" if sharpened else ""
        text = rendered("edit_stage_plan", about=composition.about(), material=material.lines, hint=hint)
        prompt = composition.constant("PLAN_PROMPT", text)
        note = composition.constant("PLAN_NOTE", "\n\n" + render("edit_stage_plan_note"))
        settings = ("temperature=0.7", f"max_tokens={_PLAN_TOKENS}")
        asked = host_call("llm", f"{prompt}.format({material.arguments})", *settings)
        stage = composition.function(
            "make_plan",
            f'''async def NAME(seed: dict[str, str]) -> str:
    """{_PLANNED}"""
    return {asked}''',
        )
        plan = composition.variable("plan")
        _open_with(composition, site, f"{plan} = await {stage}({site.seed})")
        _follow(composition, site, f"{note}.format(plan={plan})")
        return composition.source(composition.stages)


class BestOfN:
    """Three first drafts at once; a model picks one by its number."""

    name = "best_of_n"
    summary = "three first drafts are written at once and the best is kept"

    def targets(self, source: str, context: EditContext) -> list[str]:
        return _first_draft_targets(source, context, _PICKED, lambda program: self._child(program, "", context))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question:
        return stage_question(self.name, "criterion", context, weakness)

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        _require(self.name, target)
        sharpened = focus(words, "criterion")
        changes = "Writes three first drafts and keeps the best"
        return Edit(self._child(parse(source), sharpened, context), sentence(changes, sharpened))

    def _child(self, program: Program, sharpened: str, context: EditContext) -> str:
        composition = Composition(program, context.task)
        first, *rest = composition.stages
        if first in LOCALS:
            raise LookupError(f"the stage {first} is called like a variable of the new one")
        second, third = self._other_calls(composition, first)
        material = composition.material()
        hint = f"What counts most: {sharpened}" if sharpened else ""
        text = rendered("edit_stage_pick", about=composition.about(), material=material.lines, hint=hint)
        prompt = composition.constant("PICK_PROMPT", text)
        schema = composition.value("PICK_SCHEMA", _PICK_SCHEMA)
        as_text = composition.draft_as_text()
        composition.imports("asyncio")
        composition.imports("re")
        stage = composition.function(
            "best_draft",
            f'''async def NAME(seed: dict[str, str]) -> dict:
    """{_PICKED}"""
    drafts = await asyncio.gather(
        {first}(seed),
        {second},
        {third},
    )
    lines = ["Draft " + str(count + 1) + "\\n" + {as_text}(drafts[count]) for count in range(3)]
    answer = await llm_json(
        {prompt}.format({material.arguments}, drafts="\\n\\n".join(lines)),
        schema={schema},
        temperature=0.0,
        max_tokens={_PICK_TOKENS},
    )
    found = re.search("[123]", str(answer.get("best", "")))
    return drafts[int(found.group(0)) - 1] if found else drafts[0]''',
        )
        return composition.source((stage, *rest))

    def _other_calls(self, composition: Composition, first: str) -> tuple[str, str]:
        """The second and third draft's calls, each led elsewhere: equal prompts may get equal answers."""
        sites = [site for site in prompt_sites(composition.program, first)[:1] if site.function == first]
        function = composition.program.functions[first]
        arguments = function.args
        if not sites or len(arguments.args) != 1 or arguments.vararg or arguments.kwonlyargs or arguments.kwarg:
            return f"{first}(seed)", f"{first}(seed)"
        names = [
            composition.constant(name, "\n\n" + render(prompt))
            for name, prompt in (
                ("SECOND_APPROACH", "edit_stage_second_approach"),
                ("THIRD_APPROACH", "edit_stage_third_approach"),
            )
        ]
        approach = composition.variable("approach")
        end = composition.program.span(arguments.args[0])[1]
        composition.patch(Patch(end, end, f', {approach}: str = ""'))
        _follow(composition, sites[0], approach)
        return f"{first}(seed, {names[0]})", f"{first}(seed, {names[1]})"


class Examples:
    """One or two of the educator's accepted samples stand in the first draft's prompt."""

    name = "examples"
    summary = "one or two samples the educator accepted are shown to the first draft"

    def targets(self, source: str, context: EditContext) -> list[str]:
        if not _showable(context):
            return []
        chosen = _showable(context)[:2]
        return _first_draft_targets(source, context, _SHOWN, lambda program: self._child(program, chosen, context))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> None:
        return None

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        _require(self.name, target)
        known = _showable(context)
        if not known:
            raise ValueError("The educator has accepted no sample yet that could serve as an example.")
        chosen = context.random.sample(known, min(len(known), context.random.choice((1, 2))))
        count = "One sample" if len(chosen) == 1 else "Two samples"
        return Edit(
            self._child(parse(source), chosen, context),
            f"{count} that the educator accepted now guide the first draft.",
        )

    def _child(self, program: Program, chosen: list[Example], context: EditContext) -> str:
        composition = Composition(program, context.task)
        site = _sites(composition)[-1]  # the one that is answered with the draft itself
        rows = ["def NAME(seed: dict[str, str]) -> str:", f'    """{_SHOWN}"""', "    lines = []"]
        for example in chosen:
            text = without_fields(output_as_text(context.task, example.output)[:_LONGEST_EXAMPLE])
            given = "\n".join(f"{key}: {value}" for key, value in sorted(example.seed.items()))
            shown = rendered("edit_stage_example", given=without_fields(given[:1000]), text=text)
            constant = composition.constant("ACCEPTED_SAMPLE", shown)
            rows.append(f"    if seed != {dict(sorted(example.seed.items()))!r}:")
            rows.append(f"        lines.append({constant})")
        intro = composition.constant("EXAMPLES_NOTE", render("edit_stage_examples_note"))
        rows.append(f'    return "\\n\\n".join(["", {intro}, *lines]) if lines else ""')
        helper = composition.function("accepted_samples", "\n".join(rows))
        _follow(composition, site, f"{helper}({site.seed})")
        return composition.source(composition.stages)


_PICK_SCHEMA = """{
    "type": "object",
    "properties": {"best": {"type": "string", "enum": ["1", "2", "3"]}},
    "required": ["best"],
    "additionalProperties": False,
}"""


def _first_draft_targets(
    source: str, context: EditContext, description: str, child: Callable[[Program], str]
) -> list[str]:
    """The first draft, unless the program has such a part already, offers no place for it or would cost too much."""
    program = parse(source)
    if not program.usable() or any(documented(node) == description for node in program.functions.values()):
        return []
    try:
        composed = parse(child(program))
    except LookupError:
        return []
    return [FIRST_DRAFT] if affordable(composed, context.limits) else []


def _require(operator: str, target: str) -> None:
    if target != FIRST_DRAFT:
        raise ValueError(f"{operator} is applied to the {FIRST_DRAFT!r}, not to {target!r}.")


def _sites(composition: Composition) -> list[Site]:
    """Where the first draft's prompts are put together, parts from earlier edits left out.

    Raises LookupError when there are none.
    """
    functions = composition.program.functions
    sites = prompt_sites(composition.program, _drafting_stage(composition))
    own = [site for site in sites if documented(functions[site.function]) not in (_PLANNED, _PICKED)]
    if not own:
        raise LookupError("no prompt of the first draft is put together where the seed is at hand")
    return own


def _drafting_stage(composition: Composition) -> str:
    """The function that makes one first draft; where several are made and one is picked, what makes each."""
    program, stage = composition.program, composition.stages[0]
    if documented(program.functions[stage]) != _PICKED:
        return stage
    called = [call.func.id for call in calls_in(program.functions[stage]) if isinstance(call.func, ast.Name)]
    return next((name for name in called if isinstance(program.functions.get(name), ast.AsyncFunctionDef)), stage)


def _follow(composition: Composition, site: Site, expression: str) -> None:
    """Let the text of ``expression`` follow the prompt at ``site``."""
    start, end = composition.program.span(site.expression)
    simple = isinstance(site.expression, ast.Call | ast.Name | ast.Attribute | ast.Subscript)
    composition.patch(Patch(end, end, f"{'' if simple else ')'} + {expression}"))
    if not simple:
        composition.patch(Patch(start, start, "("))


def _open_with(composition: Composition, site: Site, statement: str) -> None:
    """Let the function of ``site`` begin with ``statement``."""
    program = composition.program
    node = body_start(program.functions[site.function])
    start = program.offset(first_line(node), 0)
    indent = re.match(r"[ \t]*", program.source[start:])
    assert indent is not None
    composition.patch(Patch(start, start, f"{indent.group()}{statement}\n"))


def _showable(context: EditContext) -> list[Example]:
    """The accepted samples that hold every output field."""
    names = {field.name for field in context.task.output_fields}
    return [example for example in context.accepted if names <= example.output.keys()]
