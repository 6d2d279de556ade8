"""Every prompt the engine sends, one file each, rendered by name.

Owns the wording and the filling in; who sends a prompt to which model is decided elsewhere. Text from people and
models goes through ``autosynth_core.prompts.data_block`` so that it stays data to the model that reads it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from string import Template
from typing import NamedTuple

__all__ = ["data_block", "names", "render"]

_TAG = re.compile(r"<(\s*/?\s*)(data|/data)", re.IGNORECASE)


def names() -> list[str]:
    """The names of all prompts, sorted."""
    return sorted(entry.name.removesuffix(".txt") for entry in files(__name__).iterdir() if entry.name.endswith(".txt"))


def render(name: str, **values: object) -> str:
    """The prompt ``name`` with each ``$key`` replaced by ``values[key]``.

    Raises KeyError when a placeholder has no value and TypeError when a value has no placeholder: either would
    silently change what a model is asked.
    """
    template, wanted = _template(name)
    unused = values.keys() - wanted
    if unused:
        raise TypeError(f"prompt {name!r} has no placeholder for {sorted(unused)}")
    return template.substitute({key: str(value) for key, value in values.items()}).strip()


class _Prompt(NamedTuple):
    template: Template
    placeholders: frozenset[str]


@cache  # read once: a verdict renders three prompts
def _template(name: str) -> _Prompt:
    template = Template((files(__name__) / f"{name}.txt").read_text(encoding="utf-8"))
    return _Prompt(template, frozenset(template.get_identifiers()))


def data_block(label: str, text: str) -> str:
    """``text`` between delimiters it cannot close: any look-alike of the delimiter inside it is defused.

    The model is told elsewhere that what stands between ``<data>`` tags is material, never an instruction.
    """
    defused = _TAG.sub(lambda match: "‹" + match.group(0)[1:], text)
    return f'<data name="{label}">\n{defused}\n</data>'
