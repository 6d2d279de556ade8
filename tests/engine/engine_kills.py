"""One search killed again and again with SIGKILL, and what must be true of it afterwards.

Owns the killing and the checks; how many kills, and on how large a search, is the caller's choice. The scripted server
lives in this process and outlives the killed ones, so it knows what was asked and what was answered.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_runs import (
    Unsteady,
    add_run,
    asked_of,
    canonical,
    command,
    count,
    finish,
    recorded_bodies,
    recorded_keys,
    settings_for,
    time_passes,
    tree_of,
)
from openai_server import OpenAIServer

__all__ = ["Report", "kill_and_resume"]


@dataclass(slots=True)
class Report:
    """What was seen. All but ``kills``, ``calls`` and the seconds must be empty, zero or true."""

    kills: int = 0  # that hit a process at work
    calls: int = 0  # recorded in the unbroken run
    same_tree: bool = False
    paid_twice: int = 0  # calls with more than one usable answer in the log
    asked_again: int = 0  # requests made after a kill whose answer was in the log at the kill
    lost: int = 0  # calls in the log at a kill that are not there at the end
    unrecorded: int = 0  # usable answers sent longer before a kill than ``grace_s`` and not in the log at it
    grace_s: float = 0.0
    slowest_record_s: float = 0.0  # the oldest answer on its way at any kill
    missing: int = 0  # calls of the unbroken run that the broken one never made, and the other way round
    paid_at_kills: list[int] = field(default_factory=list)
    unbroken_s: float = 0.0
    broken_s: float = 0.0


def kill_and_resume(folder: Path, *, kills: int, seed: int, grace_s: float, most_s: float, **settings: Any) -> Report:
    """Run a search unbroken, then the same one killed ``kills`` times at random moments, and compare."""
    report = Report(grace_s=grace_s)
    whole, broken = folder / "whole.db", folder / "broken.db"
    whole_run, seconds = _unbroken(whole, seed, most_s, settings)
    report.unbroken_s, report.calls = round(seconds, 1), count(whole, "calls")
    expected = recorded_bodies(whole)
    with OpenAIServer(Unsteady(seed + 1, most_s), models=["scripted"]) as server:
        run_id = add_run(broken, settings_for(server, **settings))
        began = time.monotonic()
        rng = random.Random(seed)
        while report.kills < kills:
            if not _killed_once(broken, run_id, server, report, expected, calls_before=_moment(rng, report, kills)):
                break
        since, known = len(server.received), recorded_bodies(broken)
        outcome = finish(command("resume", run_id, "--db", broken, "--json"))
        assert outcome.status == 0, outcome
        report.broken_s = round(time.monotonic() - began, 1)
        report.asked_again += (asked_of(server, since) - (expected - known)).total()
    ours, theirs = recorded_keys(broken), recorded_keys(whole)
    report.paid_twice = sum(n - 1 for n in ours.values())
    report.missing = len(ours.keys() ^ theirs.keys())
    report.same_tree = tree_of(broken, run_id) == tree_of(whole, whole_run)
    return report


def _unbroken(db: Path, seed: int, most_s: float, settings: dict[str, Any]) -> tuple[str, float]:
    with OpenAIServer(Unsteady(seed, most_s), models=["scripted"]) as server:
        run_id = add_run(db, settings_for(server, **settings))
        began = time.monotonic()
        outcome = finish(command("resume", run_id, "--db", db, "--json"))
        assert outcome.status == 0, outcome
        return run_id, time.monotonic() - began


def _moment(rng: random.Random, report: Report, kills: int) -> int:
    """How many more calls are answered before the next kill: random, and so that the last kill finds work left."""
    share = report.calls / (kills + 1)
    return round(rng.uniform(0.1, 1.7) * share)


def _killed_once(
    db: Path, run_id: str, server: OpenAIServer, report: Report, expected: Counter[str], *, calls_before: int
) -> bool:
    """Resume, let the server answer so many calls, kill. False when the run was finished before."""
    since, answered = len(server.received), server.usable
    known, keys = recorded_bodies(db), recorded_keys(db)
    process = command("resume", run_id, "--db", db, "--json")
    while server.usable - answered < calls_before:
        if process.poll() is not None:
            finish(process)
            return False
        time.sleep(0.003)
    process.kill()
    at = time.monotonic()
    process.communicate()
    time_passes(db, 60.0)  # so that its lease is stale
    report.kills += 1
    now = recorded_bodies(db)
    report.paid_at_kills.append(now.total())
    report.lost += (keys - recorded_keys(db)).total()
    report.asked_again += (asked_of(server, since) - (expected - known)).total()
    on_the_way = _sent_before(server, since, at) - (now - known)
    oldest = [at - each.answered for each in server.received[since:] if on_the_way[canonical(each.body)] > 0]
    report.slowest_record_s = round(max([report.slowest_record_s, *oldest]), 3)
    report.unrecorded += (_sent_before(server, since, at - report.grace_s) - (now - known)).total()
    return True


def _sent_before(server: OpenAIServer, since: int, moment: float) -> Counter[str]:
    """The requests whose usable answers were sent by then."""
    return Counter(canonical(each.body) for each in server.received[since:] if each.usable and each.answered <= moment)
