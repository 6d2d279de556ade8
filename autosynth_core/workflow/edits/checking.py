"""The operator that adds a check in plain Python, with one retry that names the problems.

Owns what can be measured without a model: fields filled, length beside the known good samples, phrases that give a
model's chatter away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from autosynth_core.workflow.edits.adding import END, stage_question, times_in_pipeline
from autosynth_core.workflow.edits.composition import (
    Composition,
    as_literal,
    output_as_text,
    rendered,
)
from autosynth_core.workflow.edits.context import Edit, EditContext, Question
from autosynth_core.workflow.edits.flow import affordable
from autosynth_core.workflow.edits.program import Program, parse
from autosynth_core.workflow.edits.words import short, taken, without_fields

_CHATTER = ("as an ai", "here is the", "here's the", "i hope this helps", "let me know if", "[insert")
_MOST_PHRASES = 6
_PHRASE_LENGTH = (6, 60)  # characters; shorter ones would strike at ordinary text
_CHECKED = "Checks length and phrases in plain Python; one retry names the problems."
_LONGEST_WORD = 15  # characters a word on average, above which a text is written without spaces


class _Range(NamedTuple):
    """How long a draft may be."""

    low: int
    high: int
    unit: str  # "words" or "characters"


class CheckAndRetry:
    """A check in plain Python behind the last stage, and one retry."""

    name = "check_and_retry"
    summary = "length and unwanted phrases are checked by plain code, with one retry that names the problems"

    def targets(self, source: str, context: EditContext) -> list[str]:
        program = parse(source)
        if not program.usable() or times_in_pipeline(program, _CHECKED):
            return []
        child = self._child(program, (), context)
        return [END] if affordable(parse(child), context.limits) else []

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> Question:
        return stage_question(self.name, "phrases", context, weakness)

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        if target != END:
            raise ValueError(f"{self.name} is applied {END!r}, not at {target!r}.")
        phrases = _phrases(taken(words, "phrases", 1000), context)
        told = f", and no phrase such as '{short(phrases[0], 60)}'" if phrases else ""
        changes = (
            f"Checks by plain code that the result is complete and of the usual length{told}; asks once more if not."
        )
        return Edit(self._child(parse(source), phrases, context), changes)

    def _child(self, program: Program, phrases: tuple[str, ...], context: EditContext) -> str:
        composition = Composition(program, context.task)
        as_text = composition.draft_as_text()
        chatter = [phrase for phrase in _CHATTER if not _is_known_good(phrase, context)]
        unwanted = composition.value("UNWANTED_PHRASES", as_literal([*chatter, *phrases]))
        find = composition.function("problems_of", _problems_of(as_text, unwanted, _usual_length(context)))
        material = composition.material()
        text = rendered("edit_stage_retry", about=composition.about(), material=material.lines)
        prompt = composition.constant("RETRY_PROMPT", text)
        arguments = f'{material.arguments}, draft={as_text}(draft), problems="\\n".join(problems)'
        lines = composition.revision(prompt, arguments).replace("    return ", "    second = ")
        stage = composition.function(
            "check_and_retry",
            f'''async def NAME(seed: dict[str, str], draft: dict) -> dict:
    """{_CHECKED}"""
    problems = {find}(draft)
    if not problems:
        return draft
{lines}
    return second if len({find}(second)) <= len(problems) else draft''',
        )
        return composition.source((*composition.stages, stage))


def _problems_of(as_text: str, unwanted: str, usual: _Range | None) -> str:
    lines = [
        "def NAME(draft: dict) -> list:",
        '    """What is wrong with a draft, as far as plain code can tell; a sentence each."""',
        f"    text = {as_text}(draft)",
        "    problems = []",
        "    for name, value in draft.items():",
        "        if not value or not str(value).strip():",
        '            problems.append("The part " + str(name) + " is empty.")',
    ]
    if usual:
        low, high, unit = usual
        lines += [
            f"    count = len(text{'.split()' if unit == 'words' else ''})",
            f"    if count < {low}:",
            f'        problems.append("It has " + str(count) + " {unit}; at least {low} are wanted.")',
            f"    if count > {high}:",
            f'        problems.append("It has " + str(count) + " {unit}; at most {high} are wanted.")',
        ]
    lines += [
        f"    for phrase in {unwanted}:",
        "        if phrase in text.lower():",
        '            problems.append("It must not say: " + phrase)',
        "    return problems",
    ]
    return "\n".join(lines)


def _usual_length(context: EditContext) -> _Range | None:
    """From half the shortest to twice the longest of the good and accepted samples; None where there are none."""
    texts = [text for text in _good_texts(context) if text.strip()]
    if not texts:
        return None
    words = sum(len(text.split()) for text in texts)
    spaced = sum(map(len, texts)) <= _LONGEST_WORD * words
    lengths = [len(text.split()) if spaced else len(text) for text in texts]
    return _Range(max(1, min(lengths) // 2), max(lengths) * 2, "words" if spaced else "characters")


def _good_texts(context: EditContext) -> list[str]:
    return [
        output_as_text(context.task, example.output) for example in (*context.accepted, *context.task.good_examples)
    ]


def _phrases(text: str, context: EditContext) -> tuple[str, ...]:
    """The phrases of a list in words, lower case; not those that a good sample holds or that are single words."""
    parts = [without_fields(part) for part in re.split(r"[;,\n\"“”]+", text.lower())]
    phrases = dict.fromkeys(re.sub(r"^[\s\-*•\d.)']+|[\s.']+$", "", part) for part in parts)
    low, high = _PHRASE_LENGTH
    fitting = [
        phrase
        for phrase in phrases
        if low <= len(phrase) <= high
        and " " in phrase
        and phrase not in _CHATTER
        and not _is_known_good(phrase, context)
    ]
    return tuple(fitting[:_MOST_PHRASES])


def _is_known_good(phrase: str, context: EditContext) -> bool:
    return any(phrase in text.lower() for text in _good_texts(context))
