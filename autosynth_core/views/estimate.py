"""What a search, or a race at its end, will ask of the models, before it is started.

Owns the arithmetic of an upper estimate of model calls, tokens and time, and the sentence that says what is counted.
Pure; the figures of a run that has begun come from its own pace (``runs.header``), and what a token costs is
``llm.prices``'.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autosynth_core.config import RunSettings
from autosynth_core.judging import WORKFLOW_METRICS, known_outputs, rule_to_break, starting_metrics
from autosynth_core.llm import PriceTable
from autosynth_core.records import Task
from autosynth_core.search import at_the_end, most_samples, on_demand
from autosynth_core.search.allocate import first_look, parent_look
from autosynth_core.search.chance import repeated_seeds
from autosynth_core.search.refresh import PANEL_NODES, PANEL_SEEDS
from autosynth_core.views import words

__all__ = ["Estimate", "RaceCost", "Tokens", "estimate", "race_cost"]

_PARENTS = 3  # the best few are built on: so many parents a renewal of the criteria are judged again
_PANEL = PANEL_NODES * PANEL_SEEDS  # earlier samples judged by new criteria, at most
_SLOTS = 2.0  # gain of the embedded model's slots on two cores


class _Pace(NamedTuple):
    """Seconds of the embedded model on two cores: an answer, a verdict. Fitted to docs/embedded-run.md."""

    answer: float
    verdict: float


_QUIET, _BUSY = _Pace(40.0, 4.0), _Pace(92.0, 10.0)


class Tokens(NamedTuple):
    """Tokens of one role's calls."""

    prompt: int
    completion: int

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)


# Of one call, rounded up from searches on the examples; a long task or long samples take more.
_PROPOSAL, _SAMPLE, _VERDICT, _METRICS = Tokens(2500, 900), Tokens(500, 400), Tokens(900, 2), Tokens(2000, 500)
_REASON = Tokens(1200, 100)


class _Plan(NamedTuple):
    """The samples of a search, part by part."""

    recipes: int  # the first included
    first: int  # inputs that each recipe but the first is run on
    further: int  # more inputs that a recipe is run on once it is built upon, and all of these
    all_further: int
    start: int  # inputs of the first recipe
    repeated: int  # of these, run again, and the first sample judged again
    renewed: int  # times that the criteria are
    parents: int  # samples of parents judged by new criteria
    panel: int  # and of earlier recipes
    known: int  # outputs of known worth that the judge is tried on
    known_sets: int  # by so many sets of criteria as proposed
    breach: int  # calls for words that break a rule
    known_plain: int  # criteria of a further set, made from the task's words, which an unfit judge is tried by
    contenders: int
    race: int  # samples made and judged

    @property
    def made(self) -> int:
        """Samples."""
        return self.start + self.repeated + (self.recipes - 1) * self.first + self.all_further + self.race

    @property
    def judged_in_search(self) -> int:
        """Samples judged by whatever criteria, one judged twice counted twice."""
        return self.made - self.race + self.repeated + self.parents + self.panel


class Estimate(NamedTuple):
    """A whole search: model calls, tokens by role, and seconds of the embedded model on a quiet and on a busy computer.

    ``seconds`` is None for an endpoint, whose speed is not known. ``basis`` says in a sentence what is counted.
    """

    samples: int  # written
    calls: int
    optimizer: Tokens
    evaluator: Tokens
    generator: Tokens
    second_judge: Tokens  # none where the evaluator judges the race too
    seconds: tuple[float, float] | None
    basis: str

    @property
    def tokens(self) -> int:
        return sum(map(sum, (self.optimizer, self.evaluator, self.generator, self.second_judge)))

    def usd(
        self, prices: PriceTable, *, optimizer: str, evaluator: str, generator: str, second_judge: str = ""
    ) -> float | None:
        """US dollars with these models; None where the price of one is not known."""
        named = [(optimizer, self.optimizer), (evaluator, self.evaluator), (generator, self.generator)]
        if any(self.second_judge):
            named.append((second_judge, self.second_judge))
        costs = [prices.cost(name, *tokens) for name, tokens in named]
        return None if None in costs else math.fsum(cost for cost in costs if cost is not None)


def estimate(
    settings: RunSettings, task: Task, *, stages: int, logprobs: bool, embedded: bool, anchors: int = 0
) -> Estimate:
    """The calls of a search on this task that uses all its iterations, every workflow having ``stages`` model calls.

    ``task`` is that of the run's brief, ``anchors`` the educator's approved criteria; ``stages`` is at least 1. Counted
    is what the search does at most: what duplicates, broken recipes, answers in the log and early convergence save is
    not taken off. Repairs and the few calls that try out a model are left out.
    """
    plan = _plan(settings, task)
    draws = 1 if logprobs else settings.verdict_draws
    metrics = _metrics(settings, anchors)
    written = plan.made * max(1, stages)
    on_known = plan.known * (plan.known_sets * metrics + plan.known_plain)
    verdicts = draws * (plan.judged_in_search * metrics + on_known + plan.recipes * len(WORKFLOW_METRICS.metrics))
    raced = draws * plan.race * metrics
    proposed, reasons = (1 + plan.renewed) * settings.metric_candidates, settings.iterations
    answers = plan.recipes + written + proposed + reasons + plan.breach
    second = bool(settings.models.second_judge)
    evaluator = _times(_VERDICT, verdicts).plus(_times(_METRICS, proposed)).plus(_times(_REASON, reasons))
    by_race = _times(_VERDICT, raced)
    return Estimate(
        plan.made,
        answers + verdicts + raced,
        _times(_PROPOSAL, plan.recipes),
        evaluator if second else evaluator.plus(by_race),
        _times(_SAMPLE, written),
        by_race if second else Tokens(0, 0),
        (_seconds(_QUIET, answers, verdicts + raced), _seconds(_BUSY, answers, verdicts + raced)) if embedded else None,
        _basis(plan),
    )


def _plan(settings: RunSettings, task: Task) -> _Plan:
    """The most samples that each part of the search takes; the race gets what is left of a full look at each recipe."""
    recipes, inputs = settings.iterations + 1, min(settings.seed_inputs, len(task.search_seeds))
    seeds = task.search_seeds[:inputs]
    start = len(repeated_seeds(seeds, settings)) if settings.measure_noise else inputs
    first = min(first_look(settings), inputs)
    whole = min(parent_look(settings), len(task.search_seeds))
    further = whole - first
    all_further = settings.iterations * further + max(0, whole - start)  # when each is built upon in its turn
    renewed = (settings.iterations - 1) // settings.metric_refresh if settings.metric_refresh else 0
    parents = first * min(settings.iterations, _PARENTS * renewed)
    known = len(known_outputs(task, rule_to_break(task))) if settings.check_fitness else 0
    repeated = start if settings.measure_noise else 0
    # What is left when the criteria are never renewed, which would cost verdicts alone.
    spent = start + settings.iterations * first + all_further + 2 * repeated + known
    left = recipes * settings.seed_inputs - spent
    contenders, sealed = min(settings.race_contenders, recipes), len(task.sealed_seeds)
    return _Plan(
        recipes,
        first,
        further,
        all_further,
        start,
        repeated,
        renewed,
        parents,
        renewed * _PANEL,
        known,
        1 + renewed if known else 0,
        int(known > 0 and bool(rule_to_break(task))),
        min(settings.metric_count, len(starting_metrics(task).metrics)) if known else 0,
        contenders,
        most_samples(contenders, sealed, at_the_end(sealed, left)),
    )


class RaceCost(NamedTuple):
    """A race on demand, at most. What its recipes wrote and were given on these inputs before costs nothing again."""

    contenders: int
    inputs: int  # that were kept aside
    samples: int
    calls: int

    @property
    def in_words(self) -> str:
        """What it costs and what that rests on."""
        best = "the best recipe" if self.contenders == 1 else f"the best {self.contenders} recipes"
        return (
            f"A race takes at most {words.count(self.samples, 'sample')}, written and judged: about "
            f"{words.count(self.calls, 'model call')}. That is {best} and the first one on "
            f"{words.count(self.inputs, 'input')} kept aside; whoever falls behind is out early, "
            "the leaders write several samples on an input, and what was written there before costs nothing again."
        )


def race_cost(
    settings: RunSettings, *, scored: int, sealed: int, stages: int, metrics: int, logprobs: bool
) -> RaceCost | None:
    """Of a race of the best among ``scored`` recipes, whose programs have at most ``stages`` model calls, by so many
    ``metrics``; None where too few inputs were kept aside, or there is nothing to race."""
    contenders = min(settings.race_contenders or RunSettings().race_contenders, scored)
    samples = most_samples(contenders, sealed, on_demand(contenders, sealed))
    if not samples:
        return None
    draws = 1 if logprobs else settings.verdict_draws
    return RaceCost(contenders, sealed, samples, samples * (max(1, stages) + draws * metrics))


def _metrics(settings: RunSettings, anchors: int) -> int:
    """Criteria by which a sample is judged, the educator's among them."""
    if not anchors or settings.anchor_share <= 0:
        return settings.metric_count
    return anchors if settings.anchor_share >= 1 else anchors + settings.metric_count


def _basis(plan: _Plan) -> str:
    looked = f"every recipe on {words.count(plan.first, 'input')}"
    if plan.all_further:
        looked += f", one that is built upon on {plan.further} more"
    parts = [looked]
    if plan.repeated:
        parts.append("the first recipe twice, to learn how much is chance")
    if plan.known:
        parts.append(f"{words.count(plan.known, 'known sample')}, to try the judge")
    if plan.renewed:
        parts.append("earlier samples judged again by new criteria")
    if plan.race:
        parts.append("a race of the best at the end")
    return f"Counted: {'; '.join(parts)}. Not counted: mending recipes that don't work at first."


def _times(tokens: Tokens, calls: int) -> Tokens:
    return Tokens(tokens.prompt * calls, tokens.completion * calls)


def _seconds(pace: _Pace, answers: int, verdicts: int) -> float:
    return (answers * pace.answer + verdicts * pace.verdict) / _SLOTS
