"""How much time the engine adds to the model calls of a search, and how much processor time a call costs it.

A scripted server in a process of its own answers each call after a fixed time::

    python benchmarks/engine_overhead.py --json

``ratio`` is the run's wall time (first call sent to run finished) over the critical path of its calls: the time an
engine that needs no time itself would take for the same calls. It is built from the calls that were paid for, each
with the time from its sending to its answer:

- calls without a node (the probe, the rewriting exercise) come first, one after another;
- iteration i may begin when i - workers is committed, and is committed after i - 1 (docs/engine.md);
- within an iteration one phase follows another: reason, proposal with its repairs, the first sample, the other samples
  side by side, the metric candidates side by side, all verdicts, those on the program too, side by side;
- a call of a sample waits for those of the same sample whose answers are in its prompt;
- no more than the throttle's ceiling are in flight, first come, first served; what the log answered takes no time.

The run is set so that this is all there is: one look at each recipe (``sampling`` fixed), metrics made once, no look at
chance, no trial of the judge, no race. Where the plan knows less than the engine (a sample that was stopped by a gate,
a stage that waits without reading, an answer that another call was already waiting for) it lets a call begin sooner,
so the path is never too long. ``bound_s`` is below any order of doing things: the larger of the longest chain and all
calls' time over the ceiling. A run that is faster than that, or a call that was sent before one it is planned after was
answered, shows that the plan is wrong, and ends the program with an error.

``ratio_nominal`` takes the server's fixed time for each call instead of the recorded one, which has the engine's own
delay in reading an answer in it. ``cpu_ms_a_call`` is the engine process's user and system time after its imports;
the sandbox's workers are reported beside it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from autosynth_core.config import CallSettings, Convergence, ModelSettings, RunSettings, Sampling  # noqa: E402
from autosynth_core.engine import Owner, start_search  # noqa: E402
from autosynth_core.engine.control import LIVE  # noqa: E402
from autosynth_core.records import RunState  # noqa: E402
from autosynth_core.store import Store  # noqa: E402
from autosynth_core.taskfile import load_task  # noqa: E402

TASK_FILE = ROOT / "data" / "tasks" / "science-analogies.json"


class Call(NamedTuple):
    """A paid call: its phase, and when it was on its way (UTC seconds)."""

    purpose: str
    node: int | None
    sample: str
    start: float
    end: float
    prompt: str
    words: tuple[str, ...]  # of the answer, to be recognised by in later prompts


# --- the critical path --------------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Calls that are sent together, once all groups before them have ended. Durations in seconds."""

    calls: tuple[float, ...]
    after: tuple[int, ...]  # indices of groups, all smaller than its own


class Plan:
    """The groups of a run, in an order in which each stands after those it waits for."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._sent: list[float] = []  # when a group's first call was sent; endless for one without calls
        self._ended: list[float] = []  # when everything up to the end of a group was answered

    def add(self, calls: Sequence[Call], after: Iterable[int]) -> int:
        """Raises AssertionError when the group did not wait in the run for what it is planned after."""
        before = tuple(after)
        self.groups.append(Group(tuple(call.end - call.start for call in calls), before))
        waited_for = max((self._ended[index] for index in before), default=0.0)
        self._sent.append(min((call.start for call in calls), default=float("inf")))
        self._ended.append(max([waited_for, *(call.end for call in calls)]))
        early = waited_for - self._sent[-1]
        assert early < _CLOCK_S, f"a call ({calls[0].purpose}) was sent {early:.3f} s before those planned before it"
        return len(self.groups) - 1

    def chain(self, calls: Sequence[Call], after: int) -> int:
        """One after another."""
        for call in sorted(calls, key=lambda each: each.start):
            after = self.add([call], [after])
        return after

    def sample(self, calls: Sequence[Call], after: int) -> list[int]:
        """Each call once those are answered whose words it was given. Returns all groups."""
        placed: list[tuple[int, Call]] = []
        for call in sorted(calls, key=lambda each: each.start):
            read = [index for index, other in placed if any(word in call.prompt for word in other.words)]
            placed.append((self.add([call], read or [after]), call))
        return [index for index, _ in placed] or [after]


_CLOCK_S = 0.01  # calls' times are whole milliseconds, and are counted back from when they were recorded
_WORDS = 25  # characters, from which on a text is recognised


def planned(calls: Sequence[Call], workers: int) -> list[Group]:
    """What has to wait for what in a run of the search."""
    plan = Plan()
    by_node: dict[int | None, list[Call]] = defaultdict(list)
    for call in calls:
        by_node[call.node].append(call)
    before = plan.chain(by_node.pop(None, []), plan.add([], []))
    committed: list[int] = []
    for number in range(max(number for number in by_node if number is not None) + 1):
        begun = committed[max(number - workers, 0)] if committed else before
        ended = _iteration(plan, by_node[number], begun, gate=number > 0)
        committed.append(plan.add([], [ended, *committed[-1:]]))
    return plan.groups


def _iteration(plan: Plan, calls: Sequence[Call], begun: int, *, gate: bool) -> int:
    """Add an iteration's groups; returns the last. ``gate``: one sample is made before the others."""
    of: dict[str, list[Call]] = defaultdict(list)
    samples: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        of[call.purpose].append(call)
        if call.purpose == "sample":
            samples[call.sample].append(call)
    unknown = of.keys() - {"reason", "propose", "sample", "metrics", "verdict", "workflow verdict"}
    assert not unknown, f"calls that the plan knows nothing of: {sorted(unknown)}"
    made = sorted(samples.values(), key=lambda each: min(call.start for call in each))
    last = plan.chain(of["propose"], plan.chain(of["reason"], begun))
    if gate and made:
        last = plan.add([], plan.sample(made.pop(0), last))
    ends = [index for each in made for index in plan.sample(each, last)] or [last]
    return plan.add([*of["verdict"], *of["workflow verdict"]], [plan.add(of["metrics"], ends)])


def longest_chain(groups: Sequence[Group]) -> float:
    """Seconds the groups take with no bound on the calls in flight."""
    ended: list[float] = []
    for group in groups:
        ended.append(max((ended[index] for index in group.after), default=0.0) + max(group.calls, default=0.0))
    return max(ended, default=0.0)


def bound(groups: Sequence[Group], ceiling: int) -> float:
    """Seconds below which no order of the calls comes."""
    return max(longest_chain(groups), sum(sum(group.calls) for group in groups) / ceiling)


def critical_path(groups: Sequence[Group], ceiling: int) -> float:
    """Seconds the groups take: at most ``ceiling`` calls in flight, first come, first served, and no other delay."""
    waits = [len(group.after) for group in groups]
    followers: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        for earlier in group.after:
            followers[earlier].append(index)
    left = [len(group.calls) for group in groups]
    queue: deque[tuple[int, float]] = deque()
    running: list[tuple[float, int]] = []
    now = 0.0

    def ready(index: int) -> None:
        queue.extend((index, seconds) for seconds in groups[index].calls)
        if left[index] == 0:
            over(index)

    def over(index: int) -> None:
        for follower in followers[index]:
            waits[follower] -= 1
            if waits[follower] == 0:
                ready(follower)

    for index, group in enumerate(groups):
        if not group.after:
            ready(index)
    while queue or running:
        while queue and len(running) < ceiling:
            index, seconds = queue.popleft()
            heapq.heappush(running, (now + seconds, index))
        now, index = heapq.heappop(running)
        left[index] -= 1
        if left[index] == 0:
            over(index)
    return now


def nominal(groups: Iterable[Group], delay_s: float) -> list[Group]:
    """The same calls, none of them longer than the server took."""
    return [group._replace(calls=tuple(min(delay_s, each) for each in group.calls)) for group in groups]


def paid_calls(store: Store, run_id: str) -> list[Call]:
    return [
        Call(
            use.purpose, use.node, use.sample_id, use.at - use.answer.ms / 1000, use.at,
            "\n".join(content for _, content in use.request.messages), _words(use.answer.text),
        )
        for use in store.calls_of(run_id, limit=10_000_000)
        if use.paid
    ]  # fmt: skip


def _words(answer: str) -> tuple[str, ...]:
    """The texts in an answer, or in the JSON that it is, that are long enough to be told from others."""
    try:
        parts: list[Any] = [json.loads(answer)]
    except ValueError:
        parts = [answer]
    texts = []
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            texts.append(part.strip())
        elif isinstance(part, dict | list):
            parts.extend(part.values() if isinstance(part, dict) else part)
    return tuple(text for text in texts if len(text) >= _WORDS)


# --- running ------------------------------------------------------------------------------------------------------


def engine_process(db: Path, run_id: str) -> None:
    """In a process of its own: run the search, and print what it cost this process and its children."""
    before = _cpu(resource.RUSAGE_SELF)
    owner = Owner(db, only=frozenset({run_id}))
    with Store.open(db) as store:
        owner.start()
        store.set_run_state(run_id, RunState.QUEUED)
        while owner.alive and store.run(run_id).state in LIVE:
            time.sleep(0.1)
        owner.close()
    print(json.dumps({"self": _cpu(resource.RUSAGE_SELF) - before, "workers": _cpu(resource.RUSAGE_CHILDREN)}))


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One run, and what it took."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/scripted_models.py"), "--delay", str(args.delay)],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            return _measured(folder / "search.db", server.stdout.readline().strip(), args)
        finally:
            server.terminate()


def _measured(db: Path, base_url: str, args: argparse.Namespace) -> dict[str, Any]:
    settings = RunSettings(
        iterations=args.iterations,
        workers=args.workers,
        seed_inputs=args.seed_inputs,
        sampling=Sampling.FIXED,
        convergence=Convergence.NEVER,
        metric_refresh=0,
        measure_noise=False,
        check_fitness=False,
        race_contenders=0,
        models=ModelSettings(base_url=base_url),
        calls=CallSettings(max_in_flight=args.ceiling),
    )
    with Store.open(db) as store:
        project = store.add_project(load_task(TASK_FILE))
        run_id = start_search(store, project.id, settings, state=RunState.STOPPED).id
        cpu = _in_its_process(db, run_id)
        run, calls = store.run(run_id), paid_calls(store, run_id)
        cached = store.usage(run_id).cached
    assert run.state is RunState.FINISHED, run
    assert run.finished is not None
    wall = run.finished - min(call.start for call in calls)
    groups = planned(calls, args.workers)
    least = bound(groups, args.ceiling)
    assert least <= wall, f"the run took {wall:.2f} s, and its calls can't be made in less than {least:.2f} s"
    path, ideal = critical_path(groups, args.ceiling), critical_path(nominal(groups, args.delay), args.ceiling)
    return {
        "iterations": args.iterations,
        "seed_inputs": args.seed_inputs,
        "workers": args.workers,
        "delay_ms": 1000 * args.delay,
        "calls": len(calls),
        "cached": cached,
        "wall_s": round(wall, 2),
        "bound_s": round(least, 2),
        "critical_path_s": round(path, 2),
        "ratio": round(wall / path, 3),
        "nominal_path_s": round(ideal, 2),
        "ratio_nominal": round(wall / ideal, 3),
        "mean_call_ms": round(1000 * sum(call.end - call.start for call in calls) / len(calls), 1),
        "cpu_ms_a_call": round(1000 * cpu["self"] / len(calls), 2),
        "sandbox_cpu_ms_a_call": round(1000 * cpu["workers"] / len(calls), 2),
    }


def _in_its_process(db: Path, run_id: str) -> Mapping[str, float]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AUTOSYNTH_"))}
    done = subprocess.run(
        [sys.executable, __file__, "--engine-process", str(db), run_id],
        env={**kept, "OPENAI_API_KEY": "sk-scripted"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description="What the engine adds to the model calls of a search.")
    parser.add_argument("--iterations", type=int, default=30, metavar="N")
    parser.add_argument("--seed-inputs", type=int, default=8, metavar="N")
    parser.add_argument("--workers", type=int, default=4, metavar="K")
    parser.add_argument("--delay", type=float, default=0.05, metavar="S", help="seconds a call takes")
    parser.add_argument("--ceiling", type=int, default=64, metavar="N", help="calls in flight at most")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine-process", nargs=2, metavar=("DB", "RUN"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine_process:
        engine_process(Path(args.engine_process[0]), args.engine_process[1])
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), args)
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
