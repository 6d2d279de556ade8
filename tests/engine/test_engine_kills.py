"""``kill -9`` costs nothing that was paid for, and changes nothing about where a search arrives."""

from __future__ import annotations

from pathlib import Path

from engine_kills import kill_and_resume

KILLS = 4  # `python benchmarks/kill_and_resume.py` does twenty, on a search of 30 iterations and 8 seed inputs


def test_killed_search_arrives_at_the_same_tree_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    """Each process takes two seconds to start, hence few kills; two of grace, as a loaded machine reads slowly."""
    report = kill_and_resume(
        tmp_path, kills=KILLS, seed=7, grace_s=2.0, most_s=0.04,
        iterations=12, seed_inputs=4, workers=4, metric_candidates=1,
    )  # fmt: skip
    assert report.kills == KILLS
    assert (report.lost, report.asked_again, report.paid_twice, report.missing, report.unrecorded) == (0, 0, 0, 0, 0)
    assert report.same_tree
    assert report.paid_at_kills == sorted(report.paid_at_kills)
    assert report.paid_at_kills[-1] < report.calls
