"""Text of people and models stays text."""

from __future__ import annotations

import re

import pytest

from pages.parts.text import clean, hover, plain, short

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "**bold** _it_ `code` [link](javascript:alert(1)) ![i](http://x/y.png)",
    "heading": "# Heading\n- item\n1. one\n> quote",
    "latex": "$x^2$ costs $5 and $$y$$",
    "icons": ":material/delete: :red[text] :smile: :streamlit:",
    "typography": "a -> b <- c -- d >= e <= f ~= g <-> h",
    "links": "https://evil.example/x www.evil.example someone@evil.example",
    "table": "|a|b|\n|-|-|\n|1|2|",
    "entities": "&lt;b&gt; &#58;smile&#58;",
    "backslashes": "\\*not escaped\\* C:\\temp",
}


def read_back(markdown: str) -> str:
    """What a markdown reader shows: escapes resolved, characters without width left out."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace("\u2060", "")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_plain_shows_exactly_the_text(text: str) -> None:
    assert read_back(plain(text)) == " ".join(text.split())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_plain_leaves_no_punctuation_unescaped(text: str) -> None:
    assert re.sub(r"\\[!-/:-@\[-`{-~]", "", plain(text)).isascii() or "\u2060" in plain(text)
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", plain(text)))


@pytest.mark.parametrize(
    "pattern",
    [r":[a-z/_]+:", r":red\[", r"->", r"<-", r"--", r">=", r"<=", r"~=", r"https?://", r"www\.", r"\S@\w"],
)
def test_plug_ins_find_nothing_after_escapes_are_resolved(pattern: str) -> None:
    seen = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(" ".join(HOSTILE.values())))
    assert not re.search(pattern, seen)


def test_clean_replaces_what_a_browser_cannot_show() -> None:
    assert clean("a\0b\ud800c\u202ed\x1be\r\nf\rg\th") == "a\ufffdb\ufffdc\ufffdd\ufffde\nf\ng\th"
    clean("\udfff" * 10).encode()


def test_hover_is_escaped_and_bounded() -> None:
    said = hover("<a href='javascript:x'>" + "word " * 500)
    assert "<a" not in said
    assert said.count("<br>") == 5


def test_short_keeps_one_line() -> None:
    assert "\n" not in short("a\nb " * 100)
    assert len(short("x" * 500, 40)) <= 40
