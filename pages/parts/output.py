"""How a sample looks: its input, its fields, a dialogue as a dialogue.

Owns the drawing of outputs, read-only and as boxes to edit. All text goes through ``text``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from autosynth_core.records import FieldKind, OutputField
from autosynth_core.views.describe import turns_to_text
from autosynth_core.views.words import field_label
from pages.parts.text import clean, plain, prose

__all__ = ["as_typed", "input_line", "show_input", "show_output"]

_AVATARS = (":material/school:", ":material/person:", ":material/group:")


def input_line(seed: Mapping[str, str]) -> str:
    """An input in one line, still to be made ``plain``: its values in the teacher's order, parted by dots."""
    return " · ".join(map(clean, seed.values()))


def show_input(seed: Mapping[str, str]) -> None:
    """The input a sample was written from, field by field."""
    for name, value in seed.items():
        st.markdown(f"**{plain(field_label(name))}:** {plain(value)}")


def show_output(fields: Sequence[OutputField], output: Mapping[str, Any]) -> None:
    """The fields of an output in the task's order; headings only where there are several."""
    known = {field.name for field in fields}
    others = [OutputField(name, "") for name in output if name not in known]  # the task was changed since
    for field in (*fields, *others):
        if field.name not in output:
            continue
        if len(fields) > 1 or others:
            st.markdown(f"**{plain(field_label(field.name))}**")
        value = output[field.name]
        if field.kind is FieldKind.TURNS and isinstance(value, Sequence) and not isinstance(value, str):
            _show_turns(value)
        else:
            prose(value)


def _show_turns(turns: Sequence[Any]) -> None:
    speakers: list[str] = []
    for turn in turns:
        speaker, text = (turn.get("speaker", ""), turn.get("text", "")) if isinstance(turn, Mapping) else ("", turn)
        if speaker not in speakers:
            speakers.append(str(speaker))
        avatar = _AVATARS[min(speakers.index(str(speaker)), len(_AVATARS) - 1)]
        with st.chat_message(clean(speaker) or "speaker", avatar=avatar):
            st.caption(plain(speaker))
            prose(text)


def as_typed(field: OutputField, value: object) -> str:
    """A field's value as the text a person edits."""
    return clean(turns_to_text(value) if field.kind is FieldKind.TURNS else value)
