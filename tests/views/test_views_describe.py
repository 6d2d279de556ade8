"""The Describe form's logic: pasted tables, what is kept aside, dialogues as lines, what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autosynth_core.errors import InputError
from autosynth_core.records import Example, FieldKind, OutputField, SeedInput
from autosynth_core.taskfile import dump_task, parse_task
from autosynth_core.views.describe import (
    blank_task,
    example_output,
    identifier,
    missing,
    pasted_table,
    turns_from_text,
    turns_to_text,
    with_outputs,
    with_seeds,
)
from tests.views.plausible_run import example_task

ROWS = [{"concept": f"idea {n}", "grade": str(n)} for n in range(30)]


def complete_task():
    started = replace(blank_task("Exit tickets"), description="Three questions.", audience="Grade 6")
    return with_seeds(started, ROWS)


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Student belief", "student_belief"),
        ("  Thème 2 ", "theme_2"),
        ("2nd try", "column_2nd_try"),
        ("概念", "column_3"),
        ("{__class__}", "class_"),
        ("x" * 90, "x" * 40),
    ],
    ids=["words", "accents", "digit first", "other script", "braces", "long"],
)
def test_a_heading_becomes_a_plain_name(heading: str, name: str) -> None:
    assert identifier(heading, 3) == name


@pytest.mark.parametrize(
    "text",
    ["concept,grade\nosmosis,5\nerosion,6", "Concept\tGrade\nosmosis\t5\nerosion\t6",
     '\ufeffconcept, grade\n"osmosis", 5\n\nerosion, 6\n'],
    ids=["commas", "tabs", "quotes, blank lines"],
)  # fmt: skip
def test_a_pasted_table_is_read(text: str) -> None:
    table = pasted_table(text)
    assert table.fields == ("concept", "grade")
    assert [row["concept"] for row in table.rows] == ["osmosis", "erosion"]


def test_one_column_needs_no_separator() -> None:
    assert pasted_table("topic\nosmosis\nerosion").rows == ({"topic": "osmosis"}, {"topic": "erosion"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "headings first"),
        ("concept, grade", "headings first"),
        ("concept, grade\nosmosis", "Line 2 has 1"),
        ("concept\nacids, bases and salts", "quotes"),
        ("concept, grade\nosmosis, 5\n, 6", "Line 3 has an empty value"),
        ("Concept, concept\na, b", "Two headings are the same"),
        ("x\n" * 1_500_000, "too much"),
        ("a\n" + "y" * 200_000, "can't be read"),
    ],
    ids=["nothing", "headings alone", "too few", "too many", "empty cell", "same headings", "huge", "huge cell"],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        pasted_table(text)


def test_a_third_of_the_inputs_is_kept_aside_and_none_is_lost() -> None:
    task = complete_task()
    assert (len(task.search_seeds), len(task.sealed_seeds)) == (20, 10)
    assert missing(task) is None


def test_what_is_kept_aside_does_not_depend_on_the_order() -> None:
    there = with_seeds(blank_task("x"), ROWS).sealed_seeds
    back = with_seeds(blank_task("x"), ROWS[::-1]).sealed_seeds
    assert {seed.id for seed in there} == {seed.id for seed in back}


def test_an_edit_never_shows_the_search_what_was_kept_aside() -> None:
    before = complete_task()
    after = with_seeds(before, [*ROWS[3:], *({"concept": f"new {n}", "grade": "9"} for n in range(30))])
    assert not {seed.id for seed in before.sealed_seeds} & {seed.id for seed in after.search_seeds}
    assert not {seed.id for seed in before.search_seeds} & {seed.id for seed in after.sealed_seeds}


def test_an_examples_input_is_never_kept_aside() -> None:
    task = replace(blank_task("x"), good_examples=tuple(Example(row, {"text": "t"}) for row in ROWS[:15]))
    task = with_seeds(task, ROWS)
    assert not {seed.id for seed in task.sealed_seeds} & {SeedInput(row).id for row in ROWS[:15]}


def test_repeated_and_empty_rows_are_dropped() -> None:
    task = with_seeds(blank_task("x"), [*ROWS, ROWS[0], {"concept": " ", "grade": ""}])
    assert len(task.search_seeds) + len(task.sealed_seeds) == len(ROWS)


def test_the_example_tasks_inputs_come_back_unchanged() -> None:
    task = example_task()
    same = with_seeds(task, [dict(seed.values) for seed in (*task.search_seeds, *task.sealed_seeds)])
    assert same == task


def test_looking_at_a_field_does_not_rename_it() -> None:
    task = replace(blank_task("x"), output_fields=(OutputField("exitTicket", "All of it."),))
    assert with_outputs(task, [("exitTicket", "All of it.", FieldKind.TEXT)]) == task


def test_a_dialogue_survives_being_typed() -> None:
    turns = [
        {"speaker": "Tutor", "text": "Look: what falls first?\nWhy?"},
        {"speaker": "Ada", "text": "The stone: it's heavy."},
    ]
    assert turns_from_text(turns_to_text(turns)) == turns


def test_a_dialogue_without_a_speaker_is_refused() -> None:
    with pytest.raises(InputError, match="who speaks"):
        turns_from_text("What do you see?")


def test_an_example_with_an_empty_part_is_refused() -> None:
    fields = (OutputField("hook", ""), OutputField("talk", "", FieldKind.TURNS))
    with pytest.raises(InputError, match="every part"):
        example_output(fields, {"hook": " ", "talk": "A: b\nB: c"})
    with pytest.raises(InputError, match="two turns"):
        example_output(fields, {"hook": "h", "talk": "A: b"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"title": " "}, "a title"),
        ({"description": ""}, "a description"),
        ({"audience": ""}, "who it is for"),
        ({"language": ""}, "the language"),
        ({"output_fields": ()}, "what is to be written"),
        ({"search_seeds": (), "sealed_seeds": ()}, "needed: at least 8 inputs"),
        ({"search_seeds": tuple(map(SeedInput, ROWS[:3])), "sealed_seeds": ()}, "5 more of at least 8 inputs"),
        (
            {"title": "", "audience": "", "search_seeds": (), "sealed_seeds": ()},
            "a title, who it is for, at least 8 in",
        ),
        ({"good_examples": (Example({"other": "x"}, {"text": "t"}),)}, "columns"),
        ({"bad_examples": (Example(ROWS[0], {"other": "t"}),)}, "no longer fits what"),
        ({"must_nevers": ("x" * 90_000,)}, "must_nevers"),
    ],
    ids=[
        "title",
        "description",
        "audience",
        "language",
        "outputs",
        "inputs",
        "some inputs",
        "all at once",
        "example's input",
        "example",
        "too long",
    ],
)
def test_what_is_missing_is_said(change: dict, says: str) -> None:
    assert says in (missing(replace(complete_task(), **change)) or "")


def test_a_task_that_misses_nothing_passes_as_a_task_file() -> None:
    task = complete_task()
    assert parse_task(dump_task(task).encode(), "x") == task


def test_half_surrogates_do_not_break_the_check() -> None:
    missing(replace(complete_task(), title="a\ud800b"))
