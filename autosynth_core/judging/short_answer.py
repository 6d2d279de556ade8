"""A few words from a model, in a form with an end where the endpoint has one: a small model often finds none by itself.

Owns the form and the cleaning. The words are a model's, so they come back as one line without markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autosynth_core.judging.material import clean_line
from autosynth_core.records import Scope

if TYPE_CHECKING:  # the OpenAI client takes a second to import, and pages only read scores
    from autosynth_core.llm import Model

__all__ = ["short_answer"]

_TEMPERATURE = 0.2


async def short_answer(
    model: Model,
    messages: Sequence[tuple[str, str]],
    scope: Scope,
    *,
    name: str,
    form_chars: int,
    chars: int,
    tokens: int,
) -> str:
    """One line of at most ``chars`` characters; "" where the answer has no words.

    ``name`` is the form's one field, of at most ``form_chars`` characters; ``tokens`` caps the answer. Raises
    AnswerError.
    """
    if not model.capabilities.json_schema:
        text = await model.text(messages, scope=scope, temperature=_TEMPERATURE, max_tokens=tokens)
        return clean_line(text, chars)
    form = {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1, "maxLength": form_chars}},
        "required": [name],
        "additionalProperties": False,
    }
    read = await model.json(messages, schema=form, scope=scope, temperature=_TEMPERATURE, max_tokens=tokens)
    return clean_line(str(read[name]), chars)
