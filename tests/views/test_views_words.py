"""Wording shared by the pages."""

from __future__ import annotations

import pytest

from autosynth_core.views import words


@pytest.mark.parametrize(
    ("message", "share"),
    [
        ("Fetching the embedded model, 0% of 1.1 GB", 0.0),
        ("Fetching the built-in model, 45% of 1.1 GB", 0.45),
        ("Making 6 samples", None),
        ("Recipe 1: Fetching the embedded model, 45%", None),
    ],
)
def test_fetching_is_read_from_its_own_words_alone(message: str, share: float | None) -> None:
    assert words.fetched(message) == share
