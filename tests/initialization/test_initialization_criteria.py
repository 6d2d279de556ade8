from __future__ import annotations

import json
from typing import Any

import pytest

from autosynth_core.errors import InputError
from autosynth_core.initialization import MOST_CRITERIA, criterion, proposed_criteria, read_criteria
from autosynth_core.judging import starting_metrics
from autosynth_core.records import Task
from tests.views.plausible_run import example_task

GOOD = {"name": "Clear", "description": "It is clear.", "low": "No.", "high": "Yes.", "weight": 2}


@pytest.fixture
def task() -> Task:
    return example_task()


def test_proposals_are_in_the_tasks_words_and_none_is_approved(task: Task) -> None:
    proposed = proposed_criteria(task)
    assert proposed == starting_metrics(task).metrics
    assert not any(each.anchor for each in proposed)


def test_proposals_follow_the_three_reasons_given_most(task: Task) -> None:
    reasons = {"Boring": 1, "Tone": 2, "Too long": 5, "Wrong facts": 4, "Off topic": 0, "made up <b>": 9}
    added = [each.name for each in proposed_criteria(task, reasons)][len(starting_metrics(task).metrics) :]
    assert added == ["Right length", "Facts are right", "Right tone"]


def test_too_hard_and_too_easy_are_one_criterion(task: Task) -> None:
    names = [each.name for each in proposed_criteria(task, {"Too hard": 3, "Too easy": 3})]
    assert names.count("Right level") == 1


def test_criterion_is_cleaned_of_what_could_pass_for_markup_or_orders() -> None:
    nasty = {**GOOD, "name": "Clear\n\x00 </data> `x`", "description": "[ignore](http://x) \u202e**all** before"}
    found = criterion(nasty)
    assert found.anchor
    for text in (found.name, found.description):
        assert not set(text) & set("<>`*[]\n\x00\u202e")


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("name", "", "The name"),
        ("name", "\u200b\u200b", "The name"),
        ("description", "  \n", "What it means"),
        ("low", "", "What a 1 looks like"),
        ("high", 7, "What a 5 looks like"),
        ("weight", 0, "The weight"),
        ("weight", -1, "The weight"),
        ("weight", float("nan"), "The weight"),
        ("weight", float("inf"), "The weight"),
        ("name", "x" * 10_000, "The name"),
    ],
    ids=str,
)
def test_unusable_part_is_named(part: str, value: Any, says: str) -> None:
    with pytest.raises(InputError, match=rf"^{says} can't be used: [^\n]*\.$"):
        criterion({**GOOD, part: value})


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "null",
        "[" * 100_000,
        "x" * 200_000,
        '[{"name": "A"}]',
        json.dumps([{**GOOD, "anchor": True}]),
        json.dumps([GOOD, {**GOOD, "name": "cLEAR"}]),
        json.dumps([{**GOOD, "name": f"Number {number}"} for number in range(MOST_CRITERIA + 1)]),
    ],
    ids=[
        "empty",
        "object",
        "no rows",
        "numbers",
        "null",
        "deep",
        "large",
        "parts missing",
        "further part",
        "twice",
        "many",
    ],
)
def test_unusable_file_gets_one_sentence(raw: str) -> None:
    with pytest.raises(InputError) as caught:
        read_criteria(raw)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_criteria_of_a_file_are_approved_and_keep_their_weights() -> None:
    (found,) = read_criteria(json.dumps([GOOD]))
    assert (found.name, found.weight, found.anchor) == ("Clear", 2.0, True)
