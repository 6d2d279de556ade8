"""Text of people and models on the page, shown as the text it is.

Owns the one way such text may reach Streamlit: ``prose`` for whole texts, ``plain`` wherever Streamlit reads markdown
(labels, captions, alerts, buttons), ``hover`` for Plotly's own little markup. Nothing here renders HTML, markdown,
LaTeX, links, emoji or icon shortcodes.
"""

from __future__ import annotations

import html
import re
import textwrap

import streamlit as st

__all__ = ["clean", "hover", "plain", "prose", "short"]

_WORD_JOINER = "\u2060"  # no width, no break: parts what markdown plug-ins look for, changes nothing to the eye
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_PLUGIN_STARTS = re.compile(r"(\\:(?=\S)|\\@|\\-(?=\\[->])|\\<(?=\\[-=])|\\>(?=\\=)|\\~(?=\\=)|www)", re.IGNORECASE)


def clean(text: object) -> str:
    """The text without control characters, half surrogates and direction overrides: none is safe to show."""
    return _UNSHOWABLE.sub("\ufffd", str(text).replace("\r\n", "\n").replace("\r", "\n"))


def plain(text: object) -> str:
    """The text as one line of markdown that shows exactly this text.

    Every punctuation mark is escaped. Streamlit's plug-ins look at text after escapes are resolved (``:smile:``,
    ``:red[``, ``->``, bare links and addresses), so a character without width is set behind what they look for.
    """
    line = " ".join(clean(text).split())
    return _PLUGIN_STARTS.sub(rf"\1{_WORD_JOINER}", _PUNCTUATION.sub(r"\\\1", line))


def prose(text: object) -> None:
    """Show a text with its line breaks, and nothing in it as markup."""
    st.text(clean(text))


def short(text: object, width: int = 80) -> str:
    """One line of at most ``width`` characters, cut between words. Still to be made ``plain``."""
    return textwrap.shorten(clean(text), width, placeholder=" …") or "…"


def hover(text: object, width: int = 48, lines: int = 6) -> str:
    """Text for a Plotly hover box: escaped, wrapped, at most so many lines."""
    wrapped = textwrap.wrap(clean(text), width, max_lines=lines, placeholder=" …")
    return "<br>".join(html.escape(line) for line in wrapped)
