"""Finding a JSON object in what a model wrote, and holding it against a JSON Schema.

Owns the extraction and a small validator. The validator knows the keywords that schemas for models use and ignores
others; it runs no regular expressions and fetches nothing, as schemas may come from workflows, which models write.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from autosynth_core.llm.protocol import printable

_THINKING = re.compile(r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[A-Za-z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
_MAX_DEPTH = 40
_MAX_STEPS = 30_000
_MAX_STARTS = 64  # places tried for the beginning of an object


class Extracted(NamedTuple):
    """An object found in a text, or why there is none that fits."""

    value: dict[str, Any] | None
    problem: str


def without_thinking(text: str) -> str:
    """``text`` without the ``<think>`` block that some local servers leave in front of the answer."""
    return _THINKING.sub("", text, count=1).strip()


def extract(text: str, schema: Mapping[str, Any]) -> Extracted:
    """The first JSON object in ``text`` that fits ``schema``: the whole text, a fenced block, or amid prose."""
    problem = "there is no JSON object in it"
    for number, candidate in enumerate(_objects(without_thinking(text))):
        complaint = mismatch(candidate, schema)
        if complaint is None:
            return Extracted(_encodable(candidate), "")
        if number == 0:
            problem = complaint
    return Extracted(None, printable(problem))


def mismatch(value: object, schema: Mapping[str, Any]) -> str | None:
    """What keeps ``value`` from fitting ``schema``, in one short phrase; None when it fits."""
    return _Validator(schema).check(value, schema, "the answer")


# --- finding ------------------------------------------------------------------------------------------------------


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # NaN and the infinities, which Python would let through


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number past every bound has no JSON form")  # 1e999, which would be written as Infinity
    return number


# not strict: small models break lines inside of strings
_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_constant, parse_float=_finite)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for piece in (text, *_FENCE.findall(text)):
        try:
            value = _DECODER.decode(piece.strip())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
    yield from _embedded_objects(text)


def _embedded_objects(text: str) -> Iterator[dict[str, Any]]:
    at = text.find("{")
    for _ in range(_MAX_STARTS):
        if at < 0:
            return
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _encodable(value: dict[str, Any]) -> dict[str, Any]:
    """``value`` without the lone surrogates that JSON escapes can smuggle in."""
    written = json.dumps(value, ensure_ascii=False)
    clean = printable(written)
    return value if clean is written else dict(json.loads(clean))


# --- checking -----------------------------------------------------------------------------------------------------

_TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and value == int(value),
}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) != math.inf


class _Validator:
    """One check of one value. A schema that refers to itself in every direction runs out of steps, not of time."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._steps = 0
        self._depth = 0

    def check(self, value: object, schema: object, where: str) -> str | None:
        self._steps += 1
        if not isinstance(schema, Mapping):
            return f"{where} is not allowed" if schema is False else None
        if self._steps > _MAX_STEPS or self._depth > _MAX_DEPTH:
            return f"{where} is too deep or too large to check"
        self._depth += 1
        try:
            if "$ref" in schema:
                return self.check(value, self._resolve(schema["$ref"]), where)
            return next((complaint for complaint in self._complaints(value, schema, where) if complaint), None)
        finally:
            self._depth -= 1

    def _complaints(self, value: object, schema: Mapping[str, Any], where: str) -> Iterator[str | None]:
        yield self._type(value, schema, where)
        yield self._choice(value, schema, where)
        yield from self._union(value, schema, where)
        yield self._size(value, schema, where)
        if isinstance(value, dict):
            yield from self._object(value, schema, where)
        if isinstance(value, list) and "items" in schema:
            for number, inner in enumerate(value, start=1):
                yield self.check(inner, schema["items"], f"item {number} of {where}")

    def _resolve(self, reference: object) -> object:
        """The part of the schema that ``#/...`` names; what can't be found asks for nothing."""
        target: object = self._root
        for step in str(reference).removeprefix("#").strip("/").split("/"):
            target = target.get(step) if isinstance(target, Mapping) and step else target
        return target

    def _type(self, value: object, schema: Mapping[str, Any], where: str) -> str | None:
        wanted = schema.get("type")
        names = wanted if isinstance(wanted, list) else [wanted]
        known = [name for name in names if isinstance(name, str) and name in _TYPES]
        if not known or any(_TYPES[name](value) for name in known):
            return None
        return f"{where} should be of type {' or '.join(known)}"

    def _choice(self, value: object, schema: Mapping[str, Any], where: str) -> str | None:
        if "const" in schema and value != schema["const"]:
            return f"{where} should be {_short(schema['const'])}"
        allowed = schema.get("enum")
        if isinstance(allowed, list) and value not in allowed:
            return f"{where} should be one of {_short(allowed)}"
        return None

    def _union(self, value: object, schema: Mapping[str, Any], where: str) -> Iterator[str | None]:
        for keyword in ("anyOf", "oneOf"):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                yield self._any(value, options, where)
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) else []:
            yield self.check(value, part, where)

    def _any(self, value: object, options: list[object], where: str) -> str | None:
        complaints = []
        for option in options:
            complaint = self.check(value, option, where)
            if complaint is None:
                return None
            complaints.append(complaint)
        return complaints[0]

    def _size(self, value: object, schema: Mapping[str, Any], where: str) -> str | None:
        if isinstance(value, str):
            return _out_of_range(
                len(value), schema.get("minLength"), schema.get("maxLength"), where, " characters long"
            )
        if isinstance(value, list):
            return _out_of_range(len(value), schema.get("minItems"), schema.get("maxItems"), where, " items long")
        if _is_number(value):
            return _out_of_range(value, schema.get("minimum"), schema.get("maximum"), where, "")
        return None

    def _object(self, value: dict[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str | None]:
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        missing = [name for name in required if isinstance(name, str) and name not in value]
        yield f"{where} lacks {', '.join(repr(name) for name in missing)}"[:300] if missing else None
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        for name, inner in value.items():
            part = properties.get(name, schema.get("additionalProperties", True))
            yield self.check(inner, part, f"the field {name[:60]!r}")


def _out_of_range(measure: float, low: object, high: object, where: str, unit: str) -> str | None:
    if _is_number(low) and measure < low:
        return f"{where} should be at least {low}{unit}"
    if _is_number(high) and measure > high:
        return f"{where} should be at most {high}{unit}"
    return None


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:200]
