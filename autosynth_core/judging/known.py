"""Outputs whose worth is known before any judge speaks: a teacher's good and bad ones, and spoiled copies of good ones.

Owns what such an output is and how good ones are spoiled: cut short, given to another input, put in another order, a
must-never broken. Leaves the words that break one to ``rule_break``, and what a judge makes of all of this to
``fitness``. Pure, and the same each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from autosynth_core.records import FieldKind, SeedInput, Task

__all__ = [
    "BAD_EXAMPLE",
    "CUT",
    "OFF_TOPIC",
    "RULE_BROKEN",
    "SHUFFLED",
    "Known",
    "KnownKind",
    "known_outputs",
    "rule_to_break",
    "spoiled",
]

CUT, OFF_TOPIC, SHUFFLED, RULE_BROKEN = "cut", "off-topic", "shuffled", "rule broken"
BAD_EXAMPLE = "bad example"
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")


class KnownKind(StrEnum):
    """What is known of an output."""

    GOOD = "good"
    BAD = "bad"  # a person refused it
    SPOILED = "spoiled"  # made from a good one so as to be worse


@dataclass(frozen=True, slots=True)
class Known:
    """An output of known worth. ``how`` says where it is from or how it was spoiled; results are split by it."""

    id: str
    kind: KnownKind
    how: str
    seed: Mapping[str, str]
    output: Mapping[str, Any]


def known_outputs(task: Task, breach: str = "", most: int = 6) -> list[Known]:
    """What a judge can be tried on: good and bad examples of the task, and spoiled copies of the good ones.

    ``most`` of each. A teacher's verdicts on samples are among a task's examples by then. The copies are taken in
    turn, so that each way of spoiling is among them. ``breach``: words that break ``rule_to_break``; with them there is
    a copy of the first good one that has them at its end.
    """
    good = [
        Known(f"good {at}", KnownKind.GOOD, "good example", each.seed, each.output)
        for at, each in enumerate(task.good_examples[:most], 1)
    ]
    bad = [
        Known(f"bad {at}", KnownKind.BAD, BAD_EXAMPLE, each.seed, each.output)
        for at, each in enumerate(task.bad_examples[:most], 1)
    ]
    copies = spoiled(task, good, task.search_seeds)
    ways = [[copy for copy in copies if copy.how == how] for how in (CUT, SHUFFLED, OFF_TOPIC)]
    if breach and rule_to_break(task):
        ways.append(_rule_broken(task, good[0], breach))
    in_turn = [copy for row in zip_longest(*ways) for copy in row if copy is not None]
    return [*good, *bad, *in_turn[:most]]


def rule_to_break(task: Task) -> str:
    """The must-never that one copy is to break, the first; "" where there is none, or no good example to copy."""
    return task.must_nevers[0] if task.must_nevers and task.good_examples else ""


def _rule_broken(task: Task, good: Known, breach: str) -> list[Known]:
    """A copy with these words at the end of its texts and of its dialogues' last turns; none where it has neither."""

    def change(whole: Sequence[Any]) -> Sequence[Any]:
        if isinstance(whole, str):
            return f"{whole.rstrip()} {breach}"
        last = whole[-1]
        spoken = last if not isinstance(last, Mapping) else {**last, "text": change(str(last.get("text", "")))}
        return [*whole[:-1], spoken]

    output = {**good.output, **_changed(task, good.output, change)}
    return [] if _same(output, good.output) else [_copy(good, RULE_BROKEN, good.seed, output)]


def spoiled(task: Task, good: Sequence[Known], seeds: Iterable[SeedInput] = ()) -> list[Known]:
    """Up to three copies of each good output, of kind SPOILED, with the original's id in theirs.

    *cut*: the first third of each text or of the turns. *off-topic*: the output of the good one whose input has the
    fewest words in common with this input; with no other output to be had, this output under the most different of
    ``seeds``. *shuffled*: sentences or turns in reverse order, for a single sentence its words. A copy that would not
    differ from its original is left out.
    """
    others = list(seeds)
    return [copy for each in good for copy in _copies(task, each, good, others)]


def _copies(task: Task, good: Known, all_good: Sequence[Known], seeds: Sequence[SeedInput]) -> Iterator[Known]:
    for how, change in ((CUT, _cut), (SHUFFLED, _shuffle)):
        output = {**good.output, **_changed(task, good.output, change)}
        if not _same(output, good.output):
            yield _copy(good, how, good.seed, output)
    elsewhere = [each for each in all_good if _apart(each.seed, good.seed) and not _same(each.output, good.output)]
    if elsewhere:
        yield _copy(good, OFF_TOPIC, good.seed, min(elsewhere, key=lambda each: _overlap(each.seed, good.seed)).output)
    elif away := [each.values for each in seeds if _apart(each.values, good.seed)]:
        yield _copy(good, OFF_TOPIC, min(away, key=lambda values: _overlap(values, good.seed)), good.output)


def _copy(good: Known, how: str, seed: Mapping[str, str], output: Mapping[str, Any]) -> Known:
    return Known(f"{good.id}:{how}", KnownKind.SPOILED, how, seed, output)


# --- changing a text or a dialogue ---


def _changed(task: Task, output: Mapping[str, Any], change: Callable[[Sequence[Any]], Sequence[Any]]) -> dict[str, Any]:
    """The task's fields after ``change``; what is neither text nor turns stays."""
    fields: dict[str, Any] = {}
    for field in task.output_fields:
        value = output.get(field.name)
        if field.kind is FieldKind.TURNS and isinstance(value, list | tuple) and value:
            fields[field.name] = _changed_turns(list(value), change)
        elif isinstance(value, str):
            fields[field.name] = change(value)
    return fields


def _changed_turns(turns: list[Any], change: Callable[[Sequence[Any]], Sequence[Any]]) -> list[Any]:
    """A dialogue of one turn is changed within its text."""
    only = turns[0]
    if len(turns) == 1 and isinstance(only, Mapping) and isinstance(only.get("text"), str):
        return [{**only, "text": change(only["text"])}]
    return list(change(turns))


def _cut(whole: Sequence[Any]) -> Sequence[Any]:
    """The first third, at least one character or turn."""
    whole = whole.strip() if isinstance(whole, str) else whole
    kept = whole[: max(1, len(whole) // 3)]
    return kept.rstrip() if isinstance(kept, str) else kept


def _shuffle(whole: Sequence[Any]) -> Sequence[Any]:
    """Backwards: of all orders the one in which nothing follows what it followed."""
    if not isinstance(whole, str):
        return whole[::-1]
    gap = " " if any(letter.isspace() for letter in whole.strip()) else ""
    for parts in ([part.strip() for part in _SENTENCE_END.split(whole) if part.strip()], whole.split()):
        if parts != parts[::-1]:
            return gap.join(reversed(parts))
    return whole


# --- comparing ---


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two outputs are the same but for white space."""
    return _bare(dict(one)) == _bare(dict(other))


def _bare(value: object) -> object:
    if isinstance(value, str):
        return value.split()
    if isinstance(value, Mapping):
        return {key: _bare(each) for key, each in value.items()}
    return [_bare(each) for each in value] if isinstance(value, list | tuple) else value


def _apart(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return dict(one) != dict(other)


def _overlap(one: Mapping[str, str], other: Mapping[str, str]) -> float:
    """The share of words that two seed inputs have in common, 0..1."""
    first, second = (set(re.findall(r"\w+", " ".join(map(str, each.values())).lower())) for each in (one, other))
    return len(first & second) / max(1, len(first | second))
