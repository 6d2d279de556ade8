"""The search: select, expand, simulate, evaluate, backpropagate, with several expansions at once.

Owns the order of things. Iteration ``i`` selects its parent when iteration ``i - workers`` has been committed, and sees
exactly the results up to there plus which parents have expansions in flight. Results are committed in order of
iteration. So up to ``workers`` iterations run at once without a barrier, and the path does not depend on which model
call happens to come back first: the same seed, models and answers give the same tree, also after a crash, when the
iterations in flight are run again and find their calls in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.errors import (
    AlarmRaised,
    AnswerUnreadable,
    AutoSynthError,
    FirstWorkflowFailed,
    RunHalted,
    TransientFailure,
)
from autosynth_core.judging import Noise, Observation, Spread
from autosynth_core.judging import in_words as noise_in_words
from autosynth_core.judging.concurrently import concurrently
from autosynth_core.records import (
    Form,
    Gate,
    Look,
    MetricSet,
    Node,
    NodeState,
    PreflightResult,
    Proposal,
    RaceResult,
    Sample,
    SampleState,
    Scope,
    SeedInput,
    Standing,
    StopReason,
    Task,
    Workflow,
)
from autosynth_core.search.alarms import Alarm, alarms, metrics_alarm, race_alarm, text_lengths
from autosynth_core.search.allocate import first_look, parent_look
from autosynth_core.search.backpropagate import backpropagate
from autosynth_core.search.chance import noise_from, repeated_seeds, spread_from
from autosynth_core.search.converge import converged, top
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.evidence import experience, find_weakness, in_words
from autosynth_core.search.expand import Draft, Expander, Plan, plan_expansion
from autosynth_core.search.journal import Journal
from autosynth_core.search.race import Allowance, Race, at_the_end, on_demand, sealed_order
from autosynth_core.search.refresh import PANEL_NODES, PANEL_SEEDS, PanelItem, Refresher
from autosynth_core.search.scores import DEFAULT_SPREAD, Board, NodeScore, score_nodes
from autosynth_core.search.select import strategy
from autosynth_core.search.simulate import Simulator, failing_share
from autosynth_core.search.tree import Tree
from autosynth_core.workflow.edits import EditContext

__all__ = ["Finished", "Search"]

_log = logging.getLogger(__name__)

_FAILING_LIMIT = 0.25  # a workflow that fails on more of its seed inputs than this is broken


class Finished(NamedTuple):
    """How a search ended."""

    reason: StopReason
    tree: Tree
    race: RaceResult | None  # None: none was wanted, there were no sealed seed inputs for it, or nothing could be read


@dataclass(frozen=True, slots=True)
class _Result:
    """A finished iteration, not yet part of the tree. A node that is still RUNNING here is going to be scored."""

    node: Node
    looks: tuple[Look, ...] = ()
    metrics: MetricSet | None = None
    refreshed: bool = False  # whether its metric set came in with this iteration
    alarm: Alarm | None = None
    stored: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What an iteration may rest on: everything committed when it was planned, and nothing later."""

    programs: Mapping[str, int]  # fingerprint -> node
    experience: Sequence[str]
    in_force: MetricSet | None
    observed: Mapping[tuple[int, str, str], Observation]  # by node, version, seed input
    seeds: tuple[SeedInput, ...]  # further ones, to run the parent on
    panel: tuple[PanelItem, ...]
    spread: Spread


class _Child(NamedTuple):
    """A child that passed preflight, with the first of its samples made; or the draft that did not pass."""

    draft: Draft
    workflow: Workflow | None


class Search:
    """One run of the search. ``run`` returns when it is finished and raises what stops it otherwise."""

    def __init__(
        self,
        *,
        run_id: str,
        task: Task,
        settings: RunSettings,
        first: Proposal,
        expander: Expander,
        simulator: Simulator,
        evaluator: Evaluator,
        refresher: Refresher,
        race_judge: Evaluator | None,
        journal: Journal,
        context: EditContext,
        can_rewrite: bool | None,
        fingerprint_of_first: str,
        halt: Callable[[AutoSynthError], None],
    ) -> None:
        self._run_id = run_id
        self._task = task
        self._settings = settings
        self._first = Workflow(first.source, fingerprint_of_first)
        self._first_proposal = first
        self._expander = expander
        self._simulator = simulator
        self._evaluator = evaluator
        self._refresher = refresher
        self._race_judge = race_judge
        self._journal = journal
        self._context = context
        self._can_rewrite = can_rewrite
        self._halt = halt
        self._select = strategy(settings.strategy, settings.top_k)
        self._tree = Tree()
        self._plans: dict[int, Plan] = {}
        self._in_force: MetricSet | None = None
        self._history: list[tuple[int, ...]] = []
        self._observations: dict[tuple[int, str, str], Observation] = {}
        self._looked: defaultdict[int, set[str]] = defaultdict(set)  # node -> seed inputs, their verdicts read or not
        self._board = Board({}, None)
        self._spread = DEFAULT_SPREAD
        self._again: dict[int, tuple[int, int]] = {}  # iteration under way -> its parent, seed inputs it is run on
        self._since_extended = 0  # scored children since the run began or was last extended
        self._order = seed_order(task, settings)
        self._seeds = search_seeds(task, settings)
        self._root_look = repeated_seeds(self._seeds, settings) if settings.measure_noise else self._seeds
        self._first_look = self._seeds[: first_look(settings)]
        self._stored_looks: dict[int, list[Look]] = {}
        self._released: set[str] = set()
        self._alarmed: set[str] = set()
        self._lengths: dict[int, dict[str, int]] = {}

    async def run(self, stored: Mapping[int, Node]) -> Finished:
        """Search until converged or out of iterations.

        ``stored`` holds the finished nodes of an earlier go at this run by number; they are taken as they are.
        Raises FirstWorkflowFailed, and what stops a run: RunHalted, BudgetReached, EndpointError, LeaseLost. Then all
        iterations in flight have ended (``halt`` keeps them from starting new calls); what they paid for is in the log.
        """
        self._read_looks()
        reason = await self._search(stored)
        try:
            return Finished(reason, self._tree, await self._race(self._allowance))
        except AnswerUnreadable as error:
            self._journal.event("race not finished", f"The race has no result: {error}.")
            return Finished(reason, self._tree, None)

    async def race_again(self, stored: Mapping[int, Node]) -> RaceResult | None:
        """Race the best of what is stored on sealed seed inputs; nothing new is tried.

        A person asked for it, so what it may cost is its own. None when there is nothing to race, or nothing to race
        on. Raises what stops a run, and AnswerUnreadable.
        """
        self._read_looks()
        for number in sorted(stored):
            self._take_released(stored[number].metric_version)
            self._take_in(self._restored(stored[number]))
        self._score()
        contenders = min(self._settings.race_contenders, len(self._board.scores))
        return await self._race(lambda: on_demand(contenders, len(self._task.sealed_seeds)))

    def _read_looks(self) -> None:
        for look in self._journal.looks():
            self._stored_looks.setdefault(look.iteration, []).append(look)

    async def _search(self, stored: Mapping[int, Node]) -> StopReason:
        pending: deque[tuple[int, asyncio.Task[_Result]]] = deque()
        try:
            self._commit(self._restored(stored[0]) if 0 in stored else await self._root())
            for number in count(1):
                while pending and (len(pending) >= self._settings.workers or number > self._settings.iterations):
                    if self._commit(await pending.popleft()[1]):
                        await self._drain(pending)
                        all_tried = number > self._settings.iterations  # then there was nothing left to save
                        return StopReason.ITERATIONS if all_tried else StopReason.CONVERGED
                if number > self._settings.iterations:
                    return StopReason.ITERATIONS
                pending.append((number, asyncio.create_task(self._iteration(number, stored.get(number)))))
        except BaseException as error:
            self._halt(error if isinstance(error, AutoSynthError) else RunHalted("The search is ending."))
            if isinstance(error, asyncio.CancelledError):  # no time is left for what waits
                for _, task in pending:
                    task.cancel()
            await _settled([task for _, task in pending])
            raise
        raise AssertionError("the loop above only ends by returning")

    async def _drain(self, pending: deque[tuple[int, asyncio.Task[_Result]]]) -> None:
        while pending:
            self._commit(await pending.popleft()[1])

    async def _race(self, allowance: Callable[[], Allowance]) -> RaceResult | None:
        """The best on sealed seed inputs, for at most what is allowed."""
        if not self._settings.race_contenders or self._board.scale is None or self._in_force is None:
            return None
        race = Race(
            run_id=self._run_id,
            settings=self._settings,
            tree=self._tree,
            board=self._board,
            metrics=self._in_force,
            simulator=self._simulator,
            judge=self._race_judge or self._evaluator,
            seeds=sealed_order(self._task, self._settings),
            observations=[each for each in self._observations.values() if each.node in self._board.scores],
            second=self._race_judge is not None,
            iteration=max(self._tree.nodes),
        )
        result = await race.run(allowance())
        if result is not None:
            self._journal.add_race(result)
            self._journal.event("race", _race_told(result), result.winner)
            alarm = race_alarm(self._board, result, self._settings.workflow_weight, second=self._race_judge is not None)
            if alarm is not None:
                self._journal.event(f"alarm {alarm.kind}", alarm.text, result.winner)
        return result

    def _allowance(self) -> Allowance:
        """What the search judged fewer than fixed sampling might have; what it spent on the judge itself counts too."""
        sealed = {seed.id for seed in self._task.sealed_seeds}
        spent = self._journal.judged_count(self._evaluator.judge_name, apart_from=sealed)
        return at_the_end(len(sealed), len(self._tree.nodes) * self._settings.seed_inputs - spent)

    # --- one iteration ----------------------------------------------------------------------------------------

    def _iteration(self, number: int, stored: Node | None) -> Coroutine[None, None, _Result]:
        """Plan now, from what is committed now; the rest runs when the loop gets to it."""
        if stored is not None:
            assert stored.parent is not None
            self._take_released(stored.metric_version)
            self._start(Plan(number, stored.parent, stored.form, stored.operator, stored.target))
            self._further_seeds(number, stored.parent)  # under way for those planned before it is committed
            return _given(self._restored(stored))
        random = Random(f"{self._settings.seed}:{number}")
        self._take_released()
        parent = self._select(self._tree, random)
        plan = plan_expansion(
            self._tree,
            number,
            parent,
            expansion=self._settings.expansion,
            can_rewrite=self._can_rewrite,
            context=self._context,
            in_flight=list(self._plans.values()),
            random=random,
        )
        self._start(plan)
        return self._expanded(plan, self._known(plan), random)

    def _take_released(self, by: str | None = None) -> None:
        """A metric set that a person took after all comes into force.

        ``by``: the version by which the iteration was judged in an earlier go; then it is that set or none.
        """
        sets = (each.metric_set for each in self._journal.metric_sets() if each.standing is Standing.RELEASED)
        new = [each for each in sets if each.version not in self._released and by in (None, each.version)]
        if new:
            self._released |= {each.version for each in new}
            self._in_force = new[-1]

    def _start(self, plan: Plan) -> None:
        self._plans[plan.number] = plan
        self._tree.in_flight[plan.number] = plan.parent

    def _known(self, plan: Plan) -> _Known:
        return _Known(
            self._tree.fingerprints(),
            experience(self._tree, plan.parent),
            self._in_force,
            dict(self._observations),
            self._further_seeds(plan.number, plan.parent),
            self._panel(),
            self._spread if self._board.scale is None else self._board.scale.spread,
        )

    def _panel(self) -> tuple[PanelItem, ...]:
        """The anchor panel: the first workflow, the best, the lowest, and the farthest from the best in the tree.

        Where these are fewer than four, the next best are of it too.
        """
        if self._in_force is None or not self._tree.scores:
            return ()
        ranked = self._tree.scored
        way = set(self._tree.path(ranked[0]))
        farthest = max(ranked, key=lambda number: (len(way ^ set(self._tree.path(number))), -number))
        version = self._in_force.version
        seeds: defaultdict[int, list[str]] = defaultdict(list)
        for node, judged, seed in self._observations:
            if judged == version:
                seeds[node].append(seed)
        wanted = dict.fromkeys((0, ranked[0], ranked[-1], farthest, *ranked))
        there = [number for number in wanted if number in seeds][:PANEL_NODES]
        return tuple(PanelItem(self._tree.nodes[number], tuple(seeds[number][:PANEL_SEEDS])) for number in there)

    def _further_seeds(self, number: int, parent: int) -> tuple[SeedInput, ...]:
        """On which further seed inputs the iteration runs the workflow that it builds upon."""
        looked = len(self._looked[parent]) + sum(seeds for busy, seeds in self._again.values() if busy == parent)
        seeds = self._order[looked : parent_look(self._settings)]
        self._again[number] = (parent, len(seeds))
        return seeds

    async def _expanded(self, plan: Plan, known: _Known, random: Random) -> _Result:
        parent = self._tree.nodes[plan.parent]
        self._journal.put_node(
            Node(self._run_id, plan.number, plan.parent, NodeState.RUNNING, plan.form, plan.operator, plan.target)
        )
        found: list[_Result] = []
        further: list[Look] = []

        async def child() -> None:
            found.append(await self._child(plan, parent, known, random))

        async def again() -> None:
            further.extend(await self._look_again(parent, plan.number, known))

        await concurrently([child(), again()])
        return replace(found[0], looks=(*found[0].looks, *further))

    async def _look_again(self, parent: Node, number: int, known: _Known) -> list[Look]:
        """More samples of the workflow that is built upon, judged by the metrics in force."""
        if not known.seeds or known.in_force is None:
            return []
        workflow = Workflow(parent.source, parent.fingerprint)
        samples = await self._simulator.simulate(workflow, known.seeds, node=number)
        return [await self._evaluator.look(number, parent, samples, known.in_force)]

    async def _child(self, plan: Plan, parent: Node, known: _Known, random: Random) -> _Result:
        parent_samples = self._journal.samples(parent.fingerprint)
        try:
            child = await self._write(plan, parent, parent_samples, known, random)
        except TransientFailure as error:  # neither a loss nor a win of what was planned
            unwritten = Draft(None, PreflightResult(None, Gate.PROPOSAL, str(error)))
            return _Result(replace(_node(self._run_id, plan, unwritten, known.programs), state=NodeState.UNSCORED))
        node = _node(self._run_id, plan, child.draft, known.programs)
        if child.workflow is None:
            return _Result(node)
        samples = await self._simulator.simulate(child.workflow, self._first_look, node=plan.number)
        return await self._evaluated(node, child.workflow, samples, parent, parent_samples, known)

    async def _write(
        self,
        plan: Plan,
        parent: Node,
        parent_samples: Sequence[Sample],
        known: _Known,
        random: Random,
    ) -> _Child:
        """Draft a child until one passes every gate, the real sample included, or the repairs are used up."""
        metrics = self._journal.metric_set(parent.metric_version)
        rows = self._journal.score_rows(parent.fingerprint, parent.metric_version, self._evaluator.judge_name)
        weakness = await find_weakness(
            self._task,
            [row for row in rows if (parent.number, row.version, row.seed_id) in known.observed],
            parent_samples,
            metrics,
            self._evaluator.judge_model,
            Scope(self._run_id, "reason", plan.number),
            random,
        )
        scope = Scope(self._run_id, "propose", plan.number)
        conversation = self._expander.conversation(
            plan, parent.source, weakness, known.experience, known.programs, scope
        )
        while True:
            draft = await self._with_real_sample(plan.number, await conversation.draft())
            if draft.preflight.passed:
                return _Child(draft, draft.preflight.workflow)
            if draft.preflight.gate is Gate.DUPLICATE or conversation.repairs >= self._settings.repairs:
                return _Child(draft, None)
            conversation.object_to(draft)

    async def _with_real_sample(self, number: int, draft: Draft) -> Draft:
        """The last gate: one sample with the real generator, which counts as the child's first sample."""
        workflow = draft.preflight.workflow
        if not draft.preflight.passed or workflow is None:
            return draft
        sample = (await self._simulator.simulate(workflow, self._seeds[:1], node=number))[0]
        if sample.state is SampleState.WORKFLOW_FAILED:
            return Draft(draft.proposal, PreflightResult(workflow, Gate.REAL_SAMPLE, sample.reason))
        return draft

    async def _root(self) -> _Result:
        node = Node(
            self._run_id,
            0,
            None,
            NodeState.RUNNING,
            Form.ROOT,
            modification=self._first_proposal.modification,
            source=self._first.source,
            fingerprint=self._first.fingerprint,
        )
        self._journal.put_node(node)
        samples = await self._simulator.simulate(self._first, self._root_look, node=0)
        nothing = _Known({}, (), None, {}, (), (), self._spread)
        result = await self._evaluated(node, self._first, samples, None, (), nothing)
        if result.node.state is not NodeState.SCORED:
            raise FirstWorkflowFailed(
                f"The first workflow made nothing that could be judged: {result.node.reason.rstrip('.')}. "
                "Check the models in Settings, or change the task's description or first workflow, and resume."
            )
        assert result.metrics is not None
        await self._try_again(result.node, result.metrics)
        return result

    async def _try_again(self, node: Node, metrics: MetricSet) -> None:
        """The A/A stage: a second sample of the first workflow on each seed input, a second verdict on the first."""
        if not self._settings.measure_noise:
            return
        again = await self._simulator.simulate(self._first, self._root_look, node=0, replicate=1)
        await self._evaluator.look(0, node, again, metrics)
        firsts = [each for each in self._journal.samples(node.fingerprint) if each.replicate == 0]
        await self._evaluator.judge_again(firsts, metrics)
        noise = self._noise(node, metrics)
        if noise is not None:
            self._journal.event("noise", noise_in_words(noise, first_look(self._settings)), 0)

    def _noise(self, node: Node, metrics: MetricSet) -> Noise | None:
        samples = self._journal.samples(node.fingerprint)
        subjects = [sample.id for sample in samples]
        verdicts = self._journal.verdicts(subjects, metrics.version, self._evaluator.judge_name)
        return noise_from(samples, verdicts, metrics)

    async def _evaluated(
        self,
        node: Node,
        workflow: Workflow,
        samples: Sequence[Sample],
        parent: Node | None,
        parent_samples: Sequence[Sample],
        known: _Known,
    ) -> _Result:
        """Judge the samples; broken or unscored nodes cost no judge call."""
        if failing_share(samples, lambda state: state is SampleState.WORKFLOW_FAILED) > _FAILING_LIMIT:
            return _Result(replace(node, state=NodeState.BROKEN, gate=Gate.REAL_SAMPLE, reason=_first_reason(samples)))
        if failing_share(samples, lambda state: state is SampleState.OK) < 0.5:
            return _Result(replace(node, state=NodeState.UNSCORED, reason=_first_reason(samples)))
        refreshed = await self._refresher.refresh(
            node.number, samples, known.in_force, known.panel, known.observed, known.spread
        )
        metrics = refreshed.metrics
        alarm = metrics_alarm(refreshed.set_aside) if refreshed.set_aside else None
        looks: list[Look] = []

        async def judge_samples() -> None:
            looks.extend(await concurrently(self._looks(node, samples, parent, parent_samples, metrics, known)))

        await concurrently([judge_samples(), self._evaluator.judge_program(node.number, workflow)])
        if not self._evaluator.is_scored(node, looks[0], metrics):
            reason = "too few of its samples got a verdict that could be read"
            return _Result(replace(node, state=NodeState.UNSCORED, reason=reason), alarm=alarm)
        scored = replace(node, state=NodeState.SCORED, metric_version=metrics.version)
        refreshed_now = metrics != known.in_force
        return _Result(scored, (*looks, *refreshed.looks), metrics, refreshed=refreshed_now, alarm=alarm)

    def _looks(
        self,
        node: Node,
        samples: Sequence[Sample],
        parent: Node | None,
        parent_samples: Sequence[Sample],
        metrics: MetricSet,
        known: _Known,
    ) -> Iterator[Coroutine[None, None, Look]]:
        """The child's samples; and the parent's on the same seed inputs, where they have not been judged so."""
        yield self._evaluator.look(node.number, node, samples, metrics)
        if parent is not None:
            seeds = {sample.seed.id for sample in samples}
            shared = [
                sample
                for sample in parent_samples
                if sample.seed.id in seeds
                and sample.replicate == 0
                and (parent.number, metrics.version, sample.seed.id) not in known.observed
            ]
            if shared:
                yield self._evaluator.look(node.number, parent, shared, metrics)

    # --- committing -------------------------------------------------------------------------------------------

    def _restored(self, node: Node) -> _Result:
        """A node finished in an earlier go, with what its iteration looked at."""
        looks = tuple(self._stored_looks.get(node.number, ()))
        if node.state is not NodeState.SCORED:
            return _Result(node, looks, stored=True)
        metrics = self._journal.metric_set(node.metric_version)
        brought = {(each.iteration, each.metric_set.version) for each in self._journal.metric_sets()}
        refreshed = (node.number, metrics.version) in brought
        return _Result(node, looks, metrics, refreshed, stored=True)

    def _commit(self, result: _Result) -> bool:
        """Make a finished iteration part of the tree, in order. True when the search has converged with it."""
        node = self._take_in(result)
        self._score()
        if not result.stored:
            self._journal.put_outcome(node, result.looks, _told(node, self._tree.scores.get(node.number)))
        seen = self._new_alarms(node) if node.state is NodeState.SCORED else []
        if not result.stored:
            self._raise([*([result.alarm] if result.alarm else []), *seen], node.number)
        if node.state is not NodeState.SCORED:
            return False
        self._history.append(top(self._tree.scores))
        self._since_extended += node.number > self._settings.extended_after
        left = self._settings.iterations - node.number
        return left > 0 and self._since_extended >= self._settings.patience and self._has_converged(left)

    def _take_in(self, result: _Result) -> Node:
        """Make a finished iteration part of the tree, its scores apart. Returns its node as it stands in the tree."""
        node = result.node if result.stored else self._as_duplicate(result.node)
        if node.number == 0 and result.metrics is not None and self._settings.measure_noise:
            self._spread = spread_from(self._noise(node, result.metrics))
        self._plans.pop(node.number, None)
        self._again.pop(node.number, None)
        self._tree.add(node)
        for look in result.looks:
            self._looked[look.node].update(look.seeds)
            samples = self._journal.samples(self._tree.nodes[look.node].fingerprint)
            self._lengths[look.node] = text_lengths(self._task, samples)
        for each in self._evaluator.observations(result.looks, self._tree.nodes):
            self._observations[each.node, each.version, each.seed] = each
        if result.refreshed and node.state is NodeState.SCORED:
            self._in_force = result.metrics  # the others were judged by what was in force when they were planned
        return node

    def _new_alarms(self, node: Node) -> list[Alarm]:
        """Signs that the judge is being gamed, each once in a run."""
        metrics = self._journal.metric_set(node.metric_version)
        found = alarms(
            self._board,
            list(self._observations.values()),
            self._lengths,
            task=self._task,
            metrics=metrics,
            first=self._journal.metric_set(self._tree.nodes[0].metric_version),
            fitness=self._refresher.fitness_of(metrics),
        )
        new = [alarm for alarm in found if alarm.kind not in self._alarmed]
        self._alarmed |= {alarm.kind for alarm in new}
        return new

    def _raise(self, found: Sequence[Alarm], number: int) -> None:
        """Tell them. Raises AlarmRaised in a run that is to stop on one."""
        for alarm in found:
            self._journal.event(f"alarm {alarm.kind}", alarm.text, number)
        if found and self._settings.stop_on_drift:
            raise AlarmRaised("An alarm about the judge went off; see Criteria, then go on or start anew.")

    def _score(self) -> None:
        """Score the whole tree anew."""
        self._board = score_nodes(
            self._tree.nodes.values(),
            list(self._observations.values()),
            self._evaluator.program_scores(self._tree.nodes.values()),
            weight=self._settings.workflow_weight,
            scoring=self._settings.scoring,
            before=self._spread,
        )
        self._tree.scores = dict(self._board.scores)
        backpropagate(self._tree)

    def _has_converged(self, left: int) -> bool:
        assert self._board.scale is not None
        return converged(
            self._history,
            self._tree.scores,
            self._board.scale,
            self._settings.convergence,
            epsilon=self._settings.epsilon,
            patience=self._settings.patience,
            left=left,
            weight=self._settings.workflow_weight,
        )

    def _as_duplicate(self, node: Node) -> Node:
        """A sibling in flight may have written the same program first; its calls were shared and paid once."""
        twin = self._tree.fingerprints().get(node.fingerprint) if node.fingerprint else None
        if twin is None or twin == node.number or node.state is NodeState.DUPLICATE:
            return node
        reason = f"the same program as recipe {twin}, which was under way at the same time"
        return replace(node, state=NodeState.DUPLICATE, duplicate_of=twin, reason=reason, metric_version="")


async def _given(result: _Result) -> _Result:
    return result


def search_seeds(task: Task, settings: RunSettings) -> tuple[SeedInput, ...]:
    """The seed inputs of a full look: drawn once, the same for every workflow of a run."""
    return seed_order(task, settings)[: settings.seed_inputs]


def seed_order(task: Task, settings: RunSettings) -> tuple[SeedInput, ...]:
    """All search seed inputs in the order in which a run uses them; each workflow has been run on the first so many."""
    order = list(task.search_seeds)
    Random(f"{settings.seed}:seed inputs").shuffle(order)
    return tuple(order)


def _node(run_id: str, plan: Plan, draft: Draft, known: Mapping[str, int]) -> Node:
    """The node of a draft as it stands after the gates: RUNNING when it passed, else BROKEN or DUPLICATE."""
    proposal, check = draft.proposal, draft.preflight
    fingerprint = check.workflow.fingerprint if check.workflow is not None else ""
    state = NodeState.RUNNING if check.passed else NodeState.BROKEN
    if check.gate is Gate.DUPLICATE:
        state = NodeState.DUPLICATE
    return Node(
        run_id,
        plan.number,
        plan.parent,
        state,
        plan.form,
        plan.operator,
        plan.target,
        modification=proposal.modification if proposal else "",
        weakness=proposal.weakness if proposal else "",
        source=proposal.source if proposal else "",
        fingerprint=fingerprint,
        gate=check.gate,
        reason=check.reason,
        repairs=proposal.repairs if proposal else 0,
        duplicate_of=known.get(fingerprint) if state is NodeState.DUPLICATE else None,
    )


def _first_reason(samples: Sequence[Sample]) -> str:
    return next((sample.reason for sample in samples if sample.reason), "no reason was given")


def _told(node: Node, score: NodeScore | None) -> str:
    """One line for the feed."""
    who = f"Recipe {node.number}, from recipe {node.parent}"
    if node.number == 0 and score is not None:
        return f"The first recipe scores {score.reward.total:.2f} ({score.reward.low:.2f} to {score.reward.high:.2f})."
    if score is not None and score.against_parent is not None:
        return (
            f"{who}: {node.modification} Compared with its parent: "
            f"{in_words(score.against_parent)}; reward {score.reward.total:.2f}."
        )
    if node.state is NodeState.DUPLICATE:
        ran = "nothing was run" if node.gate is Gate.DUPLICATE else "both were under way at the same time"
        return f"{who}: the same program as recipe {node.duplicate_of}; {ran}."
    return f"{who}: did not work: {node.reason[:300]}"


def _race_told(result: RaceResult) -> str:
    (gain, low, high), sealed = result.gain, result.sealed
    alone = f"no other recipe was raced against recipe {result.winner}"
    best = f"recipe {result.winner} is the best of {len(result.contenders)} with {result.probability:.0%} probability"
    against = f"Against the first recipe: {gain:+.2f} ({low:+.2f} to {high:+.2f})."
    return (
        f"Raced on inputs that the search never saw: {best if len(result.contenders) > 1 else alone}. It scores "
        f"{sealed.total:.2f} there ({sealed.low:.2f} to {sealed.high:.2f}); the search had claimed "
        f"{result.claimed.total:.2f}. {against if result.winner else 'It is the first recipe.'}"
    )


async def _settled(tasks: Sequence[asyncio.Task[_Result]]) -> None:
    """Wait until the iterations in flight have ended: no new call starts, and those already paid for come in."""
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, AutoSynthError | asyncio.CancelledError):
            _log.error("an iteration failed while the search was ending", exc_info=outcome)
