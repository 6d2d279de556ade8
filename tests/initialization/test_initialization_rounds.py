"""Rounds of samples and feedback through the engine, and the search that is started after them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from openai_server import OpenAIServer, Reply
from scripted_models import ScriptedModels

from autosynth_core.config import Expansion, ModelSettings, RoundSettings, RunSettings
from autosynth_core.engine import Owner, read_brief, start_round, start_search
from autosynth_core.engine.control import LIVE
from autosynth_core.records import Feedback, Project, Rating, Run, RunState, Sample, SampleState
from autosynth_core.store import Store
from autosynth_core.taskfile import load_task

TASK = load_task(Path(__file__).parents[2] / "data" / "tasks" / "science-analogies.json")


class Place(NamedTuple):
    """An engine at work on a database with one project, and the endpoint it uses."""

    store: Store
    project: Project
    server: OpenAIServer

    @property
    def models(self) -> ModelSettings:
        return ModelSettings(base_url=self.server.base_url)

    def round(self, **given: Any) -> Run:
        return self.ended(start_round(self.store, self.project.id, RoundSettings(models=self.models, **given)).id)

    def ended(self, run_id: str, within_s: float = 60.0) -> Run:
        end = time.monotonic() + within_s
        while (run := self.store.run(run_id)).state in LIVE:
            assert time.monotonic() < end, run
            time.sleep(0.05)
        return run

    def rate(self, run: Run, *ratings: Rating, comment: str = "", edited: str = "") -> list[Sample]:
        samples = self.store.samples(run.id)
        for sample, rating in zip(samples, ratings, strict=False):
            changed = {"analogy": edited} if edited and rating is Rating.USE_EDITED else None
            said = comment if rating is Rating.NOT_USABLE else ""
            self.store.add_feedback(Feedback(run.id, sample.id, rating, (), said, changed, time.time()))
        return samples

    def asked(self, part: str) -> list[str]:
        bodies = ["\n".join(str(each["content"]) for each in row.body["messages"]) for row in self.server.received]
        return [text for text in bodies if part in text]


class Answerer:
    """Scripted models whose generator can be made to fail."""

    def __init__(self) -> None:
        self.scripted = ScriptedModels()
        self.refuses = False

    def __call__(self, body: dict[str, Any]) -> Reply:
        plain = not body.get("response_format") and not body.get("logprobs")
        if self.refuses and plain and body.get("max_tokens", 0) > 1000:
            return Reply("content filter", status=400)
        return self.scripted(body)


@pytest.fixture
def answerer() -> Answerer:
    return Answerer()


@pytest.fixture
def place(tmp_path: Path, answerer: Answerer) -> Iterator[Place]:
    db = tmp_path / "autosynth.db"
    with OpenAIServer(answerer, models=["scripted"]) as server, Store.open(db) as store:
        project = store.add_project(TASK)
        owner = Owner(db)
        owner.start()
        try:
            yield Place(store, project, server)
        finally:
            owner.close()


def test_first_round_makes_six_samples_and_no_verdict(place: Place) -> None:
    run = place.round()
    assert run.state is RunState.FINISHED, run.reason
    samples = place.store.samples(run.id)
    assert len(samples) == 6
    assert all(sample.state is SampleState.OK and sample.output for sample in samples)
    assert len({sample.seed.id for sample in samples}) == 6
    assert not place.asked("strict judge")
    node = place.store.node(run.id, 0)
    assert node is not None
    assert node.source


def test_next_round_is_told_what_was_said_and_shows_other_inputs(place: Place) -> None:
    first = place.round()
    ratings = [Rating.NOT_USABLE, Rating.USE_EDITED, Rating.USE, Rating.NOT_USABLE]
    before = place.rate(first, *ratings, comment="Far too abstract for grade four.", edited="A river is like a road.")
    second = place.round()
    assert second.state is RunState.FINISHED, second.reason
    settings = RoundSettings.model_validate_json(second.settings)
    assert (settings.number, settings.previous) == (2, first.id)
    assert any("Far too abstract for grade four." in text for text in place.asked("Of 4 samples the educator would"))
    assert any("A river is like a road" in text for text in place.asked("Of 4 samples the educator would"))
    after = place.store.samples(second.id)
    assert not {sample.seed.id for sample in before} & {sample.seed.id for sample in after}
    improved, original = place.store.node(second.id, 0), place.store.node(first.id, 0)
    assert improved is not None
    assert original is not None
    assert improved.fingerprint != original.fingerprint


def test_round_without_feedback_keeps_the_recipe_and_says_so(place: Place) -> None:
    first, second = place.round(), place.round()
    nodes = [place.store.node(run.id, 0) for run in (first, second)]
    assert nodes[0] is not None
    assert nodes[1] is not None
    assert nodes[1].source == nodes[0].source
    assert "Nothing was said" in nodes[1].modification


def test_search_after_rounds_starts_from_the_newest_recipe_with_the_accepted_samples(place: Place) -> None:
    first = place.round()
    place.rate(first, Rating.USE, Rating.NOT_USABLE, comment="Too childish by far.")
    second = place.round()
    place.rate(second, Rating.USE_EDITED, edited="Voltage is like the height of a waterfall.")
    settings = RunSettings(
        iterations=1, workers=1, seed_inputs=2, metric_candidates=1, expansion=Expansion.EDITS, models=place.models
    )
    run = start_search(place.store, place.project.id, settings)
    brief = read_brief(run)
    newest = place.store.node(second.id, 0)
    assert newest is not None
    assert brief.first_workflow == newest.source
    assert brief.accepted[0].output["analogy"] == "Voltage is like the height of a waterfall."
    assert len(brief.accepted) == 2
    assert any("Too childish by far." in example.why for example in brief.task.bad_examples)
    assert place.ended(run.id).state is RunState.FINISHED
    root = place.store.node(run.id, 0)
    assert root is not None
    assert root.source == newest.source
    assert any("waterfall" in text for text in place.asked("criteria for scoring"))


def test_feedback_given_after_the_start_changes_no_run_under_way(place: Place) -> None:
    first = place.round()
    settings = RunSettings(iterations=1, workers=1, seed_inputs=2, expansion=Expansion.EDITS, models=place.models)
    run = start_search(place.store, place.project.id, settings)
    place.rate(first, Rating.USE, Rating.USE)
    assert read_brief(place.store.run(run.id)).accepted == ()
    place.ended(run.id)


def test_round_whose_samples_all_fail_says_why_and_can_be_made_again(place: Place, answerer: Answerer) -> None:
    answerer.refuses = True
    run = place.round()
    assert run.state is RunState.FAILED
    assert run.reason.startswith("No sample could be made:")
    assert "Settings" in run.reason
    answerer.refuses = False
    again = place.round()
    assert again.state is RunState.FINISHED, again.reason
    assert RoundSettings.model_validate_json(again.settings).number == 1
