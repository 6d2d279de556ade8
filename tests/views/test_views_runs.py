"""Headers, lines, trees and nodes from a real store."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import pytest

from autosynth_core.config import ModelSettings, RunSettings
from autosynth_core.errors import InputError
from autosynth_core.judging import WORKFLOW_METRICS
from autosynth_core.judging.reward import Difference
from autosynth_core.records import (
    Command,
    Comparison,
    Event,
    Feedback,
    Form,
    Look,
    Node,
    NodeState,
    Project,
    Rating,
    RunKind,
    RunState,
    Sample,
    SampleState,
    StopReason,
)
from autosynth_core.search.mcts import seed_order
from autosynth_core.store import Store
from autosynth_core.views import (
    best_so_far,
    feed,
    header,
    in_words,
    node,
    projects,
    rounds,
    searches,
    tree,
    words,
)
from autosynth_core.views.runs import time_left
from autosynth_core.workflow import fingerprint
from tests.views.plausible_run import METRICS, NOON, SHARPER, add_round, add_search, example_task, verdict_of


def test_a_run_without_anything_has_a_header(store: Store, project: Project) -> None:
    run = store.add_run(project.id, RunKind.SEARCH, RunSettings(iterations=12).model_dump_json())
    now = header(store, run.id)
    assert (now.done, now.planned, now.best, now.seconds_left) == (0, 12, None, None)
    assert now.in_words == "Waiting to start"
    assert (best_so_far(store, run.id), tree(store, run.id).nodes, feed(store, run.id)) == ([], (), [])


def test_the_header_counts_every_recipe_once(store: Store, project: Project) -> None:
    run = add_search(store, project)
    now = header(store, run.id)
    states = [each.state for each in store.nodes(run.id)]
    assert now.done == 24
    assert now.broken == states.count(NodeState.BROKEN) > 0
    assert now.duplicates == states.count(NodeState.DUPLICATE)
    assert now.unscored == states.count(NodeState.UNSCORED)
    assert now.usage.calls == states.count(NodeState.SCORED)
    assert dict(now.failures) == {"rate limited": 1}
    assert now.metric_versions == 2
    assert now.best is not None
    assert now.first is not None
    assert now.best.reward.total >= now.first.reward.total


def test_a_recipe_being_tried_is_not_counted_as_tried(store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=10, state=RunState.RUNNING)
    assert header(store, run.id).done == 8


def test_what_was_asked_shows_until_it_is_done(store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=5, state=RunState.RUNNING)
    request = store.ask(run.id, Command.PAUSE, 1.0)
    assert header(store, run.id).asked is Command.PAUSE
    store.handled(request, 2.0)
    assert header(store, run.id).asked is None


def test_a_stop_is_waited_for_until_the_run_has_ended(store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=5, state=RunState.RUNNING)
    store.acquire(run.id, "engine", NOON, 60)
    assert header(store, run.id).asked is None
    store.handled(store.ask(run.id, Command.STOP, NOON + 1), NOON + 2)  # it was heard; calls are still under way
    store.add_event(Event(run.id, NOON + 2, "stop", "Stopping: waiting for the model calls already under way."))
    assert header(store, run.id).asked is Command.STOP
    store.release(run.id, "engine")
    store.acquire(run.id, "engine", NOON + 9, 60)  # resumed
    assert header(store, run.id).asked is None


def test_what_the_engine_says_at_the_end_reads_as_words_for_a_teacher() -> None:
    assert words.told(Event("r", 1.0, "finished", "Finished: converged.")).startswith("Finished: the best recipes")
    assert words.told(Event("r", 1.0, "stopped", "Stopped: stopped by you.")) == "Stopped by you."
    for message in ("Failed: The key was refused.", "Recipe 1 is done", "Finished: converged. And more."):
        assert words.told(Event("r", 1.0, "failed", message)) == message


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (10, 40, "a minute or less"),
        (130, 260, "2 to 4 minutes"),
        (1490, 3500, "25 to 60 minutes"),
        (2245, 5900, "35 minutes to 1.7 hours"),
        (9000, 21000, "2.5 to 5.8 hours"),
    ],
)
def test_a_span_of_time_is_coarse(low: float, high: float, said: str) -> None:
    assert words.span(low, high) == said


# --- the best against the first ---------------------------------------------------------------------------------------


def _judged(store: Store, project: Project, scores: dict[int, dict[str, float]]) -> str:
    """A search of a chain 0 <- 1 <- 2, each recipe judged under these sets by these scores (one for all inputs)."""
    run = add_search(store, project, nodes=1, settings=RunSettings(iterations=5, seed_inputs=4))
    root = store.node(run.id, 0)
    assert root is not None
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DELETE FROM verdicts")
    for number, given in scores.items():
        source = f"{root.source}\nMARK = {number}\n"
        node = replace(root, number=number, parent=number - 1 if number else None, source=source)
        node = replace(node, fingerprint=fingerprint(source), metric_version=next(iter(given)))
        seen = tuple(seed.id for seed in project.task.search_seeds[:4])
        store.put_outcome(node, [], [Look(number, number, version, seen) for version in given])
        for place, seed in enumerate(project.task.search_seeds[:4]):
            sample = Sample(run.id, node.fingerprint, seed, 0, SampleState.OK, {"analogy": "x"}, ms=1)
            store.put_sample(sample)
            for version, score in given.items():
                metrics = store.metric_set(version)
                assert metrics is not None
                verdicts = [(sample.id, each.name, version, score + place / 100) for each in metrics.metrics]
                store.put_verdicts([verdict_of(*each) for each in verdicts], run.id)
        own = [verdict_of(node.fingerprint, each.name, "workflow", 3.0 + number) for each in WORKFLOW_METRICS.metrics]
        store.put_verdicts(own, run.id)
    return run.id


OLD, NEW = METRICS.version, SHARPER.version


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ({0: {OLD: 3.0}, 1: {OLD: 4.0}}, Comparison.BETTER),
        ({0: {OLD: 3.0, NEW: 3.0}, 1: {OLD: 3.1, NEW: 3.2}, 2: {NEW: 4.0}}, Comparison.BETTER),
        ({0: {OLD: 3.0}, 1: {OLD: 3.1, NEW: 3.1}, 2: {NEW: 4.0}}, Comparison.CANT_TELL),
        ({0: {OLD: 3.0}, 1: {OLD: 2.9}}, Comparison.WORSE),
    ],
    ids=["its child", "by the same criteria", "never by the same criteria", "ahead by the program alone"],
)
def test_the_best_is_called_better_than_the_first_only_where_the_judge_could_tell(
    store: Store, project: Project, scores: dict[int, dict[str, float]], verdict: Comparison
) -> None:
    now = header(store, _judged(store, project, scores))
    assert now.gain is not None
    assert now.gain.verdict is verdict
    assert now.gain.workflow == pytest.approx(len(scores) - 1)
    assert now.gain.reward == pytest.approx(now.best.reward.total - now.first.reward.total)


def test_no_gain_is_told_while_the_first_is_the_best(store: Store, project: Project) -> None:
    assert header(store, add_search(store, project, nodes=1).id).gain is None
    assert header(store, store.add_run(project.id, RunKind.SEARCH, "{}").id).gain is None


def test_a_recipes_own_score_is_the_mean_of_its_samples(store: Store, project: Project) -> None:
    seen = node(store, _judged(store, project, {0: {OLD: 3.0}, 1: {OLD: 3.5, NEW: 2.0}}), 1)
    assert seen.own_score == pytest.approx(3.515)
    assert seen.own_score == pytest.approx(sum(view.mean for view in seen.samples) / 4)


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (RunState.FINISHED, StopReason.CONVERGED, "less than 0.05 in reward, as far as can be told. You can still"),
        (RunState.FINISHED, StopReason.BUDGET, "budget"),
        (RunState.FINISHED, "whatever", "Finished"),
        (RunState.INTERRUPTED, "", "can go on"),
        (RunState.STOPPED, "", "Stopped by you"),
        (RunState.FAILED, "The key was refused.", "problem"),
    ],
    ids=["converged", "budget", "unknown reason", "interrupted", "stopped", "failed"],
)
def test_every_end_has_words(store: Store, project: Project, state: RunState, reason: str, said: str) -> None:
    run = add_search(store, project, nodes=3, state=state, reason=reason)
    now = header(store, run.id)
    assert said in now.in_words
    assert now.reason == (reason if state is RunState.FAILED else "")


def test_every_state_has_words() -> None:
    assert all(words.node_state(state) for state in NodeState)
    assert set(words.RATING_WORDS) == set(Rating)


def test_time_left_follows_the_pace_of_the_last_recipes() -> None:
    left = time_left([0, 10, 20, 30], done=4, planned=10)
    assert left.seconds == 60
    assert "last 4 recipes" in left.basis


def test_a_pause_over_lunch_does_not_spoil_the_time_left() -> None:
    assert time_left([0, 10, 20, 4000, 4010, 4020], done=6, planned=8).seconds == 20


@pytest.mark.parametrize(("finished", "done"), [([1, 2], 2), ([1, 2, 3, 4], 10)], ids=["too few", "all done"])
def test_no_time_left_is_guessed_from_nothing(finished: list[float], done: int) -> None:
    assert time_left(finished, done, 10).seconds is None


def test_the_best_so_far_never_falls(store: Store, project: Project) -> None:
    points = best_so_far(store, add_search(store, project).id)
    rewards = [point.reward for point in points]
    assert rewards == sorted(rewards)
    assert all(point.low <= point.reward <= point.high for point in points)
    assert all(point.node <= point.iteration for point in points)


def test_the_best_path_leads_from_the_root_to_the_best(store: Store, project: Project) -> None:
    run = add_search(store, project)
    view = tree(store, run.id)
    path = [each for each in view.nodes if each.on_best_path]
    assert path[0].number == 0
    assert view.best == path[-1].number == header(store, run.id).best.node
    assert all(after.parent == before.number for before, after in pairwise(path))
    assert all(each.reward is None for each in view.nodes if each.state is not NodeState.SCORED)


def test_a_large_tree_is_folded_with_its_best_path_whole(store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=260, settings=RunSettings(iterations=260, seed_inputs=2))
    view = tree(store, run.id)
    shown = {each.number for each in view.nodes}
    assert len(shown) <= 150
    assert view.folded == 260 - len(shown)
    assert view.best in shown
    assert all(each.parent is None or each.parent in shown for each in view.nodes)
    assert tree(store, run.id, everything=True).folded == 0


def test_a_header_shows_what_was_just_written(store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=4, state=RunState.RUNNING)
    before = header(store, run.id).done
    store.put_node(Node(run.id, 9, 0, NodeState.BROKEN, Form.EDIT, reason="no"))
    assert header(store, run.id).done == before + 1


def test_a_recipe_is_shown_with_everything(store: Store, project: Project) -> None:
    run = add_search(store, project)
    best = header(store, run.id).best.node
    seen = node(store, run.id, best)
    assert seen.is_best
    assert seen.prompts
    assert seen.stages
    assert seen.diff.startswith("--- recipe")
    assert len(seen.samples) == 6
    assert all(len(each.verdicts) == 3 for each in seen.samples)
    assert len(seen.workflow_verdicts) == 4
    assert len(seen.calls) == 1
    assert f"recipe {seen.node.parent}" in seen.against_parent


def test_the_root_is_compared_with_nothing(store: Store, project: Project) -> None:
    seen = node(store, add_search(store, project, nodes=3).id, 0)
    assert (seen.diff, seen.parent_source) == ("", "")
    assert "first recipe" in seen.against_parent


@pytest.mark.parametrize("source", ["", "def (", "\0", "x" * 70_000], ids=["none", "syntax", "NUL", "huge"])
def test_a_broken_recipe_can_be_looked_at(store: Store, project: Project, source: str) -> None:
    run = add_search(store, project, nodes=2)
    store.put_node(Node(run.id, 7, 0, NodeState.BROKEN, Form.REWRITE, source=source, reason="It does not parse."))
    seen = node(store, run.id, 7)
    assert (seen.samples, seen.stages, seen.score) == ((), (), None)


def test_a_recipe_that_is_not_there_is_refused(store: Store, project: Project) -> None:
    with pytest.raises(InputError, match="no recipe number 99"):
        node(store, add_search(store, project, nodes=2).id, 99)


def test_a_run_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(InputError):
        header(store, "search-none")


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Difference(0.4, 0.1, 0.2, 0.6, 6, Comparison.BETTER), "Better than recipe 2 by 0.40 points on 6 shared inp"),
        (Difference(-0.4, 0.1, -0.6, -0.2, 6, Comparison.WORSE), "Worse than recipe 2 by 0.40 points"),
        (Difference(0.1, None, -4, 4, 1, Comparison.CANT_TELL), "Can't tell from recipe 2: a difference of +0.10"),
        (None, "Not compared"),
    ],
    ids=["better", "worse", "can't tell", "none"],
)  # fmt: skip
def test_a_comparison_is_said_with_its_uncertainty(difference: Difference | None, said: str) -> None:
    assert said in words.compared(difference, 2)


def test_rounds_come_in_order_with_their_latest_feedback(store: Store, project: Project) -> None:
    add_round(store, project, rated=6)
    second = add_round(store, project, state=RunState.RUNNING, made=2)
    sample = rounds(store, project.id)[1].samples[0]
    for rating in (Rating.NOT_USABLE, Rating.USE):
        store.add_feedback(Feedback(second.id, sample.id, rating, ("Tone",)))
    first, then = rounds(store, project.id)
    assert (first.number, then.number) == (1, 2)
    assert first.ratings.total() == 6
    assert not first.active
    assert then.active
    assert then.feedback[sample.id].rating is Rating.USE
    assert then.ratings == {Rating.USE: 1}
    assert header(store, second.id).done == 2


@pytest.mark.parametrize(
    ("ratings", "enough"),
    [("uuuuuu", True), ("uueeun", True), ("uunnuu", False), ("uuu", False), ("uuuuu", True), ("", False)],
)
def test_five_of_six_usable_is_good_enough(store: Store, project: Project, ratings: str, enough: bool) -> None:
    run = add_round(store, project)
    meant = {"u": Rating.USE, "e": Rating.USE_EDITED, "n": Rating.NOT_USABLE}
    for sample, letter in zip(rounds(store, project.id)[0].samples, ratings, strict=False):
        store.add_feedback(Feedback(run.id, sample.id, meant[letter]))
    assert rounds(store, project.id)[0].good_enough is enough


def test_a_projects_card_counts_what_is_in_it(store: Store, project: Project) -> None:
    add_round(store, project, rated=4)
    add_search(store, project, nodes=2, state=RunState.PAUSED)
    (card,) = projects(store)
    assert (card.rounds, card.rated, card.searches, card.latest, card.missing) == (1, 4, 1, "Paused", None)
    assert [run.kind for run in searches(store)] == [RunKind.SEARCH]


def _second_opinion(store: Store, run_id: str, number: int) -> None:
    """Another judge gives every sample of the node 1."""
    given = [verdict for view in node(store, run_id, number).samples for verdict in view.verdicts]
    store.put_verdicts([replace(verdict, judge="second", score=1.0) for verdict in given], run_id)


@pytest.mark.parametrize("workflows_judged", [True, False], ids=["judged", "samples alone so far"])
def test_a_second_judge_is_kept_apart(store: Store, project: Project, workflows_judged: bool) -> None:
    settings = RunSettings(models=ModelSettings(second_judge="second"))
    run = add_search(store, project, nodes=2, settings=settings)
    before = node(store, run.id, 1)
    _second_opinion(store, run.id, 1)
    if not workflows_judged:
        with sqlite3.connect(store.path) as db:
            db.execute("DELETE FROM verdicts WHERE version = 'workflow'")
        db.close()
    after = node(store, run.id, 1)
    assert [view.verdicts for view in after.samples] == [view.verdicts for view in before.samples]
    assert [view.mean for view in after.samples] == [view.mean for view in before.samples]
    assert {verdict.judge for view in after.samples for verdict in view.others} == {"second"}


def test_samples_come_in_the_order_of_the_runs_inputs_and_those_of_the_race_last(
    store: Store, project: Project
) -> None:
    settings = RunSettings(seed_inputs=6, seed=3)
    run = add_search(store, project, nodes=2, settings=settings)
    this = store.node(run.id, 1)
    assert this is not None
    made = store.samples(run.id, this.fingerprint)
    sealed = project.task.sealed_seeds[3]
    failed = replace(made[2], state=SampleState.WORKFLOW_FAILED, output=None, replicate=1)
    for extra in (failed, replace(made[0], seed=sealed)):
        store.put_sample(extra)
    views = node(store, run.id, 1).samples
    order = [seed.id for seed in seed_order(project.task, settings)]
    searched = [view.sample.seed.id for view in views if not view.from_race]
    assert searched == sorted(searched, key=order.index)
    assert len(searched) == 7
    assert [view.sample.seed for view in views[7:]] == [sealed]
    assert [view.from_race for view in views] == [False] * 7 + [True]
    place = searched.index(made[2].seed.id)
    assert [view.sample.replicate for view in views[place : place + 2]] == [0, 1]


def test_a_run_in_a_race_says_so_and_guesses_no_time(store: Store, project: Project) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    assert not header(store, run.id).racing
    assert store.ask_race(run.id, NOON)
    now = header(store, run.id)
    assert now.racing
    assert now.in_words.startswith("Racing the best recipes")
    assert now.seconds_left is None
    store.end_race(run.id)
    assert not header(store, run.id).racing


UNREADABLE = {"out of range": '{"iterations": 0, "samples": 0}', "of another version": '{"novelty": 1}', "a list": "[]"}


@pytest.mark.parametrize("settings", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("kind", RunKind)
def test_a_run_that_cannot_be_read_spoils_no_other(
    store: Store, project: Project, kind: RunKind, settings: str
) -> None:
    add_round(store, project, rated=1)
    sound = add_search(store, project, nodes=2)
    broken = store.add_run(project.id, kind, settings)
    with pytest.raises(InputError, match=rf"{broken.id}.*this version"):
        header(store, broken.id)
    assert projects(store)[0].latest == in_words(broken) == "Can't be read by this version"
    assert header(store, sound.id).in_words == in_words(store.run(sound.id)) == "Finished"
    assert [view.number for view in rounds(store, project.id)] == ([1, 2] if kind is RunKind.ROUND else [1])
    if kind is RunKind.SEARCH:
        for look in (lambda: tree(store, broken.id), lambda: node(store, broken.id, 0)):
            with pytest.raises(InputError, match="this version"):
                look()


def test_a_header_of_a_thousand_nodes_is_quick(store: Store) -> None:
    project = store.add_project(example_task())
    run = add_search(store, project, nodes=1_000, settings=RunSettings(iterations=1_000, seed_inputs=2))
    header(store, run.id)
    store.put_node(Node(run.id, 2_000, 0, NodeState.BROKEN, Form.EDIT))
    began = time.perf_counter()
    header(store, run.id)
    tree(store, run.id)
    assert time.perf_counter() - began < 3.0
