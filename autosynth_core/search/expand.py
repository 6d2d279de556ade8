"""Expansion: write a child of the selected workflow.

Two forms end in the same thing, code. A *rewrite* asks the optimizer for a whole new module, as the paper does. An
*edit* picks a typed operator and asks the optimizer for its words only; the program is composed around them. What is
chosen is planned at selection time from committed results, so that it does not depend on how fast models answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, pstdev
from typing import NamedTuple

from autosynth_core.config import Expansion, SampleLimits
from autosynth_core.errors import AnswerError, TransientFailure
from autosynth_core.llm import Model
from autosynth_core.prompts import data_block, render
from autosynth_core.records import Form, Gate, NodeState, PreflightResult, Proposal, Scope, Task
from autosynth_core.search.evidence import Weakness
from autosynth_core.search.scores import NodeScore
from autosynth_core.search.tree import Tree
from autosynth_core.workflow import Sandbox, contract_text, preflight
from autosynth_core.workflow.edits import OPERATORS, EditContext

__all__ = ["Draft", "Expander", "Plan", "parse_rewrite", "plan_expansion", "rewrite_share"]

_REWRITE_TOKENS = 3000
_WORDS_TOKENS = 700
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
# Within one line: runs that cross lines take quadratic time on an answer of nothing but line breaks.
_CHANGE = re.compile(r"^[^\w\n]*CHANGE[^\w\n]*?:[ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE)
_LONGEST_CHANGE = 500  # characters
_EXPLORE = 0.7


@dataclass(frozen=True, slots=True)
class Plan:
    """What one iteration is going to try: decided when its parent is selected."""

    number: int
    parent: int
    form: Form
    operator: str = ""
    target: str = ""


class Draft(NamedTuple):
    """A proposal and what preflight found. ``proposal`` is None when the optimizer gave nothing usable."""

    proposal: Proposal | None
    preflight: PreflightResult


# --- planning -----------------------------------------------------------------------------------------------------


def plan_expansion(
    tree: Tree,
    number: int,
    parent: int,
    *,
    expansion: Expansion,
    can_rewrite: bool | None,
    context: EditContext,
    in_flight: Sequence[Plan],
    random: Random,
) -> Plan:
    """The form, operator and target of the next expansion of ``parent``."""
    share = {Expansion.REWRITE: 1.0, Expansion.EDITS: 0.0}.get(expansion, rewrite_share(tree, can_rewrite))
    if random.random() < share:
        return Plan(number, parent, Form.REWRITE)
    source = tree.nodes[parent].source
    if source not in tree.options:  # some ten milliseconds of parsing, in which no answer is read
        tree.options[source] = list(_options(source, context))
    options = tree.options[source]
    if not options:
        return Plan(number, parent, Form.REWRITE)
    fresh = _untried(options, tree, parent, in_flight) or options
    value = _operator_values(tree, in_flight)
    names = sorted({operator for operator, _ in fresh})
    operator = max(names, key=lambda name: (value.get(name, math.inf), random.random()))
    target = random.choice([target for name, target in fresh if name == operator])
    return Plan(number, parent, Form.EDIT, operator, target)


def rewrite_share(tree: Tree, can_rewrite: bool | None) -> float:
    """The probability (0..0.5) of a rewrite under ``auto``: how far its pass rate lies above one half.

    The pass rate is the mean of a Beta posterior: prior (4, 1) for a model whose probe rewrote a program correctly,
    (2, 1) for one not tried. A model that failed the probe is never asked to rewrite. What the endpoint kept from
    being written counts as neither.
    """
    if can_rewrite is False:
        return 0.0
    prior = 4.0 if can_rewrite else 2.0
    rewrites = [node for node in tree.nodes.values() if node.form is Form.REWRITE]
    tried = [node for node in rewrites if node.source or node.state is not NodeState.UNSCORED]
    passed = sum(node.state is not NodeState.BROKEN for node in tried)
    return max(0.0, (prior + passed) / (prior + 1 + len(tried)) - 0.5)


def _options(source: str, context: EditContext) -> Iterator[tuple[str, str]]:
    for name, operator in OPERATORS.items():
        for target in operator.targets(source, context):
            yield name, target


def _untried(
    options: Sequence[tuple[str, str]], tree: Tree, parent: int, in_flight: Sequence[Plan]
) -> list[tuple[str, str]]:
    tried = {(tree.nodes[child].operator, tree.nodes[child].target) for child in tree.children.get(parent, [])}
    tried |= {(plan.operator, plan.target) for plan in in_flight if plan.parent == parent}
    return [option for option in options if option not in tried]


def _operator_values(tree: Tree, in_flight: Sequence[Plan]) -> dict[str, float]:
    """An upper confidence value for each operator tried so far, in score points; untried ones are absent.

    ``mean gain + 0.7 s sqrt(ln(1 + N) / n)``: s is the spread of all gains, a broken child counts as a loss of s;
    expansions in flight, and children that an endpoint's failure left unscored, count as tried with no gain.
    Operators are spread by these statistics, not by a model's taste.
    """
    gains: dict[str, list[float]] = {}
    gain_of = {number: gain for number, score in tree.scores.items() if (gain := _gain(score)) is not None}
    measured = list(gain_of.values())
    spread = max(pstdev(measured) if len(measured) > 1 else 0.0, 0.1)
    for node in tree.nodes.values():
        if node.form is Form.EDIT:
            without = 0.0 if node.state is NodeState.UNSCORED else -spread
            gains.setdefault(node.operator, []).append(gain_of.get(node.number, without))
    for plan in in_flight:
        if plan.form is Form.EDIT:
            gains.setdefault(plan.operator, []).append(0.0)
    total = sum(len(each) for each in gains.values())
    return {
        name: fmean(each) + _EXPLORE * spread * math.sqrt(math.log(1 + total) / len(each))
        for name, each in gains.items()
    }


def _gain(score: NodeScore) -> float | None:
    return score.against_parent.mean if score.against_parent is not None else None


# --- writing ------------------------------------------------------------------------------------------------------


class Expander:
    """Writes children for one run with the optimizer model, each checked by preflight."""

    def __init__(self, *, task: Task, optimizer: Model, sandbox: Sandbox, context: EditContext, draw: str) -> None:
        self._task = task
        self._optimizer = optimizer
        self._sandbox = sandbox
        self._context = context
        self._draw = draw

    def conversation(
        self,
        plan: Plan,
        source: str,
        weakness: Weakness,
        experience: Sequence[str],
        known: Mapping[str, int],
        scope: Scope,
    ) -> Conversation:
        """A conversation that drafts one child: ask, then ask again with the error for as long as the caller wants."""
        if plan.form is Form.REWRITE:
            opening = rewrite_prompt(self._task, source, weakness, experience)
            return Rewrite(
                self._task,
                self._optimizer,
                self._sandbox,
                opening,
                weakness.text,
                known,
                scope,
                self._draw_for(plan),
                self._context.limits,
            )
        return EditWords(
            self._task,
            self._optimizer,
            self._sandbox,
            self._context,
            plan,
            source,
            weakness,
            known,
            scope,
            self._draw_for(plan),
        )

    def _draw_for(self, plan: Plan) -> str:
        return f"{self._draw}:{plan.number}"


class Conversation:
    """Drafts one child by asking, and by asking again with the error. Subclasses say how."""

    def __init__(
        self,
        task: Task,
        optimizer: Model,
        sandbox: Sandbox,
        known: Mapping[str, int],
        scope: Scope,
        draw: str,
        limits: SampleLimits | None,
    ) -> None:
        self._task = task
        self._optimizer = optimizer
        self._sandbox = sandbox
        self._known = known
        self._scope = scope
        self._draw = draw
        self._limits = limits
        self.repairs = 0
        self._messages: list[tuple[str, str]] = [("system", render("search_system"))]

    async def draft(self) -> Draft:
        """The first draft, or the next one after ``object_to``.

        Raises TransientFailure where the endpoint gave no answer, which says nothing of the model, and EndpointError.
        """
        raise NotImplementedError

    async def until_passed(self, attempts: int) -> Draft:
        """The first of up to ``attempts`` (>= 1) drafts that passes preflight, else the last one with its reason."""
        draft = await self.draft()
        for _ in range(attempts - 1):
            if draft.preflight.passed:
                break
            self.object_to(draft)
            draft = await self.draft()
        return draft

    def object_to(self, draft: Draft) -> None:
        """Send a draft back with what is wrong with it."""
        self.repairs += 1
        gate, reason = draft.preflight.gate, draft.preflight.reason
        name = "search_unusable" if gate in (None, Gate.PROPOSAL) else self._repair_prompt
        values = {"reason": reason} if name == "search_unusable" else {"gate": gate, "reason": reason}
        self._messages.append(("user", render(name, **values)))

    _repair_prompt = "search_repair"

    async def _checked(self, proposal: Proposal) -> Draft:
        check = await preflight(proposal.source, self._task, self._sandbox, self._known, limits=self._limits)
        return Draft(proposal, check)

    @property
    def _turn_draw(self) -> str:
        return f"{self._draw}:{self.repairs}"


class Rewrite(Conversation):
    """Asks for the whole module."""

    def __init__(
        self,
        task: Task,
        optimizer: Model,
        sandbox: Sandbox,
        opening: str,
        weakness: str,
        known: Mapping[str, int],
        scope: Scope,
        draw: str,
        limits: SampleLimits | None = None,
    ) -> None:
        super().__init__(task, optimizer, sandbox, known, scope, draw, limits)
        self._weakness = weakness
        self._messages.append(("user", opening))

    async def draft(self) -> Draft:
        try:
            answer = await self._optimizer.text(
                self._messages, scope=self._scope, temperature=0.7, max_tokens=_REWRITE_TOKENS, draw=self._turn_draw
            )
        except TransientFailure:
            raise
        except AnswerError as error:
            return _no_proposal(str(error))
        self._messages.append(("assistant", answer))
        modification, source = parse_rewrite(answer)
        if not source:
            return _no_proposal("there is no program in it; give the whole program in one ```python block")
        return await self._checked(Proposal(Form.REWRITE, "", "", modification, self._weakness, source, self.repairs))


class EditWords(Conversation):
    """Asks for an operator's words and composes the program around them."""

    def __init__(
        self,
        task: Task,
        optimizer: Model,
        sandbox: Sandbox,
        context: EditContext,
        plan: Plan,
        source: str,
        weakness: Weakness,
        known: Mapping[str, int],
        scope: Scope,
        draw: str,
    ) -> None:
        super().__init__(task, optimizer, sandbox, known, scope, draw, context.limits)
        self._plan, self._source, self._weakness = plan, source, weakness
        self._context = replace(context, random=Random(draw))  # of its own: iterations run side by side
        self._operator = OPERATORS[plan.operator]
        self._question = self._operator.question(source, plan.target, context, weakness.text)
        if self._question is not None:
            self._messages.append(("user", self._question.prompt))

    _repair_prompt = "search_unusable"

    async def draft(self) -> Draft:
        try:
            words = await self._words()
            edit = self._operator.compose(self._source, self._plan.target, words, self._context)
        except TransientFailure:
            raise
        except (AnswerError, ValueError) as error:
            return _no_proposal(str(error))
        return await self._checked(
            Proposal(
                Form.EDIT,
                self._plan.operator,
                self._plan.target,
                edit.modification,
                self._weakness.text,
                edit.source,
                self.repairs,
            )
        )

    async def _words(self) -> dict[str, str]:
        if self._question is None:
            return {}
        words = await self._optimizer.json(
            self._messages,
            schema=dict(self._question.schema),
            scope=self._scope,
            temperature=0.8,
            max_tokens=_WORDS_TOKENS,
            draw=self._turn_draw,
        )
        return {str(key): str(value) for key, value in words.items()}


def rewrite_prompt(task: Task, source: str, weakness: Weakness, experience: Sequence[str]) -> str:
    """What the optimizer is asked in the rewrite form."""
    return render(
        "search_rewrite",
        contract=contract_text(task),
        source=source,
        weakness=data_block("weakness", weakness.text),
        sample=data_block("a sample that shows it", weakness.sample) if weakness.sample else "",
        experience=data_block("tried so far", "\n".join(f"- {line}" for line in experience) or "- nothing yet"),
    )


def parse_rewrite(answer: str) -> tuple[str, str]:
    """(what is changed, the program) from an answer; the program is "" where there is none.

    The longest fenced block is the program; an answer without fences that contains ``def generate`` is taken whole.
    What is changed is one line without control characters: it goes to terminals, pages and further prompts.
    """
    blocks = _FENCE.findall(answer)
    source = max(blocks, key=len) if blocks else answer if "def generate" in answer else ""
    change = _CHANGE.search(answer)
    modification = _one_line(change.group(1)) if change else ""
    return modification or "A rewritten workflow.", source.strip() + "\n" if source.strip() else ""


def _one_line(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 8 * _LONGEST_CHANGE])
    return " ".join(shown.split())[:_LONGEST_CHANGE]


def _no_proposal(reason: str) -> Draft:
    return Draft(None, PreflightResult(None, Gate.PROPOSAL, reason))
