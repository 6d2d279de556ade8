"""Strings as a person would write them in a program.

Owns how text becomes a Python literal: prompts stay readable blocks, whatever they hold.
"""

from __future__ import annotations

_LONGEST_LINE = 88  # characters; a longer text is written as a block


def literal(text: str) -> str:
    """``text`` as a Python expression of the same value: a triple-quoted block when long or of several lines."""
    if "\n" in text or len(text) > _LONGEST_LINE:
        return '"""\\\n' + _escaped(text, block=True) + '"""'
    return '"' + _escaped(text, block=False) + '"'


def _escaped(text: str, *, block: bool) -> str:
    text = text.replace("\\", "\\\\")
    if block:
        text = text.replace('"""', '\\"\\"\\"')
        text = text[:-1] + '\\"' if text.endswith('"') else text
    else:
        text = text.replace('"', '\\"')
    return "".join(char if char.isprintable() or (block and char == "\n") else _code(char) for char in text)


def _code(char: str) -> str:
    # Invisible and direction-changing characters are spelled out, so that a reviewer sees them.
    return char.encode("unicode_escape").decode("ascii")
