"""What makes a task file unusable, and the one sentence that says so."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosynth_core.errors import TaskFileError
from autosynth_core.taskfile import MAX_BYTES, load_task, parse_task

Change = Callable[[dict[str, Any]], None]


def small_task() -> dict[str, Any]:
    """A file with everything in it, as plain data."""
    seeds = [{"topic": f"topic {n}", "grade": "grade 5"} for n in range(12)]
    return {
        "title": "Small task",
        "description": "Write a line on the topic.",
        "audience": "fifth graders",
        "language": "English",
        "output_fields": [
            {"name": "line", "description": "one line", "kind": "text"},
            {"name": "dialogue", "description": "a short talk", "kind": "turns"},
        ],
        "must_nevers": ["Never be dull."],
        "good_examples": [{"seed": dict(seeds[0]), "output": output(), "why": "lively"}],
        "bad_examples": [{"seed": dict(seeds[1]), "output": output(), "why": "flat"}],
        "search_seeds": seeds[:8],
        "sealed_seeds": seeds[8:],
        "expert_workflow": None,
    }


def output() -> dict[str, Any]:
    turns = [{"speaker": "Tutor", "text": "Why?"}, {"speaker": "Student", "text": "Because."}]
    return {"line": "A line.", "dialogue": turns}


def put(*path: str | int, value: object) -> Change:
    """A change that sets what stands at ``path``."""

    def change(raw: dict[str, Any]) -> None:
        at: Any = raw
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """A change that takes away what stands at ``path``."""

    def change(raw: dict[str, Any]) -> None:
        at: Any = raw
        for part in path[:-1]:
            at = at[part]
        del at[path[-1]]

    return change


def as_one_list(seeds: list[dict[str, str]]) -> Change:
    """A change to a file whose seeds are not split, and that has no examples."""

    def change(raw: dict[str, Any]) -> None:
        del raw["search_seeds"], raw["sealed_seeds"]
        raw |= {"seeds": seeds, "good_examples": [], "bad_examples": []}

    return change


def refusal(data: bytes, name: str = "mine.json") -> str:
    """The sentence that ``data`` is refused with."""
    with pytest.raises(TaskFileError) as caught:
        parse_task(data, name)
    return str(caught.value)


def test_the_small_task_is_accepted() -> None:
    assert parse_task(json.dumps(small_task()).encode(), "mine.json").title == "Small task"


REFUSED = [
    ("missing field", drop("audience"), '"audience" is missing'),
    ("missing deep", drop("output_fields", 0, "description"), '"description" in item 1 of "output_fields" is missing'),
    ("misspelled field", put("must_never", value=[]), 'write "must_nevers" if you meant that'),
    ("unknown field", put("zzz", value=1), '"zzz" is not known here; remove it'),
    ("null title", put("title", value=None), '"title" must be text, not nothing'),
    ("number for text", put("title", value=7), '"title" must be text, not a number; put it in quotes'),
    ("number in seed", put("search_seeds", 2, "grade", value=5), '"grade" in item 3 of "search_seeds" must be text'),
    ("boolean in seed", put("search_seeds", 0, "grade", value=True), "not true or false; put it in quotes"),
    ("list in seed", put("sealed_seeds", 0, "grade", value=["5"]), '"grade" in item 1 of "sealed_seeds" must be text'),
    ("seeds not a list", put("search_seeds", value={}), '"search_seeds" must be a list, not an object'),
    ("seed not an object", put("search_seeds", 0, value="x"), 'item 1 of "search_seeds" must be an object, not a text'),
    ("empty seed list", put("search_seeds", value=[]), '"search_seeds" is an empty list; add at least 4'),
    ("empty sealed list", put("sealed_seeds", value=[]), '"sealed_seeds" is an empty list; add at least 4'),
    ("empty single list", as_one_list([]), '"seeds" is an empty list; add at least 8'),
    ("no seeds at all", lambda raw: (drop("search_seeds")(raw), drop("sealed_seeds")(raw))[0], '"seeds" is missing'),
    ("one side alone", drop("sealed_seeds"), '"sealed_seeds" is missing'),
    ("both ways", put("seeds", value=[{"topic": "x", "grade": "y"}]), 'both "seeds" and "search_seeds"'),
    ("seed without fields", put("search_seeds", 0, value={}), 'item 1 of "search_seeds" is empty'),
    ("blank value", put("search_seeds", 1, "grade", value=" \n"), '"grade" in item 2 of "search_seeds" is empty'),
    ("long value", put("search_seeds", 1, "topic", value="x" * 4001), "has 4,001 characters and 4,000 is the most"),
    ("NUL", put("search_seeds", 1, "topic", value="a\0b"), "holds a NUL character"),
    ("half a character", put("search_seeds", 1, "topic", value="a\ud800"), "holds half a character"),
    ("half a character in a key", put("search_seeds", 1, value={"a\ud800": "x"}), "holds half a character"),
    ("half a character in an output", put("good_examples", 0, "output", "line", value="\udfff"), "not text"),
    ("seeds that differ", put("sealed_seeds", 0, value={"topic": "x"}), 'item 1 of "sealed_seeds" has no "grade"'),
    ("a seed with more", put("search_seeds", 3, "mood", value="x"), 'item 4 of "search_seeds" has "mood"'),
    (
        "few search seeds",
        lambda raw: put("search_seeds", value=raw["search_seeds"][:3])(raw),
        "has 3 and needs at least 4",
    ),
    ("few sealed seeds", lambda raw: put("sealed_seeds", value=raw["sealed_seeds"][:2])(raw), "add 2 more"),
    ("few seeds in one list", as_one_list([{"a": str(n)} for n in range(7)]), '"seeds" has 7 and needs at least 8'),
    (
        "repeated seeds",
        as_one_list([{"a": str(n % 9)} for n in range(12)]),
        '"seeds" holds 3 seeds twice (item 10 repeats',
    ),
    (
        "repeats by spacing",
        as_one_list([{"a": " x" * (n + 1)} for n in range(7)] + [{"a": "x  "}]),
        "holds 1 seed twice",
    ),
    (
        "sealed and searched",
        lambda raw: put("sealed_seeds", 1, value=raw["search_seeds"][4])(raw),
        'also item 5 of "search_seeds"',
    ),
    (
        "sealed and shown",
        lambda raw: put("good_examples", 0, "seed", value=raw["sealed_seeds"][0])(raw),
        "the seed of an example",
    ),
    ("a title of nothing", put("title", value="\u200b\u2060 \u3164"), '"title" is empty'),
    ("a value of nothing", put("search_seeds", 1, "grade", value="\ufeff\u200d"), "is empty"),
    ("an output of nothing", put("good_examples", 0, "output", "line", value="\u2800"), "is empty"),
    ("a title that turns", put("title", value="a\u202eb"), "turns the direction of writing; remove it"),
    (
        "repeats by what is unseen",
        as_one_list([{"a": "x" + "\u200b" * n + "\u200f\u2066\u00ad"} for n in range(9)]),
        "holds 8 seeds twice",
    ),
    ("a name with a space", as_one_list([{"two words": str(n)} for n in range(9)]), 'field name "two words"'),
    ("a name with braces", put("output_fields", 0, "name", value="a{b}"), "is not a plain name"),
    ("a name with a digit first", put("output_fields", 0, "name", value="1st"), "is not a plain name"),
    ("a name with a line end", put("output_fields", 0, "name", value="line\n"), "is not a plain name"),
    ("a dunder name", put("output_fields", 0, "name", value="__class__"), "is not a plain name"),
    ("a keyword", as_one_list([{"class": str(n)} for n in range(9)]), "Python keeps for itself"),
    ("the same output twice", put("output_fields", 1, "name", value="line"), "is taken by another field"),
    ("an output like a seed", put("output_fields", 1, "name", value="Topic"), "is taken by another field"),
    ("seed fields too alike", as_one_list([{"a": str(n), "A": "x"} for n in range(9)]), "too alike"),
    ("no output field", put("output_fields", value=[]), '"output_fields" is empty'),
    ("unknown kind", put("output_fields", 0, "kind", value="dialog"), 'must be "text" or "turns"'),
    (
        "output missing",
        drop("good_examples", 0, "output", "line"),
        '"output" in item 1 of "good_examples" has no "line"',
    ),
    (
        "good and bad",
        put("bad_examples", 0, "seed", value={"topic": "topic 0 ", "grade": "grade 5"}),
        'item 1 of "bad_examples" is item 1 of "good_examples" too',
    ),
    ("output unknown", put("bad_examples", 0, "output", "more", value="x"), 'has "more", which "output_fields" lacks'),
    (
        "output not text",
        put("bad_examples", 0, "output", "line", value=3),
        '"line" in "output" in item 1 of "bad_examples"',
    ),
    (
        "one turn",
        put("good_examples", 0, "output", "dialogue", value=[{"speaker": "T", "text": "x"}]),
        "two or more turns",
    ),
    ("turns as text", put("good_examples", 0, "output", "dialogue", value="T: hello"), "two or more turns"),
    (
        "odd turn",
        put("good_examples", 0, "output", "dialogue", 0, value={"who": "T"}),
        'must have "speaker" and "text"',
    ),
    ("example's seed", drop("good_examples", 0, "seed", "grade"), '"seed" in item 1 of "good_examples" has no "grade"'),
    ("long workflow", put("expert_workflow", value="#" * 60_001), "60,000 is the most"),
    ("blank rule", put("must_nevers", 0, value=""), 'item 1 of "must_nevers" is empty'),
]


@pytest.mark.parametrize(("change", "part"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_fault_is_one_sentence_with_file_place_and_remedy(change: Change, part: str) -> None:
    raw = small_task()
    change(raw)
    sentence = refusal(json.dumps(raw).encode())
    assert part in sentence
    assert_one_sentence(sentence)


def assert_one_sentence(sentence: str, name: str = "mine.json") -> None:
    assert sentence.startswith(f"{name}: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ". " not in sentence
    assert len(sentence) < 300
    assert any(mark in sentence for mark in (";", ": write", ": remove", ": use", ": choose")), "no remedy"


BYTES = [
    ("nothing", b"", "the file is empty"),
    ("a mark alone", b"\xef\xbb\xbf \n", "the file is empty"),
    ("latin-1", '{"title":\n "caf\u00e9"}'.encode("latin-1"), "line 2 is not in UTF-8"),
    ("utf-16", json.dumps({"title": "x"}).encode("utf-16"), "the file is in UTF-16"),
    ("utf-16 without a mark", json.dumps({"title": "x"}).encode("utf-16-le"), "the file is in UTF-16"),
    ("utf-16, big end first", json.dumps({"title": "x"}).encode("utf-16-be"), "the file is in UTF-16"),
    ("utf-32", json.dumps({"title": "x"}).encode("utf-32-be"), "UTF-32"),
    ("a picture", b"\x89PNG\r\n\x1a\n\0\0", "is not in UTF-8"),
    ("not JSON", b'{"title": "x",\n}', "line 2, column 1 is not JSON"),
    ("cut off", json.dumps(small_task()).encode()[:200], "is not JSON"),
    ("a table", b"topic,grade\nice,5\n", "is not JSON"),
    ("a list", b"[]", "must hold one object"),
    ("a number", b"1", "must hold one object"),
    ("null", b"null", "must hold one object"),
    ("NaN", b'{"title": NaN}', "NaN is not JSON"),
    ("infinity", b'{"title": -Infinity}', "-Infinity is not JSON"),
    ("a number without end", b'{"title": ' + b"9" * 10_000 + b"}", "far too long"),
    ("a key twice", b'{"title": "a", "title": "b"}', 'the key "title" stands twice'),
    ("a nesting bomb of lists", b"[" * 200_000, "nested too deeply"),
    ("a nesting bomb of objects", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
    ("a bomb of empty objects", b'{"seeds": [' + b"{}," * 2_000_000 + b"{}]}", "more than 1,000,000 objects and lists"),
    ("too large", b" " * (MAX_BYTES + 1), "larger than 32 MB"),
]


@pytest.mark.parametrize(("data", "part"), [case[1:] for case in BYTES], ids=[case[0] for case in BYTES])
def test_bytes_that_are_no_task_are_one_sentence(data: bytes, part: str) -> None:
    started = time.monotonic()
    sentence = refusal(data)
    assert part in sentence
    assert_one_sentence(sentence)
    assert time.monotonic() - started < 3


def test_a_hundred_thousand_seeds_are_answered_at_once() -> None:
    raw = small_task()
    as_one_list([{"topic": f"topic number {n}", "grade": "grade 5"} for n in range(100_000)])(raw)
    data = json.dumps(raw).encode()
    started = time.monotonic()
    assert "it holds 100,000 seeds and 20,000 is the most" in refusal(data)
    assert time.monotonic() - started < 3


def test_the_seeds_of_both_sides_count_together() -> None:
    raw = small_task()
    raw["search_seeds"] = [{"topic": f"a{n}", "grade": "x"} for n in range(15_000)]
    raw["sealed_seeds"] = [{"topic": f"b{n}", "grade": "x"} for n in range(6_000)]
    assert "21,000 seeds" in refusal(json.dumps(raw).encode())


def test_twenty_thousand_seeds_that_are_all_wrong_name_the_first() -> None:
    raw = small_task()
    as_one_list([{"topic": n, "grade": n} for n in range(20_000)])(raw)
    assert '"topic" in item 1 of "seeds" must be text' in refusal(json.dumps(raw).encode())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/ann/mine.json", "mine.json"),
        ("C:\\tasks\\mine.json", "mine.json"),
        ("a\nb\x1b[31m.json", "a\ufffdb\ufffd[31m.json"),
        ("", "task file"),
        ("x" * 500, "x" * 60 + "…"),
    ],
    ids=["path", "Windows path", "control characters", "none", "endless"],
)
def test_a_sentence_shows_a_harmless_file_name(name: str, shown: str) -> None:
    assert refusal(b"", name).startswith(f"{shown}: ")


def test_a_persons_text_is_shown_short_and_on_one_line() -> None:
    raw = small_task()
    raw["bad\n" + "k" * 10_000] = 1
    assert_one_sentence(refusal(json.dumps(raw).encode()))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"^gone\.json: there is no such file; check"):
        load_task(tmp_path / "gone.json")


def test_a_folder_is_no_task_file(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="this is a folder"):
        load_task(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(TaskFileError, match="no regular file; save"):
            load_task(place)


def test_scripts_that_need_joiners_are_left_alone() -> None:
    raw = small_task()
    raw["title"] = "می\u200cخواهم \u200fعلوم"
    as_one_list([{"a": text} for text in ("👨\u200d👩", "👨👩", "می\u200cخواهم", "میخواهم", *"bcdef")])(raw)
    assert len(parse_task(json.dumps(raw).encode(), "mine.json").search_seeds) == 5


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(TaskFileError, match="can't be read"):
        load_task("a\0b.json")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(4 * 1024**3)  # sparse: it takes no room on the disk
    with pytest.raises(TaskFileError, match="larger than 32 MB"):
        load_task(path)


ODDITIES: list[Any] = [None, True, 0, -1.5, 10**400, "", " ", "x", "\0", "\ud800", "{}", [], {}, [[]], {"": ""}, [None]]


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_escapes_as_another_error(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        raw = small_task()
        for _ in range(rng.randint(1, 3)):
            mutate(raw, rng)
        try:
            parse_task(json.dumps(raw).encode(), "mine.json")
        except TaskFileError as error:
            assert_one_sentence(str(error))


def mutate(raw: dict[str, Any], rng: random.Random) -> None:
    """Replace, add or remove something at a random depth."""
    at: Any = raw
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(at[key], dict | list) and rng.random() < 0.7:
            at = at[key]
            continue
        if rng.random() < 0.3:
            del at[key]
        elif isinstance(at, dict) and rng.random() < 0.3:
            at[rng.choice(["", "a b", "\ud800", "__init__", "x" * 99, "class"])] = copy.deepcopy(rng.choice(ODDITIES))
        else:
            at[key] = copy.deepcopy(rng.choice(ODDITIES))
        return
