"""The time a search's calls need is computed rightly: never too long, and what an engine without any overhead takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from random import Random

import pytest

from benchmarks.engine_overhead import ROOT, Call, Group, Plan, bound, critical_path, longest_chain, nominal, planned


def call(purpose: str, start: float, end: float, node: int | None = 0, sample: str = "", **given: object) -> Call:
    return Call(purpose, node, sample, start, end, str(given.get("prompt", "")), tuple(given.get("words", ())))  # type: ignore[arg-type]


def groups(random: Random) -> list[Group]:
    """A plan of any shape."""
    return [
        Group(
            tuple(random.uniform(0.1, 2.0) for _ in range(random.randrange(5))),
            tuple(sorted({random.randrange(index) for _ in range(random.randrange(3))})) if index else (),
        )
        for index in range(30)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_no_ceiling_makes_the_path_shorter_than_its_bound(seed: int) -> None:
    some = groups(Random(seed))
    for ceiling in (1, 2, 5, 1000):
        assert bound(some, ceiling) <= critical_path(some, ceiling) + 1e-9
    work = sum(sum(group.calls) for group in some)
    assert critical_path(some, 1) == pytest.approx(work)
    assert critical_path(some, 1000) == pytest.approx(longest_chain(some))


def test_server_time_shortens_calls_and_never_lengthens_them() -> None:
    assert nominal([Group((0.3, 0.1), ())], 0.2) == [Group((0.2, 0.1), ())]


A_DRAFT = "a cell is like a town with a wall"


def search(starts: Sequence[float]) -> list[Call]:
    """A first workflow of one sample of two stages, as it was sent; each call takes 1 s."""
    probe, propose, draft, revise, metrics, verdict, program = starts
    return [
        call("probe", probe, probe + 1, node=None),
        call("propose", propose, propose + 1),
        call("sample", draft, draft + 1, sample="s", words=[A_DRAFT]),
        call("sample", revise, revise + 1, sample="s", prompt=f"Revise: {A_DRAFT}."),
        call("metrics", metrics, metrics + 1),
        call("verdict", verdict, verdict + 1, sample="s"),
        call("workflow verdict", program, program + 1),
    ]


def test_one_phase_follows_another() -> None:
    assert critical_path(planned(search(range(0, 14, 2)), workers=4), 64) == 6.0


@pytest.mark.parametrize("early", range(1, 7))
def test_call_that_did_not_wait_for_what_it_is_planned_after_is_an_error(early: int) -> None:
    """So the path can't be longer than the run: whatever is planned to wait did wait."""
    starts = [2.0 * number for number in range(7)]
    starts[early] = 2.0 * min(early - 1, 4) + 0.5  # the verdicts on samples and program both wait for the metrics
    with pytest.raises(AssertionError, match="before those planned before it"):
        planned(search(starts), workers=4)


def test_calls_of_a_sample_that_read_nothing_of_each_other_are_side_by_side() -> None:
    drafts = [call("sample", 0.0, 1.0, sample="s", words=[f"{A_DRAFT}, draft {n}"]) for n in range(3)]
    late = call("sample", 5.0, 6.0, sample="s", words=[f"{A_DRAFT}, sent when there was a place for it"])
    pick = call("sample", 6.5, 7.5, sample="s", prompt=" ".join(each.words[0] for each in [*drafts, late]))
    assert critical_path(planned([*drafts, late, pick], workers=4), 64) == 2.0


def test_calls_that_the_plan_does_not_know_are_an_error() -> None:
    with pytest.raises(AssertionError, match="fitness"):
        planned([call("fitness", 0.0, 1.0)], workers=4)


def test_iteration_begins_when_the_one_as_many_before_as_there_are_workers_is_committed() -> None:
    rounds = [call("propose", float(number), number + 1.0, node=number) for number in range(7)]
    assert critical_path(planned(rounds, workers=1), 64) == 7.0
    pairs = [call("propose", float((number + 1) // 2), (number + 1) // 2 + 1.0, node=number) for number in range(7)]
    assert critical_path(planned(pairs, workers=2), 64) == 4.0


def test_chain_is_one_after_another_in_the_order_sent() -> None:
    plan = Plan()
    plan.chain([call("reason", 2.0, 3.0), call("reason", 0.0, 1.0)], plan.add([], []))
    assert [group.after for group in plan.groups] == [(), (0,), (1,)]


def test_real_search_is_no_faster_than_its_path() -> None:
    """The program itself refuses a run whose calls did not wait as planned."""
    words = ["--iterations", "3", "--seed-inputs", "2", "--workers", "2", "--delay", "0.15", "--json"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/engine_overhead.py"), *words],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["nominal_path_s"] <= found["critical_path_s"] <= found["wall_s"]
    assert found["bound_s"] <= found["critical_path_s"]
