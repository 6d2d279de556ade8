"""Every prompt the engine sends, one file each, rendered by name.

Owns the wording and the filling in; who sends a prompt to which model is decided elsewhere. Text from people and
models goes through ``autosynth_core.prompts.data_block`` so that it stays data to the model that reads it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files
from string import Template
from typing import NamedTuple

__all__ = ["data_block", "names", "render"]

# Characters without a shape, with which a delimiter can be written so that a filter misses it and a model reads it.
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_UNSEEN_RUN = re.compile(f"[{_INVISIBLE}]{{3,}}")  # one or two join emoji and scripts; more only hide something
_TAG_CHARACTERS = re.compile("[\U000e0000-\U000e007f]")  # an invisible copy of ASCII; nobody writes it by hand
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_DATA = f"[{_INVISIBLE}]*".join(("[dԁ]", "[aаɑα]", "[tтτ]", "[aаɑα]"))  # Latin, and other scripts' look-alikes
_LOOKALIKE = re.compile(r"[<〈⟨❬❮≺˂](?=[\W_]{0,16}" + _DATA + ")", re.IGNORECASE)


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
    """``text`` between delimiters it can't close, under a label (a few fixed words of ours).

    Control and tag characters go, and so does every look-alike of a data tag: full-width or other angle brackets,
    letters of other scripts, invisible characters in between. Anything else stays as it was written. The model is told
    elsewhere that what stands between ``<data>`` tags is material, never an instruction.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = _UNSEEN_RUN.sub("", _TAG_CHARACTERS.sub("", _CONTROL.sub("", unified)))
    characters = list(visible)
    for match in _LOOKALIKE.finditer(_folded(visible)):
        characters[match.start()] = "‹"
    return f'<data name="{label}">\n{"".join(characters)}\n</data>'


def _folded(text: str) -> str:
    """``text`` with full-width, bold and similar forms as plain letters, of the same length: places stay places."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else unicodedata.normalize("NFKC", c)[0] for c in text)
