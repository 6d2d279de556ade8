from __future__ import annotations

import pytest

from autosynth_core.records import Run, RunKind, RunState
from autosynth_core.store import Lease, Store


def test_a_lease_is_taken_kept_and_given_back(store: Store, run: Run) -> None:
    assert store.lease(run.id) is None
    assert store.acquire(run.id, "a", 100.0, 10.0)
    assert store.heartbeat(run.id, "a", 105.0)
    assert store.lease(run.id) == Lease(run.id, "a", 100.0, 105.0)
    store.release(run.id, "b")
    assert store.lease(run.id) is not None
    store.release(run.id, "a")
    assert store.lease(run.id) is None
    assert not store.heartbeat(run.id, "a", 106.0)


def test_taking_ones_own_lease_again_renews_it(store: Store, run: Run) -> None:
    assert store.acquire(run.id, "a", 100.0, 10.0)
    assert store.acquire(run.id, "a", 104.0, 10.0)
    assert store.lease(run.id) == Lease(run.id, "a", 100.0, 104.0)


@pytest.mark.parametrize(
    ("now", "taken"),
    [(100.0, False), (110.0, False), (110.1, True), (90.0, False), (89.0, True)],
    ids=["at once", "just alive", "just stale", "clock a little back", "clock far back"],
)
def test_only_a_stale_lease_is_taken_over(store: Store, run: Run, now: float, taken: bool) -> None:
    store.acquire(run.id, "a", 100.0, 10.0)
    assert store.acquire(run.id, "b", now, 10.0) is taken
    assert store.heartbeat(run.id, "a", now) is not taken


def test_runs_without_a_living_owner_become_interrupted(store: Store, run: Run) -> None:
    states = {
        "alive": RunState.RUNNING,
        "stale": RunState.RUNNING,
        "stale paused": RunState.PAUSED,
        "never leased": RunState.RUNNING,
        "queued": RunState.QUEUED,
        "finished": RunState.FINISHED,
    }
    runs = {name: store.add_run(run.project_id, RunKind.SEARCH, "{}", state=state) for name, state in states.items()}
    for name, heartbeat in (("alive", 95.0), ("stale", 80.0), ("stale paused", 80.0), ("finished", 1.0)):
        store.acquire(runs[name].id, "owner", heartbeat, 10.0)
    lost = store.mark_interrupted(100.0, 10.0)
    assert {each.id for each in lost} == {runs[name].id for name in ("stale", "stale paused", "never leased")}
    assert {(each.state, each.finished) for each in lost} == {(RunState.INTERRUPTED, None)}
    assert all(each.reason for each in lost)
    assert store.mark_interrupted(100.0, 10.0) == []
    for name in ("alive", "queued", "finished"):
        assert store.run(runs[name].id).state is states[name]


def test_an_owner_that_was_only_asleep_learns_that_it_lost_the_run(store: Store, run: Run) -> None:
    store.set_run_state(run.id, RunState.RUNNING)
    store.acquire(run.id, "sleeper", 100.0, 10.0)
    store.mark_interrupted(200.0, 10.0)
    assert not store.heartbeat(run.id, "sleeper", 201.0)
    assert store.acquire(run.id, "next", 201.0, 10.0)
