"""What an educator's feedback becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosynth_core.config import RoundSettings
from autosynth_core.initialization import accepted_examples, heard, with_feedback
from autosynth_core.initialization.rounds import round_seeds
from autosynth_core.records import Feedback, Rating, Sample, SampleState, Task
from autosynth_core.taskfile import load_task

TASK: Task = load_task(Path(__file__).parents[2] / "data" / "tasks" / "science-analogies.json")
Reviewed = tuple[Sample, Feedback]


def reviewed(
    number: int, rating: Rating, *reasons: str, comment: str = "", edited: str = "", at: float = 0
) -> Reviewed:
    sample = Sample("r", "f", TASK.search_seeds[number], 0, SampleState.OK, {"analogy": f"text {number}"})
    changed = {"analogy": edited} if edited else None
    return sample, Feedback("r", sample.id, rating, reasons, comment, changed, at)


def test_nothing_said_is_nothing_heard() -> None:
    assert heard([]) == ""
    assert accepted_examples([]) == ()
    assert with_feedback(TASK, []) == TASK


def test_reasons_stand_in_order_of_how_often_they_were_given() -> None:
    told = heard(
        [
            reviewed(0, Rating.NOT_USABLE, "too long", "confusing"),
            reviewed(1, Rating.USE_EDITED, "confusing", edited="shorter"),
            reviewed(2, Rating.USE, comment="Lovely."),
        ]
    )
    assert "would use 1 as they are and 1 with edits; 1 are not usable" in told
    assert "Reasons: confusing (2x); too long (1x)." in told
    assert 'Comment: "Lovely."' in told
    assert "rewrote one sample as: shorter" in told


def test_examples_are_what_the_educator_would_use_in_their_own_words_newest_first() -> None:
    rows = [
        reviewed(0, Rating.USE, at=1.0),
        reviewed(1, Rating.NOT_USABLE, "wrong", at=2.0),
        reviewed(2, Rating.USE_EDITED, edited="mended", at=3.0),
    ]
    assert [example.output["analogy"] for example in accepted_examples(rows)] == ["mended", "text 0"]
    task = with_feedback(TASK, rows)
    assert [example.output["analogy"] for example in task.good_examples[:2]] == ["mended", "text 0"]
    assert (task.bad_examples[0].output["analogy"], task.bad_examples[0].why) == ("text 1", "wrong")
    assert task.good_examples[2:] == TASK.good_examples
    assert task.bad_examples[1:] == TASK.bad_examples


def test_examples_and_comments_are_bounded() -> None:
    rows = [reviewed(n, Rating.USE, comment="c" * 10_000, at=n) for n in range(12)]
    assert len(accepted_examples(rows)) == 6
    assert len(heard(rows)) < 12 * 500


def test_refusal_without_a_reason_still_says_so() -> None:
    assert with_feedback(TASK, [reviewed(0, Rating.NOT_USABLE)]).bad_examples[0].why


@pytest.mark.parametrize("samples", [1, 6, 50])
def test_rounds_show_other_inputs_until_all_were_seen(samples: int) -> None:
    rounds = [round_seeds(TASK, RoundSettings(number=number, samples=samples)) for number in (1, 2, 3)]
    count = min(samples, len(TASK.search_seeds))
    assert all(len({seed.id for seed in each}) == len(each) == count for each in rounds)
    seen = {seed.id for each in rounds for seed in each}
    assert len(seen) == min(3 * count, len(TASK.search_seeds))
    assert not seen & {seed.id for seed in TASK.sealed_seeds}
