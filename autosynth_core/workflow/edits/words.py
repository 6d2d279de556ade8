"""A model's words, made fit to stand in a prompt.

Owns the cleaning: fences, wrappers, braces, length. Words are hostile until they have been through here. What they
are put into is the operators' concern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import NamedTuple

LONGEST_FOCUS = 400  # characters of a sharpening sentence
LONGEST_PROMPT = 4000  # characters of a new wording; an old one that is longer may keep its length

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$\n?", re.MULTILINE)
_ASSIGNMENT = re.compile(r"""\A[A-Z][A-Z0-9_]*\s*=\s*[rRfF]?("{3}|'{3}|"|')(.*?)\1\s*\Z""", re.DOTALL)
_UNWANTED = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_INNERMOST = re.compile(r"\{([^{}]*)\}")
# What could be read as a forgotten placeholder: a name, with or without attributes, subscripts, spec; or nothing.
_FIELD_LIKE = re.compile(r"\s*(?:\w[\w.\[\]'\" -]*)?(?:![rsa])?(?::[^{}\n\"']*)?\s*")


class Fields(NamedTuple):
    """The replacement fields of a format string: their texts without braces, in order, none twice."""

    texts: tuple[str, ...]
    names: frozenset[str]  # the keyword each begins with; "" or digits: positional


def fields_of(template: str) -> Fields:
    """The fields of ``template`` as ``str.format`` reads them. Raises ValueError when it is no format string."""
    texts: dict[str, None] = {}
    names: set[str] = set()
    for _, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        texts[name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")] = None
        names.add(re.split(r"[.\[]", name)[0])
    return Fields(tuple(texts), frozenset(names))


def taken(words: Mapping[str, str], key: str, limit: int) -> str:
    """The words under ``key``, cleaned and at most ``limit`` characters, cut at the end of a sentence or word.

    Returns "" when nothing is left. Raises ValueError when there is no text under the key.
    """
    text = words.get(key)
    if not isinstance(text, str):
        raise ValueError(f"Give {key!r} as text.")
    text = _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _FENCE.sub("", text).strip()
    wrapped = _ASSIGNMENT.match(text)
    if wrapped:
        text = wrapped.group(2).strip()
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    text = re.sub(r"\n{3,}", "\n\n", text)
    return text if len(text) <= limit else _cut(text, limit)


def focus(words: Mapping[str, str], key: str) -> str:
    """One short paragraph under ``key`` that is safe inside a format string; "" when nothing usable is left."""
    text = " ".join(taken(words, key, LONGEST_FOCUS).split())
    if not any(char.isalnum() for char in text):
        return ""
    return escaped(text)


def escaped(text: str) -> str:
    """``text`` for a format string that has no field in it: look-alikes of fields lose their braces, others double."""
    return fitted(text, ())


def without_fields(text: str) -> str:
    """``text`` as it can stand in a prompt that is never formatted: look-alikes of fields lose their braces."""
    return escaped(text).replace("{{", "{").replace("}}", "}")


def fitted(text: str, fields: Iterable[str]) -> str:
    """``text`` as a format string with no other fields than those of ``fields`` that it names."""
    known = {field.strip(): field for field in fields}
    kept: list[str] = []

    def settle(match: re.Match[str]) -> str:
        inner = match.group(1)
        if inner.strip() in known:
            kept.append(known[inner.strip()])
            return f"\x00{len(kept) - 1}\x01"
        return inner if _FIELD_LIKE.fullmatch(inner) else f"\x02{inner}\x03"

    text = re.sub("[\x00-\x03]", "", text)
    before = None
    while before != text:
        before, text = text, _INNERMOST.sub(settle, text)
    # {{concept}} is what models write who have seen escaped templates: the outer braces go with the inner ones.
    text = re.sub("[{\x02]*\x00(\\d+)\x01[}\x03]*", "\x00\\1\x01", text)
    text = text.replace("\x02", "{").replace("\x03", "}").replace("{", "{{").replace("}", "}}")
    return re.sub("\x00(\\d+)\x01", lambda match: "{" + kept[int(match.group(1))] + "}", text)


def completed(text: str, fields: Iterable[str]) -> str:
    """``text``, a format string, with a line added for each of ``fields`` that it lacks."""
    missing = [field for field in fields if field not in fields_of(text).texts]
    lines = [f"{_heading(field)}: {{{field}}}" for field in missing]
    return "\n\n".join(part for part in (text, "\n".join(lines)) if part)


def short(text: str, limit: int = 120) -> str:
    """``text`` on one line for a sentence, braces undoubled, at most ``limit`` characters."""
    text = " ".join(text.replace("{{", "{").replace("}}", "}").split()).rstrip(".")
    return text if len(text) <= limit else _cut(text, limit - 1).rstrip(" ,;:.") + "…"


def whole(text: str, limit: int) -> str:
    """``text`` on one line with its last full stop, braces undoubled; of more than ``limit`` bytes the first sentences.

    Bytes, because a letter beyond ASCII takes more of a model's tokens.
    """
    text = " ".join(text.replace("{{", "{").replace("}}", "}").split())
    head = text.encode("utf-8", "ignore")[:limit].decode("utf-8", "ignore")
    if len(head) < len(text):
        text = _cut(head, len(head))
    return text if not text or text.endswith((".", "!", "?", "…", "。", "！", "？")) else f"{text}."


def _heading(field: str) -> str:
    return re.sub(r"[^\w]+|_", " ", re.split(r"[!:]", field)[0]).strip().capitalize() or "Input"


def _cut(text: str, limit: int) -> str:
    head = text[:limit]
    ends = [match.end() for match in re.finditer(r"[.!?。！？](?=\s|$)|[。！？]", head)]
    if ends and ends[-1] > limit // 2:
        return head[: ends[-1]]
    space = head.rfind(" ")
    return head[:space].rstrip() if space > limit // 2 else head
