"""Every screen in every state: empty, running, finished, broken, hostile; and by address."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from autosynth_core.config import ModelSettings, RunSettings
from autosynth_core.engine import load_models, save_models
from autosynth_core.records import (
    Command,
    Event,
    Feedback,
    Look,
    Metric,
    MetricSet,
    Project,
    Rating,
    RunKind,
    RunState,
    Scope,
    StopReason,
    Verdict,
    VerdictMethod,
)
from autosynth_core.store import Store
from autosynth_core.views import header, rounds
from autosynth_core.views.describe import blank_task
from pages.parts.run_view import _left
from tests.pages.test_pages_text import HOSTILE, read_back
from tests.views.plausible_run import NOON, add_round, add_search, dialogue_task, example_task

Open = Callable[..., AppTest]

SCREENS = ("", "initialize", "search", "metrics", "settings")


def said(app: AppTest) -> str:
    """All text on the page, escapes resolved."""
    kinds = (
        app.title,
        app.subheader,
        app.markdown,
        app.caption,
        app.text,
        app.info,
        app.warning,
        app.error,
        app.success,
    )
    return "\n".join(read_back(str(each.value)) for kind in kinds for each in kind)


def button(app: AppTest, label: str):
    return next(each for each in app.button if each.label == label)


def fine(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error, [each.value for each in app.error]
    return app


# --- every screen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", SCREENS)
def test_an_empty_database_gives_a_screen_that_says_what_to_do(open_page: Open, screen: str) -> None:
    app = fine(open_page(screen))
    assert app.title
    assert "Settings" in said(app) or "Go to Projects" in str(app.main)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_shows_no_traceback_for_an_unusable_database(open_page: Open, store: Store, screen: str) -> None:
    path = store.path
    store.close()
    path.write_bytes(b"not a database" * 1000)
    for extra in ("-wal", "-shm"):
        Path(f"{path}{extra}").unlink(missing_ok=True)
    app = open_page(screen)
    assert not app.exception
    assert len(app.error) == 1
    assert "Traceback" not in said(app)


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE cookies (name)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as same, same:
        same.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('autosynth', '9999', 'now')"
        )


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(_foreign, "another program"), (_newer, "newer"), (_folder, "folder")],
    ids=["another program's", "newer", "folder"],
)
def test_each_unusable_database_gets_its_sentence_and_stays_as_it_is(
    open_page: Open, store: Store, spoil: Callable[[Path], None], sentence: str
) -> None:
    path = store.path
    store.close()
    for extra in ("-wal", "-shm"):
        Path(f"{path}{extra}").unlink(missing_ok=True)
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    app = open_page()
    assert not app.exception
    assert [sentence in each.value for each in app.error] == [True], [each.value for each in app.error]
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("screen", ["initialize", "search", "metrics"])
@pytest.mark.parametrize("value", ["none", "../../etc/passwd", "<b>x</b>", "' OR 1=1 --", "0" * 5000])
def test_an_address_that_names_nothing_gets_one_sentence(
    open_page: Open, project: Project, screen: str, value: str
) -> None:
    app = open_page(screen, **{"project" if screen == "initialize" else "run": value})
    assert not app.exception
    assert len(app.error) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_text(open_page: Open, store: Store, text: str) -> None:
    project = store.add_project(replace(example_task(), title=text, description=text, audience=text))
    add_round(store, project, rated=2, text=text)
    add_round(store, project, rated=2, text=text)
    run = add_search(store, project, nodes=8, text=text)
    for screen, parameters in (
        ("", {}),
        ("initialize", {"project": project.id, "step": "try"}),
        ("initialize", {"project": project.id, "step": "describe"}),
        ("search", {"run": run.id, "node": "2"}),
    ):
        app = fine(open_page(screen, **parameters))
        assert not any(each.allow_html for each in app.markdown)
        assert " ".join(text.split())[:40] in " ".join(said(app).split())


def test_a_half_surrogate_in_a_sample_does_not_break_the_screen(
    open_page: Open, store: Store, project: Project
) -> None:
    add_round(store, project, rated=1, text="half \ud800 a \0 letter")
    run = add_search(store, project, nodes=4, text="half \ud800 a \0 letter")
    fine(open_page("initialize", project=project.id, step="try"))
    fine(open_page("search", run=run.id, node="1"))


# --- projects --------------------------------------------------------------------------------------------------------


def test_an_example_becomes_a_project_and_opens(open_page: Open, store: Store) -> None:
    app = open_page()
    app.button("example:reading-hooks").click().run()
    assert [each.task.title for each in store.projects()] == ["Reading hooks"]
    fine(app)


def test_a_title_alone_makes_a_project(open_page: Open, store: Store) -> None:
    app = open_page()
    app.text_input[0].set_value("Exit tickets")
    button(app, "Create project").click().run()
    fine(app)
    assert store.projects()[0].task.title == "Exit tickets"
    assert "Still needed" in said(app)


def test_an_empty_title_is_asked_for(open_page: Open, store: Store) -> None:
    app = open_page()
    button(app, "Create project").click().run()
    assert "title" in app.error[0].value
    assert store.projects() == []


def test_a_project_is_deleted_only_after_asking(open_page: Open, store: Store, project: Project) -> None:
    app = open_page()
    app.button(f"delete:{project.id}").click().run()
    assert len(store.projects()) == 1
    app.button("really delete").click().run()
    assert store.projects() == []


# --- describe --------------------------------------------------------------------------------------------------------


def test_a_field_is_saved_when_it_is_left(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="describe")
    app.text_input(f"describe:{project.id}:audience").set_value("Grade 9").run()
    fine(app)
    assert store.project(project.id).task.audience == "Grade 9"


def test_looking_at_a_task_changes_nothing(open_page: Open, store: Store) -> None:
    for task in (example_task(), dialogue_task()):
        project = store.add_project(task)
        for step in ("describe", "try", "start"):
            fine(open_page("initialize", project=project.id, step=step))
        assert store.project(project.id).task == task


def test_pasted_inputs_are_added(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="describe")
    app.text_area(f"paste:{project.id}").set_value("concept, grade\nosmosis in a potato, grade 6\n").run()
    button(app, "Use these inputs").click().run()
    fine(app)
    task = store.project(project.id).task
    assert "osmosis in a potato" in {seed.values["concept"] for seed in (*task.search_seeds, *task.sealed_seeds)}
    assert app.text_area(f"paste:{project.id}").value == ""


def test_pasted_inputs_with_other_headings_are_refused(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="describe")
    app.text_area(f"paste:{project.id}").set_value("book\nHoles\n").run()
    button(app, "Use these inputs").click().run()
    assert "same headings" in app.error[0].value
    assert store.project(project.id).task == project.task


def test_an_example_can_be_removed(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="describe")
    app.button(f"remove:{project.id}:good_examples:0").click().run()
    fine(app)
    assert store.project(project.id).task.good_examples == project.task.good_examples[1:]


# --- try -------------------------------------------------------------------------------------------------------------


def test_a_round_is_started_once_and_shows_its_progress(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="try")
    button(app, "Make 6 samples").click().run()
    fine(app)
    (run,) = store.runs(project.id, RunKind.ROUND)
    assert app.query_params["round"] == run.id
    assert "Make 6 samples" not in [each.label for each in app.button]


def test_no_round_starts_from_an_incomplete_task(open_page: Open, store: Store) -> None:
    project = store.add_project(blank_task("Something"))
    app = open_page("initialize", project=project.id, step="try")
    assert button(app, "Make 6 samples").disabled
    app = open_page("initialize", project=project.id, step="start")
    assert button(app, "Start the search").disabled


@pytest.mark.parametrize("state", list(RunState))
def test_a_round_in_any_state_has_a_screen(open_page: Open, store: Store, project: Project, state: RunState) -> None:
    add_round(store, project, state=state, made=2, text="The key was refused." if state is RunState.FAILED else "")
    app = open_page("initialize", project=project.id, step="try")
    assert not app.exception
    assert len(app.error) == (state is RunState.FAILED)


def test_a_verdict_is_saved_at_once_and_there_after_a_reload(open_page: Open, store: Store, project: Project) -> None:
    run = add_round(store, project)
    app = open_page("initialize", project=project.id, step="try", at="2")
    sample = store.samples(run.id)[1]
    app.segmented_control(f"rating:{sample.id}").set_value(Rating.NOT_USABLE).run()
    app.pills(f"reasons:{sample.id}").set_value(["Too long"]).run()
    app.text_area(f"comment:{sample.id}").set_value("Twice as long as my class can read.").run()
    fine(app)
    (feedback,) = store.feedback(run.id)
    assert (feedback.sample_id, feedback.rating, feedback.reasons) == (sample.id, Rating.NOT_USABLE, ("Too long",))
    again = fine(open_page("initialize", project=project.id, step="try", at="2"))
    assert again.segmented_control(f"rating:{sample.id}").value is Rating.NOT_USABLE
    assert again.text_area(f"comment:{sample.id}").value == "Twice as long as my class can read."


def test_a_click_on_a_card_that_is_no_longer_shown_changes_no_rating(
    open_page: Open, store: Store, project: Project
) -> None:
    run = add_round(store, project)
    first = store.samples(run.id)[0].id
    app = open_page("initialize", project=project.id, step="try")
    app.segmented_control(f"rating:{first}").set_value(Rating.NOT_USABLE).run()
    app.query_params["at"] = "2"  # the page has gone on to the second sample, but the first card is still there
    fine(app.segmented_control(f"rating:{first}").set_value(Rating.USE).run())
    assert [each.rating for each in store.feedback(run.id)] == [Rating.NOT_USABLE]
    fine(button(app, "Back").click().run())
    assert app.segmented_control(f"rating:{first}").value is Rating.NOT_USABLE


def test_edits_of_a_dialogue_are_kept_as_turns(open_page: Open, store: Store) -> None:
    project = store.add_project(dialogue_task())
    run = add_round(store, project)
    sample = store.samples(run.id)[0]
    app = open_page("initialize", project=project.id, step="try")
    app.segmented_control(f"rating:{sample.id}").set_value(Rating.USE_EDITED).run()
    app.text_area(f"edit:{sample.id}:dialogue").set_value("Tutor: Look.\nStudent: I see.").run()
    fine(app)
    (feedback,) = store.feedback(run.id)
    assert feedback.edited["dialogue"] == [
        {"speaker": "Tutor", "text": "Look."},
        {"speaker": "Student", "text": "I see."},
    ]
    assert feedback.edited["note"] == sample.output["note"]


def test_an_edit_that_cannot_be_read_says_why_and_keeps_the_verdict(open_page: Open, store: Store) -> None:
    project = store.add_project(dialogue_task())
    run = add_round(store, project)
    sample = store.samples(run.id)[0]
    app = open_page("initialize", project=project.id, step="try")
    app.segmented_control(f"rating:{sample.id}").set_value(Rating.USE_EDITED).run()
    app.text_area(f"edit:{sample.id}:dialogue").set_value("no speaker here").run()
    assert "who speaks" in app.error[0].value
    assert store.feedback(run.id)[0].rating is Rating.USE_EDITED


@pytest.mark.parametrize("at", ["0", "99", "-1", "x", "²", "9" * 50])
def test_an_odd_position_is_brought_into_range(open_page: Open, store: Store, project: Project, at: str) -> None:
    add_round(store, project)
    fine(open_page("initialize", project=project.id, step="try", at=at, round="none"))


def test_improved_samples_follow_the_feedback(open_page: Open, store: Store, project: Project) -> None:
    add_round(store, project, rated=6)
    app = open_page("initialize", project=project.id, step="try")
    button(app, "Make improved samples").click().run()
    fine(app)
    assert len(store.runs(project.id, RunKind.ROUND)) == 2


# --- start and search ------------------------------------------------------------------------------------------------


def test_a_search_starts_with_what_was_set(open_page: Open, store: Store, project: Project) -> None:
    app = open_page("initialize", project=project.id, step="start")
    app.number_input("iterations").set_value(17)
    app.number_input("seed inputs").set_value(5)
    button(app, "Start the search").click().run()
    fine(app)
    (run,) = store.runs(project.id, RunKind.SEARCH)
    settings = RunSettings.model_validate_json(run.settings)
    assert (settings.iterations, settings.seed_inputs, run.state) == (17, 5, RunState.QUEUED)


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("nodes", [0, 1, 9], ids=["nothing yet", "first recipe", "some"])
def test_a_search_in_any_state_has_a_screen(
    open_page: Open, store: Store, project: Project, state: RunState, nodes: int
) -> None:
    reason = {RunState.FAILED: "The key was refused.", RunState.FINISHED: StopReason.CONVERGED}.get(state, "")
    run = add_search(store, project, nodes=nodes, state=state, reason=reason)
    app = open_page("search", run=run.id)
    assert not app.exception
    assert len(app.error) == (state is RunState.FAILED)
    assert "not by your students" in said(app)
    labels = {each.label for each in app.button}
    assert ("Stop" in labels) == (state in {RunState.QUEUED, RunState.RUNNING, RunState.PAUSED})
    resumable = state not in {RunState.QUEUED, RunState.RUNNING, RunState.FINISHED}
    assert ("Resume" in labels) == resumable


def test_pause_and_stop_are_left_for_the_engine(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=4, state=RunState.RUNNING)
    app = open_page("search", run=run.id)
    app.button("pause").click().run()
    assert [each.command for each in store.pending(run.id)] == [Command.PAUSE]
    assert "Pausing" in said(app)
    app.button("stop").click().run()
    assert [each.command for each in store.pending(run.id)] == [Command.PAUSE, Command.STOP]


def test_a_stopped_search_is_resumed(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=4, state=RunState.STOPPED)
    open_page("search", run=run.id).button("resume").click().run()
    assert store.run(run.id).state is RunState.QUEUED


def test_a_finished_search_is_extended(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=6, reason=StopReason.ITERATIONS, settings=RunSettings(iterations=5))
    app = open_page("search", run=run.id)
    app.number_input(f"total:{run.id}").set_value(20)
    app.button("extend").click().run()
    fine(app)
    assert store.run(run.id).state is RunState.QUEUED
    assert RunSettings.model_validate_json(store.run(run.id).settings).iterations == 20


def test_a_recipe_is_opened_by_its_address(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project)
    app = fine(open_page("search", run=run.id, node="2"))
    assert "Recipe 2" in [each.value for each in app.subheader]


@pytest.mark.parametrize(
    ("source", "says"),
    [("def (((", "is no program that can be read"), ("import os\n", "can't be taken away"), (None, "")],
    ids=["no program", "harmful", "sound"],
)
def test_a_recipe_that_cant_be_downloaded_says_why(
    source: str | None, says: str, open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, nodes=3)
    this = store.node(run.id, 0)
    assert this is not None
    if source is not None:
        store.put_node(replace(this, source=source))
    app = open_page("search", run=run.id, node="0")
    assert not app.exception
    assert says in said(app)
    assert (source is None) == bool(app.get("download_button"))


@pytest.mark.parametrize("number", ["999", "-1", "x", "²", "1" * 40])
def test_no_such_recipe_gets_one_sentence(open_page: Open, store: Store, project: Project, number: str) -> None:
    run = add_search(store, project, nodes=3)
    app = open_page("search", run=run.id, node=number)
    assert not app.exception
    assert len(app.error) == 1


def test_every_recipe_can_be_opened(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=12, state=RunState.RUNNING)
    app = open_page("search", run=run.id)
    for node in store.nodes(run.id):
        app.query_params["node"] = str(node.number)
        fine(app.run())


# --- two judges ------------------------------------------------------------------------------------------------------


def test_scores_by_sample_are_of_the_runs_judge_whatever_a_criterion_is_called(
    open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, nodes=1)
    this = store.node(run.id, 0)
    assert this is not None
    metrics = MetricSet(
        tuple(Metric(name, "d", "l", "h") for name in ("Mean", "Input", "Judge", "Clear", "Cl\u200bear"))
    )
    store.put_metric_set(run.id, metrics, 0, None, "")
    store.put_node(replace(this, metric_version=metrics.version))
    samples = store.samples(run.id)
    verdicts = [
        Verdict(sample.id, metric.name, metrics.version, judge, "p", score, VerdictMethod.EXPECTED)
        for judge, score in (("gpt-4.1-mini", 4.0), ("second", 1.0))
        for sample in samples
        for metric in metrics.metrics
    ]
    store.put_verdicts(verdicts, run.id)
    app = fine(open_page("search", run=run.id, node="0"))
    tables = [each.value for each in app.dataframe]
    (own,) = (table for table in tables if list(table.columns)[:2] == ["Mean", "Input"])
    (second,) = (table for table in tables if list(table.columns)[:2] == ["Input", "Judge"])
    assert own.shape == (len(samples), 2 + 5)
    assert second.shape == (len(samples), 2 + 5)
    assert set(own.drop(columns="Input").to_numpy().ravel()) == {4.0}
    assert set(second["Judge"]) == {"second"}
    assert set(second.drop(columns=["Input", "Judge"]).to_numpy().ravel()) == {1.0}
    assert own["Input"].nunique() == len(samples)
    assert sum("4.00 on average" in read_back(each.label) for each in app.expander) == 5


def _judged_again(store: Store, run_id: str, number: int, score: float, before: float = 3.0) -> None:
    """The recipe's samples get ``score`` by criteria of its own time, and its parent's get ``before``."""
    this = store.node(run_id, number)
    assert this is not None
    metrics = MetricSet((Metric("Later", "d", "l", "h"),))
    store.put_metric_set(run_id, metrics, number, None, "")
    parent = store.node(run_id, this.parent or 0)
    assert parent is not None
    seeds = tuple(sample.seed.id for sample in store.samples(run_id, fingerprint=this.fingerprint))
    looks = [Look(number, each, metrics.version, seeds) for each in (number, parent.number)]
    store.put_outcome(replace(this, metric_version=metrics.version), [], looks)
    for of, given in ((this, score), (parent, before)):
        for place, sample in enumerate(store.samples(run_id, fingerprint=of.fingerprint)):
            each = Verdict(
                sample.id, "Later", metrics.version, "gpt-4.1-mini", "p", given + place / 50, VerdictMethod.EXPECTED
            )
            store.put_verdicts([each], run_id)


@pytest.mark.parametrize(("score", "told"), [(4.5, "better"), (3.0, "may be chance")], ids=["better", "can't tell"])
def test_a_gain_is_green_only_where_the_judge_calls_the_samples_better(
    open_page: Open, store: Store, project: Project, score: float, told: str
) -> None:
    run = add_search(store, project, nodes=2, seed=3)
    _judged_again(store, run.id, 1, score)
    with closing(sqlite3.connect(store.path)) as db, db:  # the program itself is thought better of, in either case
        child = store.node(run.id, 1)
        assert child is not None
        db.execute("UPDATE verdicts SET score = 5.0 WHERE subject = ?", (child.fingerprint,))
    app = fine(open_page("search", run=run.id))
    best = next(each for each in app.metric if each.label.startswith("Best"))
    assert ("may be chance" in best.delta) is (score == 3.0)
    assert (best.proto.color == best.proto.MetricColor.GREEN) is (score == 4.5)
    assert told in said(app).split("The best against the first recipe:")[1].splitlines()[0]


def test_two_means_of_the_same_samples_are_told_apart(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=2, seed=3)
    _judged_again(store, run.id, 1, 4.5, before=4.2)
    told = said(open_page("search", run=run.id, node="1"))
    assert "is the estimate by which recipes are compared" in told
    assert "average 4.55" in told


@pytest.mark.parametrize("kind", RunKind)
def test_a_stop_that_was_asked_for_shows_until_it_is_done(
    open_page: Open, store: Store, project: Project, kind: RunKind
) -> None:
    run = (add_round if kind is RunKind.ROUND else add_search)(store, project, state=RunState.RUNNING)
    store.acquire(run.id, "engine", NOON, 1e12)
    store.handled(store.ask(run.id, Command.STOP, NOON + 1), NOON + 2)
    store.add_event(Event(run.id, NOON + 2, "stop", "Stopping: waiting for the model calls already under way."))
    where = {"run": run.id} if kind is RunKind.SEARCH else {"project": project.id, "step": "try"}
    app = fine(open_page("search" if kind is RunKind.SEARCH else "initialize", **where))
    assert button(app, "Stopping…").disabled


def test_a_feed_has_no_words_of_the_program(open_page: Open, store: Store, project: Project) -> None:
    run = add_search(store, project, nodes=3, reason=StopReason.CONVERGED)
    store.add_event(Event(run.id, NOON, "finished", "Finished: converged."))
    told = said(open_page("search", run=run.id))
    assert "converged" not in told
    assert "looking back over as many recipes as were left to try" in told
    assert "the best recipes hardly gained any more" in told


def test_failed_calls_are_told_in_plain_words_with_the_kind_beside_them(
    open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, nodes=3)
    for kind in ("truncated answer", "truncated answer", "<b>odd</b> **kind**"):
        store.failure(Scope(run.id, "sample", 1), kind, "detail")
    app = fine(open_page("search", run=run.id))
    assert "4 model calls failed at first" in said(app)
    assert "truncated" not in said(app)
    table = app.table[0].value
    assert list(table.index) == [2, 1, 1]
    assert "its answer was cut off" in read_back(table["What happened, and what to do"].iloc[0])
    kinds = [read_back(kind) for kind in table["Kind"]]
    assert kinds[0] == "truncated answer"
    assert set(kinds[1:]) == {"rate limited", "<b>odd</b> **kind**"}


# --- before the start ------------------------------------------------------------------------------------------------


def test_how_long_it_takes_on_the_built_in_model_is_said_as_a_range(open_page: Open, project: Project) -> None:
    assert "2 to 4 minutes" in said(open_page("initialize", project=project.id, step="try"))
    told = said(open_page("initialize", project=project.id, step="start"))
    assert "55 minutes to" in told
    assert "hours on two processor cores" in told
    assert "a race of the best at the end" in told
    assert "free: it runs on this computer" in told


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (ModelSettings(base_url="https://api.openai.com/v1"), "that costs about $"),
        (ModelSettings(base_url="https://models.example.edu/v1", generator="nobody-knows"), "is not known here"),
        (ModelSettings(base_url="http://localhost:11434/v1", generator="llama3"), "They are free: on this computer"),
    ],
    ids=["listed", "unknown", "local"],
)
def test_what_a_search_costs_is_said_before_it_starts(
    open_page: Open, store: Store, project: Project, models: ModelSettings, told: str
) -> None:
    save_models(store, models)
    text = said(open_page("initialize", project=project.id, step="start"))
    assert told in text
    assert "tokens" in text
    assert "depends on the service" in text


def test_what_was_said_is_spoken_of_only_when_something_was(open_page: Open, store: Store, project: Project) -> None:
    add_round(store, project)
    assert "in mind" not in said(open_page("initialize", project=project.id, step="start"))
    add_round(store, project, rated=1)
    assert "in mind" in said(open_page("initialize", project=project.id, step="start"))


# --- what another version, or an archive, may hold --------------------------------------------------------------------


def test_a_search_that_cannot_be_read_gets_one_sentence_and_a_way_to_the_others(
    open_page: Open, store: Store, project: Project
) -> None:
    sound = add_search(store, project, nodes=3)
    broken = store.add_run(project.id, RunKind.SEARCH, '{"iterations": 0}', "{}", RunState.STOPPED)
    fine(open_page(""))
    app = open_page("search", run=broken.id)
    assert not app.exception
    assert len(app.error) == 1
    assert "this version" in app.error[0].value
    app.selectbox(f"run:{broken.id}").set_value(sound.id).run()
    fine(app)


def test_a_round_that_cannot_be_read_gets_one_sentence(open_page: Open, store: Store, project: Project) -> None:
    store.add_run(project.id, RunKind.ROUND, '{"samples": 6, "novelty": 1}', "{}", RunState.STOPPED)
    app = open_page("initialize", project=project.id, step="try")
    assert not app.exception
    assert len(app.error) == 1
    fine(open_page("initialize", project=project.id, step="start"))


@pytest.mark.parametrize("brief", ["", "{}", '{"task": 7}', '{"task": "{}"}', '{"task": "[]", "accepted": []}'])
def test_a_recipe_of_a_run_without_a_readable_brief_is_shown(
    open_page: Open, store: Store, project: Project, brief: str
) -> None:
    run = add_search(store, project, nodes=3)
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE runs SET brief = ? WHERE id = ?", (brief, run.id))
    db.close()
    app = fine(open_page("search", run=run.id, node="1"))
    assert app.subheader[-1].value.startswith("Recipe 1")
    assert any(caption.value.startswith("Reward") for caption in app.caption)


# --- many rounds and odd caps ----------------------------------------------------------------------------------------


def test_a_patient_teacher_gets_a_round_after_the_twentieth(open_page: Open, store: Store, project: Project) -> None:
    for _ in range(20):
        last = add_round(store, project, made=1)
    sample = store.samples(last.id)[0]
    store.add_feedback(Feedback(last.id, sample.id, Rating.USE, (), "", None, 1.0))
    app = fine(open_page("initialize", project=project.id, step="try"))
    button(app, "Make improved samples").click().run()
    fine(app)
    assert [view.number for view in rounds(store, project.id)][-2:] == [20, 21]


def _with_settings(store: Store, run_id: str, **changes: object) -> None:
    settings = RunSettings.model_validate_json(store.run(run_id).settings)
    store.set_settings(run_id, settings.model_copy(update=changes).model_dump_json())


@pytest.mark.parametrize("budget", [0.005, 1e-9, 1e12])
def test_a_search_with_any_cap_is_shown_and_extended(
    open_page: Open, store: Store, project: Project, budget: float
) -> None:
    run = add_search(store, project, nodes=3, reason=StopReason.BUDGET)
    _with_settings(store, run.id, budget_usd=budget)
    app = fine(open_page("search", run=run.id))
    assert app.number_input(f"cap:{run.id}").value == budget
    app.button("extend").click().run()
    fine(app)
    assert store.run(run.id).state is RunState.QUEUED


def test_a_search_that_planned_the_most_recipes_is_shown_and_extended(
    open_page: Open, store: Store, project: Project
) -> None:
    run = add_search(store, project, nodes=3, state=RunState.STOPPED)
    _with_settings(store, run.id, iterations=9_995)
    app = fine(open_page("search", run=run.id))
    assert app.number_input(f"total:{run.id}").value == 10_000
    app.button("extend").click().run()
    fine(app)
    assert RunSettings.model_validate_json(store.run(run.id).settings).iterations == 10_000


def test_a_search_that_tried_the_most_recipes_is_shown(
    open_page: Open, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.parts.run_view._MOST_RECIPES", 2)
    run = add_search(store, project, nodes=3, settings=RunSettings(iterations=2))
    app = fine(open_page("search", run=run.id))
    assert f"total:{run.id}" not in [each.key for each in app.number_input]
    app.button("extend").click().run()
    assert not app.exception
    assert "larger number" in app.error[0].value


@pytest.mark.parametrize("seconds", [None, 0.0, 49.0, 3_000.0, 5_399.0, 5_400.0, 360_000.0])
def test_the_time_left_fits_its_figure(store: Store, project: Project, seconds: float | None) -> None:
    now = header(store, add_search(store, project, nodes=3, state=RunState.RUNNING).id)
    assert len(_left(replace(now, seconds_left=seconds))) <= len("100.0 hours")


# --- settings --------------------------------------------------------------------------------------------------------


def test_models_are_remembered(open_page: Open, store: Store) -> None:
    app = open_page("settings")
    app.text_input("models:base_url").set_value("http://localhost:11434/v1")
    app.text_input("models:generator").set_value("llama3")
    button(app, "Save").click().run()
    fine(app)
    assert load_models(store) == ModelSettings(base_url="http://localhost:11434/v1", generator="llama3")
    assert open_page("settings").text_input("models:generator").value == "llama3"


def test_an_address_that_is_none_is_refused_and_not_kept(open_page: Open, store: Store) -> None:
    app = open_page("settings")
    app.text_input("models:base_url").set_value("ftp://x")
    button(app, "Save").click().run()
    assert "http" in app.error[0].value
    assert load_models(store) == ModelSettings()


def test_a_key_is_never_shown(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-verysecretkey1234567890"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for screen in SCREENS:
        app = fine(open_page(screen))
        assert key not in str(app)
        assert key not in said(app)


def test_the_built_in_model_is_named_as_small_where_work_starts(open_page: Open, project: Project) -> None:
    for screen, parameters in (("", {}), ("initialize", {"project": project.id, "step": "start"}), ("settings", {})):
        assert "small" in said(open_page(screen, **parameters))


def test_an_unreachable_service_is_said_in_one_sentence(open_page: Open) -> None:
    app = open_page("settings")
    app.text_input("models:base_url").set_value("http://127.0.0.1:9/v1")
    button(app, "Test connection").click().run()
    assert not app.exception
    assert len(app.error) == 1
