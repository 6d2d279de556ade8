"""Operators that add a stage behind the draft.

Owns the stages' code and when each applies. Their instructions are the ``edit_stage_*`` prompts; a model's words only
sharpen them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autosynth_core.prompts import data_block, render
from autosynth_core.workflow.edits.composition import Composition, host_call, rendered
from autosynth_core.workflow.edits.context import Edit, EditContext, Question
from autosynth_core.workflow.edits.flow import affordable, pipeline
from autosynth_core.workflow.edits.literals import literal
from autosynth_core.workflow.edits.program import Program, documented, parse
from autosynth_core.workflow.edits.words import escaped, focus, short

END = "after the last stage"
_NOTES_TOKENS = 800  # an answer cut off fails its sample, so notes have room beyond the length they are asked for


@dataclass(frozen=True)
class AddedStage:
    """A stage behind the last one. ``key`` names the model's words; ``build`` writes it and returns its name."""

    name: str
    summary: str
    key: str
    changes: str  # the modification, for a teacher
    description: str  # the stage function's docstring, by which it is recognised
    build: Callable[[Composition, str, str], str]  # (composition, the words for its prompt, docstring)
    applies: Callable[[EditContext], bool] = lambda context: True
    most: int = 2  # times in one pipeline

    def targets(self, source: str, context: EditContext) -> list[str]:
        program = parse(source)
        if (
            not program.usable()
            or not self.applies(context)
            or times_in_pipeline(program, self.description) >= self.most
        ):
            return []
        child = self._child(program, "", context)
        return [END] if affordable(parse(child), context.limits) else []

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question:
        return stage_question(self.name, self.key, context, weakness)

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        if target != END:
            raise ValueError(f"{self.name} is applied {END!r}, not at {target!r}.")
        sharpened = focus(words, self.key)
        return Edit(self._child(parse(source), sharpened, context), sentence(self.changes, sharpened))

    def _child(self, program: Program, sharpened: str, context: EditContext) -> str:
        composition = Composition(program, context.task)
        hint = f"Above all: {sharpened}" if sharpened else ""
        stage = self.build(composition, hint, self.description)
        return composition.source((*composition.stages, stage))


def stage_question(operator: str, key: str, context: EditContext, weakness: str, longest: int = 300) -> Question:
    """The question of an operator whose words sharpen instructions of its own."""
    task = context.task
    prompt = render(
        f"edit_ask_{operator}",
        title=short(task.title, 120),
        audience=short(task.audience, 160),
        language=short(task.language, 60),
        weakness=data_block("weakness", short(weakness, 600) or "none was named"),
    )
    text = {"type": "string", "minLength": 10, "maxLength": longest}
    return Question(
        prompt, {"type": "object", "properties": {key: text}, "required": [key], "additionalProperties": False}
    )


def sentence(changes: str, sharpened: str) -> str:
    """What changed, with the model's words where there are any."""
    return f"{changes}, with this in mind: {short(sharpened)}." if sharpened else f"{changes}."


def times_in_pipeline(program: Program, description: str) -> int:
    """How many stages of the pipeline are of the kind that ``description`` tells."""
    flow = pipeline(program)
    names = flow.stages if flow else ()
    return sum(documented(program.functions[name]) == description for name in names)


# --- the stages -------------------------------------------------------------------------------------------------


def _critique_and_revise(composition: Composition, hint: str, description: str) -> str:
    return _notes_then_revision(composition, hint, description, "critique_and_revise", "critique", "notes")


def _student_view(composition: Composition, hint: str, description: str) -> str:
    return _notes_then_revision(composition, hint, description, "student_view", "student", "doubts")


def _notes_then_revision(
    composition: Composition, hint: str, description: str, name: str, prompt: str, notes: str
) -> str:
    """Somebody reads the draft and says what is wrong; then it is revised."""
    parts = {"about": composition.about(), "material": composition.material().lines}
    first = composition.constant(f"{prompt.upper()}_PROMPT", rendered(f"edit_stage_{prompt}", **parts, hint=hint))
    second = composition.constant(
        f"{prompt.upper()}_REVISION_PROMPT", rendered(f"edit_stage_{prompt}_revision", **parts)
    )
    arguments, as_text = composition.material().arguments, composition.draft_as_text()
    asked = _asked(f"{first}.format({arguments}, draft=text)", 0.4, _NOTES_TOKENS)
    code = f'''async def NAME(seed: dict[str, str], draft: dict) -> dict:
    """{description}"""
    text = {as_text}(draft)
    {notes} = {asked}
{composition.revision(second, f"{arguments}, draft=text, {notes}={notes}")}'''
    return composition.function(name, code)


def _check_must_nevers(composition: Composition, hint: str, description: str) -> str:
    rules = escaped("\n".join(f"- {short(rule, 300)}" for rule in composition.task.must_nevers))
    parts = {"about": composition.about(), "material": composition.material().lines, "rules": rules}
    check = composition.constant("RULES_PROMPT", rendered("edit_stage_rules", **parts, hint=hint))
    form = composition.value("RULES_FORM", literal("\n\n" + render("edit_stage_rules_form")))
    repair = composition.constant("RULES_REVISION_PROMPT", rendered("edit_stage_rules_revision", **parts))
    arguments, as_text = composition.material().arguments, composition.draft_as_text()
    asked = _asked(f"{check}.format({arguments}, draft=text) + {form}", 0.0, _NOTES_TOKENS)
    code = f'''async def NAME(seed: dict[str, str], draft: dict) -> dict:
    """{description}"""
    text = {as_text}(draft)
    problems = {asked}
    if problems.strip().strip("*#\\"'. ").upper().startswith("OK"):
        return draft
{composition.revision(repair, f"{arguments}, draft=text, problems=problems")}'''
    return composition.function("check_must_nevers", code)


def _second_draft(composition: Composition, hint: str, description: str) -> str:
    angle = hint.removeprefix("Above all: ") or "a quite different idea from the first that comes to mind"
    parts = {"about": composition.about(), "material": composition.material().lines}
    other = composition.constant("OTHER_DRAFT_PROMPT", rendered("edit_stage_second", **parts, angle=angle))
    merge = composition.constant("MERGE_PROMPT", rendered("edit_stage_second_merge", **parts))
    arguments, as_text = composition.material().arguments, composition.draft_as_text()
    prompt = f"{other}.format({arguments}) + {composition.answer_form()}"
    asked = _asked(prompt, 0.9, composition.answer_tokens())
    code = f'''async def NAME(seed: dict[str, str], draft: dict) -> dict:
    """{description}"""
    second = {asked}
{composition.revision(merge, f"{arguments}, draft={as_text}(draft), second=second")}'''
    return composition.function("second_draft", code)


def _asked(prompt: str, temperature: float, max_tokens: int) -> str:
    return host_call("llm", prompt, f"temperature={temperature}", f"max_tokens={max_tokens}")


CRITIQUE_AND_REVISE = AddedStage(
    name="critique_and_revise",
    summary="a critic reads the draft, then it is revised",
    key="focus",
    changes="Adds a critic who reads the draft, and a revision that answers the critic",
    description="A critic names the draft's weak points, then it is revised.",
    build=_critique_and_revise,
)
CHECK_MUST_NEVERS = AddedStage(
    name="check_must_nevers",
    summary="the draft is checked against the must-nevers and repaired where it breaks one",
    key="focus",
    changes="Checks the draft against what must never happen, and repairs it where it does",
    description="Checks the draft against what must never happen and repairs it where needed.",
    build=_check_must_nevers,
    applies=lambda context: any(rule.strip() for rule in context.task.must_nevers),
    most=1,
)
STUDENT_VIEW = AddedStage(
    name="student_view",
    summary="a student of the audience says what would confuse them, then the draft is revised",
    key="focus",
    changes="Lets a student of the audience say what is confusing, and revises the draft for them",
    description="A student says what is confusing, then the draft is revised for them.",
    build=_student_view,
    most=1,
)
SECOND_DRAFT = AddedStage(
    name="second_draft",
    summary="a second draft from another angle is written and the best of both merged",
    key="angle",
    changes="Writes a second draft from another angle and merges the best of both",
    description="Writes a second draft from another angle and merges the best of both.",
    build=_second_draft,
)
