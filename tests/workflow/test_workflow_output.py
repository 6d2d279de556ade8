from __future__ import annotations

import pytest
from workflow_cases import make_task

from autosynth_core.config import SampleLimits
from autosynth_core.records import FieldKind, OutputField, Task
from autosynth_core.workflow import check_output

LIMITS = SampleLimits(output_chars=1000)
TURN = {"speaker": "Tutor", "text": "Why?"}

BAD = {
    "None": None,
    "a list": [],
    "nothing": {},
    "an empty title": {"title": " \n", "dialogue": [TURN, TURN]},
    "a number": {"title": 3, "dialogue": [TURN, TURN]},
    "a text for turns": {"title": "t", "dialogue": "Tutor: Why?"},
    "one turn": {"title": "t", "dialogue": [TURN]},
    "no turns": {"title": "t", "dialogue": []},
    "a string as turn": {"title": "t", "dialogue": [TURN, "Why?"]},
    "a turn without speaker": {"title": "t", "dialogue": [TURN, {"text": "x"}]},
    "a turn with more": {"title": "t", "dialogue": [TURN, {**TURN, "mood": "x"}]},
    "an empty turn": {"title": "t", "dialogue": [TURN, {"speaker": "S", "text": ""}]},
    "a number as speaker": {"title": "t", "dialogue": [TURN, {"speaker": 1, "text": "x"}]},
    "a field too many": {"title": "t", "dialogue": [TURN, TURN], "notes": "x"},
    "too much text": {"title": "t" * 1001, "dialogue": [TURN, TURN]},
    "too many turns": {"title": "t", "dialogue": [TURN] * 500},
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_value_of_another_form_is_no_output(value: object, dialogue_task: Task) -> None:
    output, reason = check_output(dialogue_task, value, LIMITS)
    assert output is None
    assert len(reason) > 20


def test_output_keeps_the_tasks_order_and_valid_text_alone(dialogue_task: Task) -> None:
    value = {"dialogue": [TURN, {"speaker": "S", "text": "\ud83d!\x00"}], "title": "caf\u00e9 \U0001f600 \ud800"}
    output, reason = check_output(dialogue_task, value, LIMITS)
    assert output is not None, reason
    assert list(output) == ["title", "dialogue"]
    assert output["title"].startswith("café \U0001f600 ")
    str(output).encode("utf-8")
    assert "\x00" not in str(output["dialogue"][1]["text"])


def test_number_of_extra_fields_does_not_swell_the_reason() -> None:
    task = make_task(OutputField("text", "", FieldKind.TEXT))
    reason = check_output(task, {"text": "x", **{"k" * 1000 + str(n): n for n in range(1000)}}, LIMITS).reason
    assert len(reason) < 600
