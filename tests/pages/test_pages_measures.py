"""What a search's scores rest on, as shown: criteria, judge, chance, race, alarms; and what may be said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from autosynth_core.config import RunSettings
from autosynth_core.engine import read_brief
from autosynth_core.records import Command, Event, Metric, Project, RunKind, RunState, Standing, StopReason
from autosynth_core.store import Store
from tests.pages.test_pages_screens import button, fine, said
from tests.pages.test_pages_text import HOSTILE
from tests.views.plausible_measures import add_alarm, add_noise, add_race, judge_known, set_aside
from tests.views.plausible_run import METRICS, NOON, SHARPER, add_round, add_search, example_task

Open = Callable[..., AppTest]

OWN = Metric("Maps the parts", "Each part stands for one.", "None.", "All.", 2.0, anchor=True)


# --- the screen of criteria -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("nodes", [0, 1, 6], ids=["nothing yet", "first recipe", "some"])
def test_criteria_of_a_search_in_any_state_have_a_screen(
    open_page: Open, store: Store, project: Project, state: RunState, nodes: int
) -> None:
    run = add_search(store, project, nodes=nodes, state=state, reason="why")
    fine(open_page("metrics", run=run.id))


def test_screen_says_what_counts_and_whether_the_judge_can_be_trusted(
    open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project)
    judge_known(store, run, SHARPER, gap=0.0)
    add_noise(store, run)
    add_alarm(store, run, text="Long samples get the high scores.")
    app = open_page("metrics", run=run.id)
    assert not app.exception
    text = said(app)
    for name in (metric.name for metric in SHARPER.metrics):
        assert name in text
    assert "Unfit. This judge does not tell good from bad" in text.replace("**", "")
    assert "When the same recipe is tried again on the same input" in text
    assert "Long samples get the high scores." in text


def test_what_was_not_tried_is_said_to_be_so(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project)
    text = said(fine(open_page("metrics", run=run.id)))
    assert "It was not tried." in text
    assert "Not measured" in text


@pytest.mark.parametrize(
    ("label", "standing"),
    [("Take the new ones", Standing.RELEASED), ("Leave them out", Standing.REJECTED)],
    ids=["take", "leave"],
)
def test_decision_on_criteria_is_kept_and_asked_for_once(
    label: str, standing: Standing, open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project)
    new = set_aside(store, run)
    app = fine(open_page("metrics", run=run.id))
    assert "they do not tell good from bad" in said(app)
    button(app, label).click().run()
    fine(app)
    kept = {entry.metric_set.version: entry.standing for entry in store.metric_sets(run.id)}
    assert kept[new.version] is standing
    assert label not in {each.label for each in app.button}
    assert kept[METRICS.version] is kept[SHARPER.version] is Standing.IN_FORCE


def test_decision_made_elsewhere_meanwhile_gets_one_sentence(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project)
    new = set_aside(store, run)
    app = fine(open_page("metrics", run=run.id))
    store.decide_on_metric_set(run.id, new.version, Standing.REJECTED)
    button(app, "Take the new ones").click().run()
    assert not app.exception
    assert "do not wait for a decision" in said(app)
    assert store.metric_sets(run.id)[-1].standing is Standing.REJECTED


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_text(open_page: Open, store: Store, text: str) -> None:
    project = store.add_project(replace(example_task(), title=text, description=text, audience=text))
    add_round(store, project, rated=2, text=text)
    run = add_search(store, project, nodes=6, text=text)
    set_aside(store, run, text)
    add_alarm(store, run, "length", text)
    add_race(store, run)
    store.put_anchors(project.id, [replace(OWN, name=text, description=text)])
    for screen, parameters in (
        ("metrics", {"run": run.id}),
        ("search", {"run": run.id}),
        ("initialize", {"project": project.id, "step": "start"}),
    ):
        app = fine(open_page(screen, **parameters))
        assert not any(each.allow_html for each in app.markdown)
        assert " ".join(text.split())[:40] in " ".join(said(app).split())


# --- the race ---------------------------------------------------------------------------------------------------------


def test_race_is_shown_with_what_the_search_had_claimed(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    add_race(store, run)
    app = fine(open_page("search", run=run.id))
    shown = {each.label: (each.value, each.delta) for each in app.metric}
    assert shown["Reward there (0 to 1)"] == ("0.61", "0.57 to 0.65")
    assert shown["The search claimed"] == ("0.70", "0.66 to 0.74")
    assert shown["Gain over the first"] == ("+0.10", "+0.04 to +0.16")
    assert shown["Winning recipe"][0] == "2"
    assert "Better than the first recipe by 0.10 (+0.04 to +0.16)." in said(app)


@pytest.mark.parametrize(
    ("probability", "said_of_it"), [(1.0, "over 99% sure"), (0.83, "83% sure")], ids=["no doubt", "some doubt"]
)
def test_winner_is_never_said_to_be_the_best_for_certain(
    open_page: Open, store: Store, project: Project, probability: float, said_of_it: str
) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    store.add_race(replace(add_race(store, run), probability=probability))
    app = fine(open_page("search", run=run.id))
    winner = next(each for each in app.metric if each.label == "Winning recipe")
    assert winner.delta.startswith(said_of_it)
    assert "100%" not in said(app)


def test_who_raced_alone_is_not_called_the_best_of_one(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    store.add_race(replace(add_race(store, run), contenders={2: 0}, probability=1.0))
    told = "Raced on inputs that the search never saw: no other recipe was raced against recipe 2."
    store.add_event(Event(run.id, NOON, "race", told, 2))
    text = said(fine(open_page("search", run=run.id)))
    assert "best of 1" not in text
    assert "100%" not in text
    assert "No other recipe was raced against it." in text


def test_race_is_asked_for_and_left_to_the_engine(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    app = fine(open_page("search", run=run.id))
    button(app, "Race the best").click().run()
    fine(app)
    assert [each.command for each in store.pending(run.id)] == [Command.RACE]
    assert (store.run(run.id).state, store.run(run.id).reason) == (RunState.QUEUED, StopReason.CONVERGED)
    assert "Racing" in said(app)


@pytest.mark.parametrize("screen", ["search", "metrics"])
def test_what_a_race_costs_is_said_before_it_and_how_to_stop_it_meanwhile(
    screen: str, open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    app = fine(open_page(screen, run=run.id))
    # 22 inputs kept aside: four recipes on eleven of them, the winner and the first one on the others
    assert "at most 66 samples, written and judged: about 264 model calls" in said(app)
    assert "You can stop it at any time" in said(app)
    button(app, "Race the best").click().run()
    assert "The race is going on." in said(fine(app))
    button(app, "Stop the race").click().run()
    assert "Stopping the race…" in {each.label for each in app.button}
    assert [each.command for each in store.pending(run.id)] == [Command.RACE, Command.STOP]


@pytest.mark.parametrize("screen", ["search", "metrics"])
def test_race_that_was_not_finished_says_why_where_it_was_asked_for(
    screen: str, open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, reason=StopReason.CONVERGED)
    store.add_event(Event(run.id, NOON, "race not finished", "The race could not be finished: the key was refused."))
    app = fine(open_page(screen, run=run.id))
    assert ["the key was refused" in each.value for each in app.warning] == [True]
    assert "Race the best" in {each.label for each in app.button}


def test_search_without_inputs_kept_aside_says_why_there_is_no_race(open_page: Open, store: Store) -> None:
    task = example_task()
    project = store.add_project(replace(task, sealed_seeds=task.sealed_seeds[:5]))
    run = add_search(store, project, reason=StopReason.CONVERGED)
    app = fine(open_page("search", run=run.id))
    assert "needs 6 inputs that were kept aside" in said(app)
    assert "Race the best" not in {each.label for each in app.button}


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED, RunState.FAILED, RunState.INTERRUPTED])
def test_no_race_is_offered_while_a_search_is_not_at_rest(
    state: RunState, open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, state=state, reason="why")
    add_race(store, run)
    assert "Race the best again" not in {each.label for each in open_page("search", run=run.id).button}


def test_alarm_stands_on_the_search_until_it_is_settled(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project)
    new = set_aside(store, run)
    app = fine(open_page("search", run=run.id))
    assert [each.value for each in app.warning if "set aside" in each.value]
    store.decide_on_metric_set(run.id, new.version, Standing.RELEASED)
    assert not [each.value for each in app.run().warning if "set aside" in each.value]


# --- criteria of the educator's own -----------------------------------------------------------------------------------


def start_step(open_page: Open, project: Project) -> AppTest:
    return fine(open_page("initialize", project=project.id, step="start"))


def test_looking_at_proposed_criteria_approves_none(open_page: Open, store: Store, project: Project) -> None:
    app = start_step(open_page, project)
    assert len(app.checkbox) == 3
    assert not any(each.value for each in app.checkbox)
    assert not app.slider
    button(app, "Start the search").click().run()
    (run,) = store.runs(project.id, RunKind.SEARCH)
    assert read_brief(run).anchors == ()
    assert store.anchors(project.id) is None


def test_proposals_hear_what_was_said_of_samples(open_page: Open, store: Store, project: Project) -> None:
    add_round(store, project, rated=3)  # too long, and confusing
    labels = [each.label for each in start_step(open_page, project).checkbox]
    assert "**Right length**" in labels
    assert "**Clear at once**" in labels


def test_ticked_criterion_is_saved_at_once_and_goes_into_the_search(
    open_page: Open, store: Store, project: Project
) -> None:
    app = start_step(open_page, project)
    app.checkbox[1].check().run()
    saved = store.anchors(project.id)
    assert saved is not None
    assert [each.anchor for each in saved] == [False, True, False]
    app.slider("anchor share").set_value(70).run()
    button(app, "Start the search").click().run()
    (run,) = store.runs(project.id, RunKind.SEARCH)
    assert [each.name for each in read_brief(run).anchors] == [saved[1].name]
    assert RunSettings.model_validate_json(run.settings).anchor_share == 0.7
    store.put_anchors(project.id, ())
    assert len(read_brief(store.run(run.id)).anchors) == 1  # the run keeps what it was started with


def test_criterion_of_ones_own_is_approved_by_saving_it(open_page: Open, store: Store, project: Project) -> None:
    app = start_step(open_page, project)
    part = {each.label: each for each in [*app.text_input, *app.text_area]}  # the last form is the new one's
    part["Name"].set_value("Fun <b>")
    part["What it means"].set_value("Students\nsmile.")
    [each for each in app.button if each.label == "Save"][-1].click().run()
    fine(app)
    saved = store.anchors(project.id)
    assert saved is not None
    assert (saved[-1].name, saved[-1].description, saved[-1].anchor) == ("Fun ‹b›", "Students smile.", True)


def test_criterion_that_says_nothing_is_refused_and_nothing_is_saved(
    open_page: Open, store: Store, project: Project
) -> None:
    app = start_step(open_page, project)
    [each for each in app.button if each.label == "Save"][-1].click().run()
    assert not app.exception
    assert ["The name" in each.value for each in app.error] == [True]
    assert store.anchors(project.id) is None


def test_criterion_is_changed_removed_and_proposed_again(open_page: Open, store: Store, project: Project) -> None:
    store.put_anchors(project.id, [OWN])
    app = start_step(open_page, project)
    app.text_area[0].set_value("Every part.")
    next(each for each in app.button if each.label == "Save").click().run()
    assert store.anchors(project.id) == (replace(OWN, description="Every part."),)
    button(app, "Remove").click().run()
    assert store.anchors(project.id) == ()
    assert not app.checkbox
    button(app, "Propose again").click().run()
    assert len(app.checkbox) == 3
    assert not any(each.value for each in app.checkbox)


def test_no_more_criteria_are_taken_than_can_be_asked_about(open_page: Open, store: Store, project: Project) -> None:
    store.put_anchors(project.id, [replace(OWN, name=f"Number {number}") for number in range(8)])
    app = start_step(open_page, project)
    assert len(app.checkbox) == 8
    assert len([each for each in app.button if each.label == "Save"]) == 8  # none for a new one
    assert "Propose again" not in {each.label for each in app.button}
