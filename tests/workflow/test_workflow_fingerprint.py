from __future__ import annotations

import ast

import pytest
from workflow_cases import PIPELINE

from autosynth_core.workflow import fingerprint

SAME = {
    "comments": PIPELINE.replace("    draft = await first", "    # first\n    draft = await first"),
    "docstring": PIPELINE.replace(") -> dict:\n    draft", ') -> dict:\n    """Make it."""\n    draft'),
    "spacing": PIPELINE.replace("(seed, draft)", "( seed,\n        draft )"),
    "quotes": PIPELINE.replace('seed["concept"]', "seed['concept']"),
    "prompt white space": PIPELINE.replace("Explain {concept} to", "\n  Explain\t{concept}\n\n  to "),
    "unparsed": ast.unparse(ast.parse(PIPELINE)),
    "line ends": PIPELINE.replace("\n", "\r\n"),
    "a u before a string": PIPELINE.replace('seed["grade"]', 'seed[u"grade"]'),
}

OTHER = {
    "a prompt's word": PIPELINE.replace("Explain", "Describe"),
    "a temperature": PIPELINE.replace("0.2", "0.3"),
    "a local name": PIPELINE.replace("answer", "reply"),
    "order of stages": PIPELINE.replace("    draft = await critique_and_revise(seed, draft)\n", ""),
    "a separator in a function": PIPELINE.replace('{"text": answer}', '{"text": answer + "\\n"}'),
}


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_formatting_does_not_make_another_program(source: str) -> None:
    assert fingerprint(source) == fingerprint(PIPELINE)


@pytest.mark.parametrize("source", OTHER.values(), ids=OTHER)
def test_any_change_that_could_matter_makes_another_program(source: str) -> None:
    assert fingerprint(source) != fingerprint(PIPELINE)


def test_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint("async def generate(seed):\n    return {}\n") == fingerprint(
        "async def generate( seed ):\n  return {}"
    )
    assert len(fingerprint(PIPELINE)) == 32


HOSTILE = {
    "null byte": "a\0b",
    "lone surrogate": "x = '\ud800'",
    "brackets": "(" * 5000,
    "minuses": "-" * 50_000 + "1",
    "long sum": "1" + "+1" * 29_000,
    "long chain": "a" + ".b" * 29_000,
    "lambdas": "lambda:" * 8000 + "1",
    "indentation": "".join(" " * depth + "if 1:\n" for depth in range(200)),
    "over the size": "x = 1\n" * 20_000,
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_a_syntax_error_and_nothing_worse(source: str) -> None:
    with pytest.raises(SyntaxError):
        fingerprint(source)
