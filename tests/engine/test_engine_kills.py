"""``kill -9`` costs nothing that was paid for, and changes nothing about where a search arrives."""

from __future__ import annotations

from pathlib import Path

from engine_kills import kill_and_resume

KILLS = 6  # `python benchmarks/kill_and_resume.py` does twenty


def test_killed_search_arrives_at_the_same_tree_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    """Killed processes take two to three seconds each to start: few kills on a search of 30 iterations."""
    report = kill_and_resume(
        tmp_path, kills=KILLS, seed=7, grace_s=1.0, most_s=0.04,
        iterations=30, seed_inputs=8, workers=4, metric_candidates=1,
    )  # fmt: skip
    assert report.kills == KILLS
    assert (report.lost, report.asked_again, report.paid_twice, report.missing, report.unrecorded) == (0, 0, 0, 0, 0)
    assert report.same_tree
    assert report.paid_at_kills == sorted(report.paid_at_kills)
    assert report.paid_at_kills[-1] < report.calls
