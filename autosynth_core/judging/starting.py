"""The metrics to start from when no evaluator's proposal can be read: the task's own words, nothing invented."""

from __future__ import annotations

from autosynth_core.judging.material import clean_line
from autosynth_core.records import Metric, MetricSet, Task

__all__ = ["starting_metrics"]

_LONGEST = 600  # characters of the task's words in one metric


def starting_metrics(task: Task) -> MetricSet:
    """Three fixed metrics: does what was asked, suits the audience, keeps the must-nevers (where there are any)."""
    asked = clean_line(task.description, _LONGEST)
    audience = clean_line(task.audience, _LONGEST)
    metrics = [
        Metric(
            "Does what was asked",
            f"How fully the sample does this: {asked}",
            "It does something else, or stops half way.",
            "It does all of it, correctly and completely.",
        ),
        Metric(
            "Suits its audience",
            f"How well it suits: {audience}",
            "They could not follow it, or it talks down to them.",
            "Its words, length and examples are just right for them.",
        ),
    ]
    if task.must_nevers:
        rules = clean_line("; ".join(task.must_nevers), _LONGEST)
        metrics.append(
            Metric(
                "Keeps the rules",
                f"What must never happen: {rules}",
                "It does at least one of these.",
                "It does none of these.",
            )
        )
    return MetricSet(tuple(metrics))
