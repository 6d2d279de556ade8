"""Reading digits and JSON from what models write."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from autosynth_core.llm.digits import digit_in, expected_score
from autosynth_core.llm.protocol import request_body
from autosynth_core.llm.schema import extract, mismatch, without_thinking
from autosynth_core.records import ChatRequest, TokenChoice

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "n": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["name"],
    "additionalProperties": False,
}


def choice(**tokens: float) -> TokenChoice:
    return TokenChoice(tuple((token.replace("_", " "), math.log(share)) for token, share in tokens.items()))


def test_expected_score_is_the_normalised_mean() -> None:
    assert expected_score(choice(**{"4": 0.3, "5": 0.1, "The": 0.6})).score == pytest.approx(4.25)


def test_tokens_that_differ_in_white_space_are_one_digit() -> None:
    merged = expected_score(choice(**{"4": 0.2, "_4": 0.2, "▁2": 0.4}))
    assert merged.score == pytest.approx(3.0)
    assert merged.mass == pytest.approx(0.8)


def test_too_little_mass_on_digits_is_no_score() -> None:
    assert expected_score(choice(**{"5": 0.19, "Sure": 0.81})).score is None
    assert expected_score(choice(**{"0": 0.5, "6": 0.3, "45": 0.2})).score is None


def test_hostile_log_probabilities_stay_in_range() -> None:
    wild = TokenChoice((("1", 1e308), ("5", 50.0), ("3", -math.inf)))
    assert expected_score(wild).score == pytest.approx(3.0)
    assert expected_score(TokenChoice(())).score is None


@pytest.mark.parametrize(
    ("text", "digit"),
    [
        ("4", 4),
        (" 4\n", 4),
        ("**4**", 4),
        ("Score: 3.", 3),
        ("4/5", 4),
        ("I give it (2)", 2),
        ("On a 1-5 scale: 4", 4),
        ("On a scale of 1 to 5: 4", 4),
        ("On a scale from 1 through 5, I'd say 2.", 2),
        ("From 1 (worst) to 5 (best): 3", 3),
        ("Between 1 and 5 I choose 4", 4),
        ("Out of 5, it is a 3", 3),
        ("Scale 1..5 => 2", 2),
        ("Score (1 – 5): 3", 3),
        ("Rating (/5): 4", 4),
        ("4 / 5", 4),
        ("4 out of 5", 4),
        ("3 of 5", 3),
        ("5/5", 5),
        ("1 to 5", None),
        ("I give it a score of 4", 4),
        ("４", 4),
        ("4, because", 4),
        ("0", None),
        ("6", None),
        ("10", None),
        ("45", None),
        ("4.5", None),
        ("0.4", None),
        ("4th", None),
        ("gpt4", None),
        ("-3", None),
        ("", None),
        ("four", None),
    ],
)
def test_the_first_digit_that_stands_alone_is_read(text: str, digit: int | None) -> None:
    assert digit_in(text) == digit


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "ab"}',
        '```json\n{"name": "ab"}\n```',
        'Sure! Here it is:\n{"name": "ab"}\nHope this helps {really}.',
        '<think>{"name": "no"}</think>\n{"name": "ab"}',
        'Not {"n": 3} but {"name": "ab"}',
        '[{"name": "ab"}]',
    ],
    ids=["bare", "fence", "prose", "thinking", "second", "in a list"],
)
def test_object_is_found(text: str) -> None:
    assert extract(text, SCHEMA).value == {"name": "ab"}


def test_line_breaks_inside_of_strings_are_forgiven() -> None:
    assert extract('{"name": "a\nb"}', SCHEMA).value == {"name": "a\nb"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("<think>{}", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"name": "ab"', "no JSON object"),
        ('{"name": NaN}', "no JSON object"),
        ("{}", "lacks 'name'"),
        ('{"name": 3}', "'name' should be of type string"),
        ('{"name": "a"}', "at least 2 characters"),
        ('{"name": "ab", "n": 9}', "at most 5"),
        ('{"name": "ab", "n": true}', "of type integer"),
        ('{"name": "ab", "x": 1}', "'x' is not allowed"),
    ],
)
def test_what_does_not_fit_says_why(text: str, problem: str) -> None:
    found = extract(text, SCHEMA)
    assert found.value is None
    assert problem in found.problem


@pytest.mark.parametrize(
    "text", ["{" * 50_000, '{"a":' * 50_000, "```\n" * 20_000, "<think>" * 20_000], ids=lambda t: t[:6]
)
def test_hostile_answer_costs_no_time(text: str) -> None:
    started = time.perf_counter()
    assert extract(text, SCHEMA).value is None
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "NaN", "1" + "0" * 400 + ".5"], ids=lambda v: v[:8])
def test_number_past_every_bound_is_not_json(number: str) -> None:
    assert extract(f'{{"a":{number}}}', {"type": "object"}).value is None


def test_surrogates_in_escapes_are_replaced() -> None:
    found = extract('{"name": "a \\ud800 b"}', SCHEMA)
    assert found.value == {"name": "a ? b"}


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        ({"a": [1, 2]}, {"properties": {"a": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}}}, True),
        ({"a": [1, "x"]}, {"properties": {"a": {"items": {"type": "integer"}}}}, False),
        ("x", {"enum": ["x", "y"]}, True),
        ("z", {"enum": ["x", "y"]}, False),
        (3, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, True),
        (None, {"type": ["string", "null"]}, True),
        (1.0, {"type": "integer"}, True),
        ({"a": {"b": 1}}, {"$defs": {"B": {"required": ["b"]}}, "properties": {"a": {"$ref": "#/$defs/B"}}}, True),
        ({"a": {}}, {"$defs": {"B": {"required": ["b"]}}, "properties": {"a": {"$ref": "#/$defs/B"}}}, False),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, False),
        (1, {}, True),
        (1, {"type": "unheard of", "minimum": "x", "required": 3, "properties": 7, "enum": 1}, True),
        ({}, {"required": [{}, [], None]}, True),
        ({}, {"$ref": "http://127.0.0.1:9/schema"}, True),
    ],
)
def test_validator_knows_the_usual_keywords(value: object, schema: dict[str, Any], fits: bool) -> None:
    assert (mismatch(value, schema) is None) is fits


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"allOf": [{"$ref": "#"}] * 50}],
    ids=["itself", "twice itself", "fifty times"],
)
def test_schema_that_refers_to_itself_ends(schema: dict[str, Any]) -> None:
    started = time.perf_counter()
    assert mismatch({}, schema) is not None
    assert time.perf_counter() - started < 2.0


def test_thinking_without_an_end_is_all_thinking() -> None:
    assert without_thinking("<think>hmm") == ""
    assert without_thinking("a <think>b</think>") == "a <think>b</think>"


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ('{"additionalProperties":false,"properties":{"a":{"type":"string"}},"required":["a"],"type":"object"}', True),
        ('{"properties":{"a":{"type":"string"}},"required":["a"],"type":"object"}', False),
        ('{"additionalProperties":false,"properties":{"a":{"type":"string"}},"type":"object"}', False),
        (
            '{"additionalProperties":false,"properties":{"a":{"minLength":3,"type":"string"}},"required":["a"],"type":"object"}',
            False,
        ),
    ],
    ids=["closed", "open", "optional field", "other keyword"],
)
def test_schema_is_called_strict_only_where_that_is_taken(schema: str, strict: bool) -> None:
    body = request_body(ChatRequest("m", (("user", "x"),), 0.0, 10, schema=schema))
    assert body["response_format"]["json_schema"]["strict"] is strict
