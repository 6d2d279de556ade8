"""What an educator's feedback says, in a form that models can be given.

Owns the turning of ratings, reasons, comments and edits into examples and into one plain summary. Pure; where the
feedback is kept is the store's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from autosynth_core.records import Example, Feedback, Rating, Sample, Task

__all__ = ["accepted_examples", "heard", "with_feedback"]

_MOST_EXAMPLES = 6  # of each kind handed on
_LONGEST_COMMENT = 400  # characters

Reviewed = tuple[Sample, Feedback]


def accepted_examples(reviewed: Iterable[Reviewed]) -> tuple[Example, ...]:
    """The samples the educator would use, newest first, in the educator's own wording where they edited them."""
    kept = [
        Example(dict(sample.seed.values), dict(feedback.edited or sample.output or {}), _why(feedback))
        for sample, feedback in _newest_first(reviewed)
        if feedback.rating in (Rating.USE, Rating.USE_EDITED) and (feedback.edited or sample.output)
    ]
    return tuple(kept[:_MOST_EXAMPLES])


def with_feedback(task: Task, reviewed: Sequence[Reviewed]) -> Task:
    """The task with accepted samples among its good examples and refused ones, with the reasons, among its bad ones."""
    refused = [
        Example(dict(sample.seed.values), dict(sample.output), _why(feedback) or "the educator would not use it")
        for sample, feedback in _newest_first(reviewed)
        if feedback.rating is Rating.NOT_USABLE and sample.output
    ]
    return replace(
        task,
        good_examples=accepted_examples(reviewed) + task.good_examples,
        bad_examples=tuple(refused[:_MOST_EXAMPLES]) + task.bad_examples,
    )


def heard(reviewed: Sequence[Reviewed]) -> str:
    """One plain paragraph of what the educator said; "" when they said nothing.

    Reasons that came up most stand first, then comments in full, then what was changed by hand.
    """
    feedback = [each for _, each in reviewed]
    if not feedback:
        return ""
    usable = sum(each.rating is Rating.USE for each in feedback)
    edited = sum(each.rating is Rating.USE_EDITED for each in feedback)
    lines = [
        f"Of {len(feedback)} samples the educator would use {usable} as they are and {edited} with edits; "
        f"{len(feedback) - usable - edited} are not usable."
    ]
    reasons = Counter(reason for each in feedback for reason in each.reasons)
    if reasons:
        lines.append("Reasons: " + "; ".join(f"{reason} ({count}x)" for reason, count in reasons.most_common()) + ".")
    lines += [f'Comment: "{each.comment.strip()[:_LONGEST_COMMENT]}"' for each in feedback if each.comment.strip()]
    lines += [f"The educator rewrote one sample as: {_shown(each)}" for each in feedback if each.edited]
    return "\n".join(lines)


def _newest_first(reviewed: Iterable[Reviewed]) -> list[Reviewed]:
    return sorted(reviewed, key=lambda pair: (-pair[1].at, pair[0].id))


def _why(feedback: Feedback) -> str:
    return "; ".join(
        [*feedback.reasons, *([feedback.comment.strip()[:_LONGEST_COMMENT]] if feedback.comment.strip() else [])]
    )


def _shown(feedback: Feedback) -> str:
    return " / ".join(str(value) for value in (feedback.edited or {}).values())[:_LONGEST_COMMENT]
