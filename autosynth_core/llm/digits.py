"""Reading a score of 1 to 5 from an answer.

Owns the two ways: the expected score over the digit tokens' probabilities (as in G-Eval, arXiv 2303.16634, section 2),
and the digit that stands alone in a text. Pure; asking is ``model``'s business.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

from autosynth_core.records import TokenChoice

MIN_MASS = 0.2  # of all probability; below it the model was about to say something else than a digit

_MARKS = " \t\r\n▁Ġ"  # white space, as tokenizers write it too
# a digit 1..5 that is no part of a word, a number, a range, a fraction's lower half or a decimal
_ALONE = re.compile(r"(?<![\w.,/\-–])[1-5](?!\w|[.,]\d|\s*[-–]\s*\d)")
# the scale, not a place on it: "1 to 5", "1 - 5", "between 1 and 5", "1 (worst) to 5 (best)", "out of 5", "/ 5"
_SCALE = re.compile(
    r"\b\d+\s*(?:\([^()\n]{0,60}\)\s*)?(?:-|–|—|\.\.+|to|through|until|up to)\s*\d+\b"
    r"|\bbetween\s+\d+\s+and\s+\d+\b"
    r"|\bout\s+of\s+\d+\b"
    r"|/\s*\d+\b",
    re.IGNORECASE,
)


class Expected(NamedTuple):
    """The mean over the digits, and how much of the probability they hold (0..1). No score below MIN_MASS."""

    score: float | None
    mass: float


def expected_score(choice: TokenChoice) -> Expected:
    """``sum(p(d) * d) / sum(p(d))`` over the digits 1..5; tokens that differ in white space alone are one digit."""
    mass = weighted = 0.0
    for token, logprob in choice.alternatives:
        digit = unicodedata.normalize("NFKC", token).strip(_MARKS)
        if len(digit) == 1 and digit in "12345":
            share = math.exp(min(0.0, logprob))
            mass += share
            weighted += share * int(digit)
    mass_in_range = min(1.0, mass)
    return Expected(weighted / mass if mass_in_range >= MIN_MASS else None, mass_in_range)


def digit_in(text: str) -> int | None:
    """The first digit 1..5 that stands alone in ``text`` and does not name the scale; None when there is none."""
    found = _ALONE.search(_SCALE.sub(" ", unicodedata.normalize("NFKC", text)))
    return int(found.group()) if found else None
