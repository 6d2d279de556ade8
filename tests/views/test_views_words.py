"""Wording shared by the pages."""

from __future__ import annotations

import pytest

from autosynth_core.config import Convergence, RunSettings
from autosynth_core.llm.protocol import FailureKind
from autosynth_core.records import Run, RunKind, RunState, StopReason
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


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Convergence.BOUND, "over as many recipes as were left to try, and no fewer than 7, the best three had gained"),
        (Convergence.PAPER, "moved by less than 0.02 over the last 7 recipes"),
        (Convergence.UNCHANGED, "the best three stayed the same over the last 7 recipes"),
    ],
)
def test_each_rule_of_convergence_is_said_as_it_is_and_that_more_can_be_tried(rule: Convergence, said: str) -> None:
    settings = RunSettings(convergence=rule, patience=7, epsilon=0.02)
    run = Run("r", "p", RunKind.SEARCH, settings.model_dump_json(), RunState.FINISHED, StopReason.CONVERGED, 0.0, 1.0)
    told = words.run_state(run, settings)
    assert said in told
    assert told.endswith("You can still have more recipes tried.")
    assert len(words.run_state(run)) < 60  # in a list


@pytest.mark.parametrize("kind", [*FailureKind, "of another version"])
def test_each_kind_of_failed_call_says_what_happened_and_what_to_do(kind: str) -> None:
    found = words.failure(kind)
    assert found.happened.endswith(".")
    assert found.advice.endswith(".")
    assert found.happened != found.advice
    assert (found == words.failure("nobody knows")) is (kind == "of another version")
