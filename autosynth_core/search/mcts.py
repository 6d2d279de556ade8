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
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.errors import AutoSynthError, FirstWorkflowFailed, RunHalted, TransientFailure
from autosynth_core.records import (
    Form,
    Gate,
    MetricSet,
    Node,
    NodeState,
    PreflightResult,
    Proposal,
    Sample,
    SampleState,
    Scope,
    SeedInput,
    StopReason,
    Task,
    Workflow,
)
from autosynth_core.search.backpropagate import backpropagate
from autosynth_core.search.converge import TopMean, converged, top_mean
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.evidence import experience, find_weakness, in_words
from autosynth_core.search.expand import Draft, Expander, Plan, plan_expansion
from autosynth_core.search.journal import Journal
from autosynth_core.search.scores import NodeScore
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


@dataclass(frozen=True, slots=True)
class _Result:
    """A finished iteration, not yet part of the tree."""

    node: Node
    score: NodeScore | None
    metrics: MetricSet | None
    refreshed: bool = False  # whether its metric set came in with this iteration
    stored: bool = False


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
        self._journal = journal
        self._context = context
        self._can_rewrite = can_rewrite
        self._halt = halt
        self._select = strategy(settings.strategy, settings.top_k)
        self._tree = Tree()
        self._plans: dict[int, Plan] = {}
        self._in_force: MetricSet | None = None
        self._history: list[TopMean] = []
        self._since_extended = 0  # scored children since the run began or was last extended
        self._seeds: tuple[SeedInput, ...] = search_seeds(task, settings)

    async def run(self, stored: Mapping[int, Node]) -> Finished:
        """Search until converged or out of iterations.

        ``stored`` holds the finished nodes of an earlier go at this run by number; they are taken as they are.
        Raises FirstWorkflowFailed, and what stops a run: RunHalted, BudgetReached, EndpointError, LeaseLost. Then all
        iterations in flight have ended (``halt`` keeps them from starting new calls); what they paid for is in the log.
        """
        pending: deque[tuple[int, asyncio.Task[_Result]]] = deque()
        try:
            self._commit(await (self._restored(stored[0]) if 0 in stored else self._root()))
            for number in count(1):
                while pending and (len(pending) >= self._settings.workers or number > self._settings.iterations):
                    if self._commit(await pending.popleft()[1]):
                        await self._drain(pending)
                        all_tried = number > self._settings.iterations  # then there was nothing left to save
                        return Finished(StopReason.ITERATIONS if all_tried else StopReason.CONVERGED, self._tree)
                if number > self._settings.iterations:
                    return Finished(StopReason.ITERATIONS, self._tree)
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

    # --- one iteration ----------------------------------------------------------------------------------------

    def _iteration(self, number: int, stored: Node | None) -> Coroutine[None, None, _Result]:
        """Plan now, from what is committed now; the rest runs when the loop gets to it."""
        if stored is not None:
            assert stored.parent is not None
            self._start(Plan(number, stored.parent, stored.form, stored.operator, stored.target))
            return self._restored(stored)
        random = Random(f"{self._settings.seed}:{number}")
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
        lines = experience(self._tree, parent)
        return self._expanded(plan, self._tree.fingerprints(), lines, self._in_force, random)

    def _start(self, plan: Plan) -> None:
        self._plans[plan.number] = plan
        self._tree.in_flight[plan.number] = plan.parent

    async def _expanded(
        self, plan: Plan, known: Mapping[str, int], lines: Sequence[str], in_force: MetricSet | None, random: Random
    ) -> _Result:
        parent = self._tree.nodes[plan.parent]
        self._journal.put_node(
            Node(self._run_id, plan.number, plan.parent, NodeState.RUNNING, plan.form, plan.operator, plan.target)
        )
        parent_samples = self._journal.samples(parent.fingerprint)
        try:
            child = await self._write(plan, parent, parent_samples, known, lines, random)
        except TransientFailure as error:  # neither a loss nor a win of what was planned
            unwritten = Draft(None, PreflightResult(None, Gate.PROPOSAL, str(error)))
            return _Result(replace(_node(self._run_id, plan, unwritten, known), state=NodeState.UNSCORED), None, None)
        node = _node(self._run_id, plan, child.draft, known)
        if child.workflow is None:
            return _Result(node, None, None)
        samples = await self._simulator.simulate(child.workflow, self._seeds, node=plan.number)
        return await self._evaluated(node, child.workflow, samples, parent, parent_samples, in_force)

    async def _write(
        self,
        plan: Plan,
        parent: Node,
        parent_samples: Sequence[Sample],
        known: Mapping[str, int],
        lines: Sequence[str],
        random: Random,
    ) -> _Child:
        """Draft a child until one passes every gate, the real sample included, or the repairs are used up."""
        metrics = self._journal.metric_set(parent.metric_version)
        weakness = await find_weakness(
            self._task,
            self._journal.score_rows(parent.fingerprint, parent.metric_version, self._evaluator.judge_name),
            parent_samples,
            metrics,
            self._evaluator.judge_model,
            Scope(self._run_id, "reason", plan.number),
            random,
        )
        scope = Scope(self._run_id, "propose", plan.number)
        conversation = self._expander.conversation(plan, parent.source, weakness, lines, known, scope)
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
        samples = await self._simulator.simulate(self._first, self._seeds, node=0)
        result = await self._evaluated(node, self._first, samples, None, (), None)
        if result.score is None:
            raise FirstWorkflowFailed(
                f"The first workflow made nothing that could be judged: {result.node.reason} "
                "Check the models in Settings, or change the task's description or first workflow, and resume."
            )
        return result

    async def _evaluated(
        self,
        node: Node,
        workflow: Workflow,
        samples: Sequence[Sample],
        parent: Node | None,
        parent_samples: Sequence[Sample],
        in_force: MetricSet | None,
    ) -> _Result:
        """Judge the samples; broken or unscored nodes cost no judge call."""
        if failing_share(samples, lambda state: state is SampleState.WORKFLOW_FAILED) > _FAILING_LIMIT:
            return _Result(
                replace(node, state=NodeState.BROKEN, gate=Gate.REAL_SAMPLE, reason=_first_reason(samples)), None, None
            )
        if failing_share(samples, lambda state: state is SampleState.OK) < 0.5:
            return _Result(replace(node, state=NodeState.UNSCORED, reason=_first_reason(samples)), None, None)
        metrics = await self._evaluator.refresh_metrics(node.number, samples, in_force)
        seeds = {seed.id for seed in self._seeds}
        shared = [sample for sample in parent_samples if sample.seed.id in seeds]
        await self._evaluator.judge(node.number, workflow, samples, shared, metrics)
        parent_score = self._tree.scores[parent.number] if parent is not None else None
        score = self._evaluator.score(node.number, workflow.fingerprint, parent, parent_score, metrics)
        if score is None:
            reason = "too few of its samples got a verdict that could be read"
            return _Result(replace(node, state=NodeState.UNSCORED, reason=reason), None, None)
        scored = replace(node, state=NodeState.SCORED, metric_version=metrics.version)
        return _Result(scored, score, metrics, refreshed=metrics != in_force)

    # --- committing -------------------------------------------------------------------------------------------

    async def _restored(self, node: Node) -> _Result:
        """A node finished in an earlier go, with its score computed again from its verdicts."""
        if node.state is not NodeState.SCORED:
            return _Result(node, None, None, stored=True)
        metrics = self._journal.metric_set(node.metric_version)
        refreshed = self._journal.brought_metrics(node.number, metrics.version)
        return _Result(node, None, metrics, refreshed=refreshed, stored=True)

    def _commit(self, result: _Result) -> bool:
        """Make a finished iteration part of the tree, in order. True when the search has converged with it."""
        node = result.node if result.stored else self._as_duplicate(result.node)
        score = result.score
        if node.state is NodeState.SCORED and result.stored:
            assert result.metrics is not None
            parent = None if node.parent is None else self._tree.nodes[node.parent]
            parent_score = None if node.parent is None else self._tree.scores[node.parent]
            score = self._evaluator.score(node.number, node.fingerprint, parent, parent_score, result.metrics)
        if not result.stored:
            self._journal.put_outcome(node, _told(node, score))
        self._plans.pop(node.number, None)
        self._tree.add(node, score)
        if node.state is not NodeState.SCORED or score is None:
            return False
        if result.refreshed:  # the others were judged by what was in force when they were planned
            self._in_force = result.metrics
        backpropagate(self._tree, node.number)
        self._history.append(top_mean([self._tree.scores[number] for number in self._tree.scored]))
        self._since_extended += node.number > self._settings.extended_after
        return self._since_extended >= self._settings.patience and converged(
            self._history,
            epsilon=self._settings.epsilon,
            patience=self._settings.patience,
            weight=self._settings.workflow_weight,
        )

    def _as_duplicate(self, node: Node) -> Node:
        """A sibling in flight may have written the same program first; its calls were shared and paid once."""
        twin = self._tree.fingerprints().get(node.fingerprint) if node.fingerprint else None
        if twin is None or twin == node.number or node.state is NodeState.DUPLICATE:
            return node
        reason = f"the same program as recipe {twin}, which was under way at the same time"
        return replace(node, state=NodeState.DUPLICATE, duplicate_of=twin, reason=reason, metric_version="")


def search_seeds(task: Task, settings: RunSettings) -> tuple[SeedInput, ...]:
    """The seed inputs that every workflow of a run is simulated on: drawn once, the same for all."""
    order = list(task.search_seeds)
    Random(f"{settings.seed}:seed inputs").shuffle(order)
    return tuple(order[: settings.seed_inputs])


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
    return f"{who}: {node.state.value} ({node.gate or 'samples'}): {node.reason[:300]}"


async def _settled(tasks: Sequence[asyncio.Task[_Result]]) -> None:
    """Wait until the iterations in flight have ended: no new call starts, and those already paid for come in."""
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, AutoSynthError | asyncio.CancelledError):
            _log.error("an iteration failed while the search was ending", exc_info=outcome)
