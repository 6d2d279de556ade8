"""The simulated models: optimizer, generator and judge behind the interface of the engine's client.

Owns how a request is recognised and answered. An answer is a function of the world, the request and its draw, never of
the order of calls, so that a run can be repeated. What a genome is worth is ``landscape``'s, what the judge makes of it
``judge``'s.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from autosynth_core.engine.models import Models
from autosynth_core.llm import Budget, Client, Endpoint, Model
from autosynth_core.records import Answer, Capabilities, ChatRequest, Scope, TokenChoice
from benchmarks.simulated.draws import generator, number, word
from benchmarks.simulated.judge import Judge, Rubric, write_rubric
from benchmarks.simulated.landscape import Landscape
from benchmarks.simulated.task import known_quality
from benchmarks.simulated.texts import (
    broken,
    genome_in,
    program,
    program_in,
    read_sample,
    topic_in,
    write_sample,
)

__all__ = ["SimulatedClient", "World", "simulated_models"]

_JUDGES = "strict judge of teaching material"
_SECONDS: Mapping[str, float] = {
    "digit": 0.5,
    "program": 12.0,
    "metrics": 6.0,
    "reason": 2.0,
    "breach": 2.0,
    "sample": 4.0,
}
_WORKFLOW_SCORE = 3.0  # of every program, 1..5


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is true in one repeat. Rates are shares (0..1) of the children; together at most 1."""

    landscape: Landscape
    judge: Judge
    broken: float = 0.0
    duplicate: float = 0.0
    unchanged: float = 0.0  # another wording of the same genome
    poisoned: frozenset[int] = field(default_factory=frozenset)  # iterations whose metric set looks at something else
    logprobs: bool = True
    seed: int = 0

    def quality(self, genome: str) -> float:
        """The true quality, also of the known examples; what is no genome of this landscape is worth 0.1."""
        given = known_quality(genome)
        if given is not None:
            return given
        try:
            return self.landscape.quality(genome)
        except (KeyError, ValueError):
            return 0.1

    @property
    def first_program(self) -> str:
        return program(self.landscape.first, "first")


class SimulatedClient:
    """``llm.Client`` as far as the engine's models need it. Counts each distinct request once, as the log would.

    With ``pace`` above 0 an answer takes that many times its model's usual time, varied by half either way.
    """

    def __init__(self, world: World, *, pace: float = 0.0, most_in_flight: int = 64) -> None:
        self.world = world
        self.endpoint = Endpoint("http://127.0.0.1/simulated", "none")
        self.budget = Budget()
        self.calls: Counter[str] = Counter()  # by purpose
        self.digits: Counter[str] = Counter()  # those of them that are one verdict's digit
        self.proposed: set[int] = set()  # iterations at which metrics were asked for
        self.in_flight = 0
        self._pace = pace
        self._seen: set[str] = set()
        self._slots = asyncio.Semaphore(most_in_flight)

    async def complete(self, request: ChatRequest, scope: Scope) -> Answer:
        kind = _kind(request)
        if request.key not in self._seen:
            self._seen.add(request.key)
            self.calls[scope.purpose] += 1
            self.digits[scope.purpose] += kind == "digit"
            await self._pass_time(kind, request)
        text, first = self._answer(kind, request, scope)
        return Answer(request.key, request.model, text, "stop", 0, 0, 0.0, 0, first)

    async def _pass_time(self, kind: str, request: ChatRequest) -> None:
        if self._pace > 0:
            async with self._slots:
                await asyncio.sleep(self._pace * _SECONDS[kind] * (0.5 + number("seconds", request.key)))

    def _answer(self, kind: str, request: ChatRequest, scope: Scope) -> tuple[str, TokenChoice | None]:
        prompt = _opening(request)
        match kind:
            case "digit":
                return self._digit(request, self._score(prompt, request))
            case "program":
                return self._child(prompt, request), None
            case "metrics":
                return self._metrics(request, scope), None
            case "breach":
                return json.dumps({"sentences": "And the answer is a secret."}), None
            case "reason":
                return json.dumps({"reason": "It is plainer than it could be."}), None
            case _:
                return self._sample(prompt, request), None

    # --- the judge ------------------------------------------------------------------------------------------------

    def _score(self, prompt: str, request: ChatRequest) -> float:
        """1..5"""
        text = _block(prompt, "sample")
        if not text:
            return _WORKFLOW_SCORE
        text = text.removeprefix("Text:\n")  # the field's heading
        given, criterion = _block(prompt, "input"), _block(prompt, "criterion")
        topic = given.removeprefix("Topic: ")
        seen = read_sample(text, topic)
        return 1 + 4 * self.world.judge.reward(seen, text, topic, criterion, request.model, self.world.quality)

    def _digit(self, request: ChatRequest, score: float) -> tuple[str, TokenChoice | None]:
        low = min(4, math.floor(score))
        share = score - low
        if request.top_logprobs:
            pairs = [(str(low + 1), share), (str(low), 1 - share)]
            choice = TokenChoice(tuple((digit, math.log(part)) for digit, part in pairs if part > 0))
            return max(pairs, key=lambda pair: pair[1])[0], choice
        return str(low + (number(self.world.seed, "digit", request.key) < share)), None

    def _metrics(self, request: ChatRequest, scope: Scope) -> str:
        iteration = scope.node or 0
        self.proposed.add(iteration)
        rubric = Rubric(iteration, iteration in self.world.poisoned)
        count = json.loads(request.schema)["properties"]["metrics"]["minItems"]
        return json.dumps({"metrics": [_metric(rubric, index) for index in range(count)]})

    # --- the optimizer and the generator --------------------------------------------------------------------------

    def _child(self, prompt: str, request: ChatRequest) -> str:
        """A child of the program in the prompt. Sent back, it is the same again: what is broken stays broken.

        Drawn for the parent and the iteration alone, so that arms which try the same parent at the same time get the
        same child.
        """
        source = program_in(prompt)
        genome = genome_in(source) or self.world.landscape.first
        draw = request.draw.rpartition(":")[0]
        random = generator(self.world.seed, "child", source, draw)
        fate, wording = random.random(), word(self.world.seed, "wording", source, draw)
        if fate < self.world.broken:
            return _told("It forgets to fill the prompt.", broken(program(genome, wording)))
        fate -= self.world.broken
        if fate < self.world.duplicate:
            return _told("Nothing comes to mind.", source or self.world.first_program)
        fate -= self.world.duplicate
        if fate >= self.world.unchanged:
            genome = self.world.landscape.child(genome, random)
        return _told("The sheet is another one.", program(genome, wording))

    def _sample(self, prompt: str, request: ChatRequest) -> str:
        copy = word(self.world.seed, "copy", request.messages, request.draw)
        return write_sample(genome_in(prompt) or "0", topic_in(prompt), copy)


def simulated_models(client: SimulatedClient) -> Models:
    """The models of a run, all of them the one client's."""
    can = Capabilities(client.endpoint.base_url, "simulated", True, True, client.world.logprobs, rewrites=True)
    real = cast(Client, client)

    def model(name: str) -> Model:
        return Model(real, name, can)

    return Models(real, model("optimizer"), model("judge"), model("generator"), None, False, True)


def _kind(request: ChatRequest) -> str:
    """What is asked for, told by the request's form and its system prompt."""
    system = request.messages[0][1] if request.messages[0][0] == "system" else ""
    if _JUDGES in system:
        return "digit"
    if "notices what must never happen" in system:
        return "breach"
    if '"metrics"' in request.schema:
        return "metrics"
    if '"reason"' in request.schema:
        return "reason"
    return "program" if "improve Python programs" in system else "sample"


def _opening(request: ChatRequest) -> str:
    return next(content for role, content in request.messages if role == "user")


def _block(prompt: str, label: str) -> str:
    head = f'<data name="{label}">\n'
    start = prompt.find(head)
    return "" if start < 0 else prompt[start + len(head) : prompt.find("\n</data>", start)]


def _metric(rubric: Rubric, index: int) -> dict[str, object]:
    mark = write_rubric(rubric, index)
    return {
        "name": f"Fits its sheet, part {index + 1}",
        "description": f"The text keeps to its sheet in the sense of {mark} and of nothing else.",
        "low": "It has nothing to do with its sheet.",
        "high": "It does all that its sheet says.",
        "importance": 1,
    }


def _told(change: str, source: str) -> str:
    return f"CHANGE: {change}\n```python\n{source}```"
