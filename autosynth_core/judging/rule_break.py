"""Words that break a must-never, for trying whether a judge notices.

Owns the question and the length of its answer; where the words go is ``known``'s. What comes back is a model's text: it
is cut, stripped of markup, and put to judges as data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autosynth_core.errors import AnswerUnreadable
from autosynth_core.judging.known import rule_to_break
from autosynth_core.judging.material import render_output, shorten
from autosynth_core.judging.short_answer import short_answer
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Scope, Task

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["write_breach"]

_CHARS, _SHOWN = 400, 1500
_MAX_TOKENS = 400  # a script that takes a token a character


async def write_breach(task: Task, writer: Model, scope: Scope) -> str:
    """One or two sentences that break the task's ``rule_to_break``: one line, at most 400 characters.

    Raises AnswerError where none come; ValueError for a task that has no rule to break.
    """
    rule = rule_to_break(task)
    if not rule:
        raise ValueError("the task has no must-never, or no good example that could be made to break it")
    sample = shorten(render_output(task, task.good_examples[0].output), _SHOWN)
    question = render(
        "rule_break",
        rule=data_block("rule", shorten(rule, _CHARS)),
        sample=data_block("material", sample),
        language=task.language,
    )
    messages = [("system", render("rule_break_system")), ("user", question)]
    breach = await short_answer(
        writer, messages, scope, name="sentences", form_chars=_CHARS, chars=_CHARS, tokens=_MAX_TOKENS
    )
    if not breach:
        raise AnswerUnreadable("The model wrote no words that break the rule.")
    return breach
