"""One simulated search: the real engine on simulated models, and what came of it held against the truth.

Owns how a run is composed and read. The engine, the store, the sandbox and every check are the product's own; the
models alone are simulated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from autosynth_core.config import RunSettings
from autosynth_core.engine import Brief, search_run
from autosynth_core.engine.journal import StoreJournal
from autosynth_core.engine.switch import Switch
from autosynth_core.judging import seed_scores
from autosynth_core.records import Comparison, Node, NodeState, Run, RunKind, RunState, Standing
from autosynth_core.search import Finished
from autosynth_core.store import Store
from autosynth_core.workflow import Sandbox
from benchmarks.simulated.models import SimulatedClient, World, simulated_models
from benchmarks.simulated.task import simulated_task
from benchmarks.simulated.texts import genome_in

__all__ = ["Chosen", "Facts", "kendall", "run_once"]

_JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine's winner and what it says of it, in reward units."""

    node: int
    reported: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What came of one run. Qualities and scores are in reward units, 0..1; the truth is never shown to the engine."""

    stop: str
    iterations: int
    first: float  # true quality of the first workflow
    winner: float  # of the engine's choice
    best: float  # the best among the scored nodes
    reported: float
    low: float
    high: float
    judge_calls: int  # digits on samples; workflow verdicts are not among them
    calls: Mapping[str, int]  # all calls, by purpose
    tau: float | None  # Kendall's, engine's scores against the truth, over the scored nodes
    tau_raw: float | None  # the same of scores as given, each under its own version of the metrics
    unchanged: int  # scored children with their parent's genome
    unchanged_better: int  # those of them that the engine calls better
    broken: int
    duplicates: int
    proposed: tuple[int, ...]  # iterations at which a metric set was asked for
    poisoned: tuple[int, ...]  # those of them whose metric set looks at something else
    quarantined: tuple[int, ...]  # those whose metric set the engine did not take
    seconds: float
    simulated_s: float
    depth: float  # steps from the first workflow, mean over the scored nodes
    winner_depth: int

    @property
    def regret(self) -> float:
        return self.best - self.winner

    @property
    def gain(self) -> float:
        return self.winner - self.first

    @property
    def error(self) -> float:
        return self.reported - self.winner

    @property
    def covered(self) -> bool:
        return self.low <= self.winner <= self.high


async def run_once(world: World, settings: RunSettings, sandbox: Sandbox, folder: Path, *, pace: float = 0.0) -> Facts:
    """Search in ``world``, in a database of its own in ``folder``, which is gone afterwards."""
    place = folder / "simulated.db"
    client = SimulatedClient(world, pace=pace, most_in_flight=settings.calls.max_in_flight)
    begun = time.monotonic()
    try:
        with Store.open(place) as store:
            project = store.add_project(simulated_task())
            brief = Brief(project.task, world.first_program)
            run = store.add_run(
                project.id,
                RunKind.SEARCH,
                settings.model_dump_json(),
                brief=brief.to_json(),
                state=RunState.RUNNING,
            )
            journal = StoreJournal(store, run.id)
            finished, simulated_s = await _search(run, store, sandbox, settings, brief, journal, client)
            return _facts(world, store, run, journal, finished, client, time.monotonic() - begun, simulated_s)
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    for path in folder.glob("simulated.db*"):
        path.unlink()


async def _search(
    run: Run,
    store: Store,
    sandbox: Sandbox,
    settings: RunSettings,
    brief: Brief,
    journal: StoreJournal,
    client: SimulatedClient,
) -> tuple[Finished, float]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    search, stored = await search_run._search(
        run, store, sandbox, Switch(), settings, brief, journal, simulated_models(client)
    )
    return await search.run(stored), loop.time() - begun


def _chosen(finished: Finished) -> Chosen:
    race = finished.race
    if race is not None:
        return Chosen(race.winner, race.sealed.total, race.sealed.low, race.sealed.high)
    best = finished.tree.best
    assert best is not None
    reward = finished.tree.scores[best].reward
    return Chosen(best, reward.total, reward.low, reward.high)


def _facts(
    world: World,
    store: Store,
    run: Run,
    journal: StoreJournal,
    finished: Finished,
    client: SimulatedClient,
    seconds: float,
    simulated_s: float,
) -> Facts:
    tree, chosen = finished.tree, _chosen(finished)
    nodes = tree.nodes
    truth = {number: world.quality(genome_in(nodes[number].source)) for number in tree.scores}
    numbers = sorted(truth)
    raw = [_raw_score(journal, nodes[number]) for number in numbers]
    same = [number for number in numbers if number and _same_genome(nodes, number)]
    states = [node.state for node in nodes.values()]
    return Facts(
        stop=finished.reason.value,
        iterations=max(nodes),
        first=truth[0],
        winner=truth[chosen.node],
        best=max(truth.values()),
        reported=chosen.reported,
        low=chosen.low,
        high=chosen.high,
        judge_calls=sum(count for purpose, count in client.digits.items() if purpose != "workflow verdict"),
        calls=dict(client.calls),
        tau=kendall([tree.scores[number].reward.total for number in numbers], [truth[number] for number in numbers]),
        tau_raw=kendall(raw, [truth[number] for number in numbers]),
        unchanged=len(same),
        unchanged_better=sum(_called_better(finished, number) for number in same),
        broken=states.count(NodeState.BROKEN),
        duplicates=states.count(NodeState.DUPLICATE),
        proposed=tuple(sorted(client.proposed)),
        poisoned=tuple(sorted(client.proposed & world.poisoned)),
        quarantined=_quarantined(store, run.id),
        seconds=seconds,
        simulated_s=simulated_s,
        depth=fmean(len(tree.path(number)) - 1 for number in numbers),
        winner_depth=len(tree.path(chosen.node)) - 1,
    )


def _raw_score(journal: StoreJournal, node: Node) -> float:
    metrics = journal.metric_set(node.metric_version)
    scores = seed_scores(journal.score_rows(node.fingerprint, metrics.version, _JUDGE), metrics)
    return fmean(scores.values()) if scores else 0.0


def _same_genome(nodes: Mapping[int, Node], number: int) -> bool:
    parent = nodes[number].parent
    return parent is not None and genome_in(nodes[number].source) == genome_in(nodes[parent].source)


def _called_better(finished: Finished, number: int) -> bool:
    against = finished.tree.scores[number].against_parent
    return against is not None and against.verdict is Comparison.BETTER


def _quarantined(store: Store, run_id: str) -> tuple[int, ...]:
    """Iterations at which a metric set was set aside."""
    return tuple(entry.iteration for entry in store.metric_sets(run_id) if entry.standing is Standing.QUARANTINED)


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b, -1..1; None where either has no two different values."""
    agree = differ = tied_one = tied_other = 0
    for i in range(len(one)):
        for j in range(i):
            a, b = one[i] - one[j], other[i] - other[j]
            agree += a * b > 0
            differ += a * b < 0
            tied_one += a == 0
            tied_other += b == 0
    pairs = len(one) * (len(one) - 1) // 2
    room = (pairs - tied_one) * (pairs - tied_other)
    return (agree - differ) / room**0.5 if room else None
