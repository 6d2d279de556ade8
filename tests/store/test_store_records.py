from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from autosynth_core.errors import InputError, StoreError
from autosynth_core.records import (
    Capabilities,
    Command,
    Event,
    Feedback,
    Form,
    Gate,
    Metric,
    MetricSet,
    Node,
    NodeState,
    Rating,
    Run,
    RunKind,
    RunState,
    Sample,
    SampleState,
    Scope,
    ScoreRow,
    SeedInput,
    Task,
    Verdict,
    VerdictMethod,
)
from autosynth_core.store import Store, WorkflowScore, task_from_json, task_to_json

NASTY = "NUL \x00, lone \ud83d and \udcff, 😀, '); DROP TABLE runs; --"
METRICS = MetricSet((Metric("clear", "is clear", "muddy", "clear", 2.0), Metric(NASTY, NASTY, NASTY, NASTY)))


def sample(run: Run, **changes: object) -> Sample:
    values: dict[str, object] = {
        "run_id": run.id,
        "fingerprint": "f1",
        "seed": SeedInput({"concept": NASTY}),
        "replicate": 0,
        "state": SampleState.OK,
        "output": {"analogy": NASTY, "n": [1, 2.5, None, {"deep": True}]},
        "ms": 12,
    }
    return Sample(**(values | changes))  # type: ignore[arg-type]


def verdict(subject: str, **changes: object) -> Verdict:
    values: dict[str, object] = {
        "subject": subject,
        "metric": "clear",
        "version": METRICS.version,
        "judge": "j",
        "prompt_hash": "p",
        "score": 3.5,
        "method": VerdictMethod.EXPECTED,
    }
    return Verdict(**(values | changes))  # type: ignore[arg-type]


def node(run: Run, number: int = 0, **changes: object) -> Node:
    values: dict[str, object] = {
        "run_id": run.id,
        "number": number,
        "parent": None if number == 0 else number - 1,
        "state": NodeState.SCORED,
        "form": Form.EDIT,
        "operator": NASTY,
        "target": NASTY,
        "modification": NASTY,
        "weakness": NASTY,
        "source": NASTY,
        "fingerprint": f"f{number}",
        "gate": Gate.DRY_RUN,
        "reason": NASTY,
        "repairs": 2,
        "metric_version": "v",
        "duplicate_of": 0,
    }
    return Node(**(values | changes))  # type: ignore[arg-type]


# --- tasks and projects -------------------------------------------------------------------------------------------


def test_a_task_survives_its_json_whole(task: Task) -> None:
    assert task_from_json(task_to_json(task)) == task
    assert task_from_json(task_to_json(replace(task, expert_workflow=None))).expert_workflow is None


@pytest.mark.parametrize(
    "stored",
    ["", "null", "[]", "{}", '{"title": 1}', "[" * 100_000, '{"title": "x", "output_fields": 3}', "1" * 5000],
    ids=["empty", "null", "list", "no fields", "number", "deep", "half", "long number"],
)
def test_what_is_no_task_is_refused_in_a_sentence(stored: str) -> None:
    with pytest.raises(InputError, match="task"):
        task_from_json(stored)


def test_a_project_is_read_back_equal_and_named_after_its_title(store: Store, task: Task) -> None:
    project = store.add_project(task)
    assert project.id == "analogies-for-science-0001"
    assert store.project(project.id) == project
    assert store.projects() == [project]


@pytest.mark.parametrize("title", ["", "🎈", "../../etc", "a" * 500], ids=["empty", "emoji", "path", "long"])
def test_any_title_gives_a_short_plain_id(store: Store, task: Task, title: str) -> None:
    project_id = store.add_project(replace(task, title=title)).id
    assert set(project_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(project_id) <= 45


def test_the_newest_project_comes_first(store: Store, task: Task) -> None:
    first, second = store.add_project(task), store.add_project(task)
    assert store.projects() == [second, first]


def test_an_updated_task_does_not_change_a_runs_brief(store: Store, run: Run, task: Task) -> None:
    store.update_task(run.project_id, replace(task, title="New"))
    assert store.project(run.project_id).task.title == "New"
    assert store.run(run.id).brief == '{"task": {}}'


@pytest.mark.parametrize("wanted", ["nobody", NASTY, "", "' OR 1=1 --"], ids=["plain", "nasty", "empty", "injection"])
def test_an_unknown_project_or_run_is_said_to_be_missing(store: Store, run: Run, task: Task, wanted: str) -> None:
    for ask in (
        lambda: store.project(wanted),
        lambda: store.run(wanted),
        lambda: store.update_task(wanted, task),
        lambda: store.set_run_state(wanted, RunState.RUNNING),
        lambda: store.set_settings(wanted, "{}"),
    ):
        with pytest.raises(InputError, match="There is no"):
            ask()
    assert store.node(wanted, 0) is None
    assert store.sample(wanted) is None
    assert store.metric_set(wanted) is None
    assert store.lease(wanted) is None
    assert store.tree_version(wanted) == 0


def test_a_row_for_a_run_that_is_gone_is_refused(store: Store, run: Run) -> None:
    gone = replace(run, id="gone")
    for write in (
        lambda: store.add_run("gone", RunKind.SEARCH, "{}"),
        lambda: store.put_node(node(gone)),
        lambda: store.put_sample(sample(gone)),
        lambda: store.put_verdicts([verdict("s")], "gone"),
        lambda: store.ask("gone", Command.STOP, 1.0),
        lambda: store.acquire("gone", "me", 1.0, 5.0),
        lambda: store.add_event(Event("gone", 1.0, "k", "m")),
    ):
        with pytest.raises(StoreError, match="no such project or run"):
            write()


def test_a_deleted_project_leaves_nothing_behind(store: Store, run: Run) -> None:
    fill(store, run)
    store.delete_project(run.project_id)
    with store._db.read() as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    assert {name for name, rows in left.items() if rows} == {"_sqlite_migrations", "sqlite_sequence"}


def fill(store: Store, run: Run) -> None:
    store.put_outcome(node(run), [Event(run.id, 1.0, "k", "m")])
    made = sample(run)
    store.put_sample(made)
    store.put_metric_set(run.id, METRICS, 0, 0.5, "made")
    store.put_verdicts([verdict(made.id)], run.id)
    store.add_feedback(Feedback(run.id, made.id, Rating.USE))
    store.ask(run.id, Command.PAUSE, 1.0)
    store.failure(Scope(run.id, "sample"), "time-out", "")
    store.acquire(run.id, "me", 1.0, 5.0)


def test_a_project_is_not_deleted_while_its_run_is_alive(store: Store, run: Run) -> None:
    store.acquire(run.id, "me", 1000.0, 60.0)
    with pytest.raises(InputError, match="still going"):
        store.delete_project(run.project_id)
    store.release(run.id, "me")
    store.delete_project(run.project_id)
    assert store.projects() == []


# --- runs ---------------------------------------------------------------------------------------------------------


def test_runs_are_read_back_equal_in_order_and_by_kind(store: Store, run: Run, task: Task) -> None:
    round_ = store.add_run(run.project_id, RunKind.ROUND, "{}", state=RunState.RUNNING)
    other = store.add_run(store.add_project(task).id, RunKind.SEARCH, "{}")
    assert store.run(run.id) == run
    assert store.runs() == [run, round_, other]
    assert store.runs(run.project_id) == [run, round_]
    assert store.runs(kind=RunKind.SEARCH) == [run, other]
    assert store.runs(run.project_id, RunKind.ROUND) == [round_]


def test_a_run_that_goes_on_has_no_end(store: Store, run: Run) -> None:
    store.set_run_state(run.id, RunState.FINISHED, NASTY)
    ended = store.run(run.id)
    assert (ended.state, ended.reason) == (RunState.FINISHED, NASTY)
    assert ended.finished is not None
    store.set_run_state(run.id, RunState.RUNNING)
    assert (store.run(run.id).finished, store.run(run.id).reason) == (None, "")
    store.set_settings(run.id, '{"iterations": 9}')
    assert store.run(run.id).settings == '{"iterations": 9}'


# --- nodes and samples --------------------------------------------------------------------------------------------


def test_nodes_are_read_back_equal_and_by_number(store: Store, run: Run) -> None:
    nodes = [node(run, number) for number in range(12)]
    for each in reversed(nodes):
        store.put_node(each)
    assert store.nodes(run.id) == nodes
    assert store.node(run.id, 7) == nodes[7]


def test_a_node_is_replaced_by_its_later_state(store: Store, run: Run) -> None:
    store.put_node(node(run, state=NodeState.RUNNING))
    store.put_node(node(run, state=NodeState.BROKEN, gate=None, duplicate_of=None))
    assert store.nodes(run.id) == [node(run, state=NodeState.BROKEN, gate=None, duplicate_of=None)]


def test_an_outcome_is_kept_whole_or_not_at_all(store: Store, run: Run) -> None:
    store.put_outcome(node(run), [Event(run.id, 1.0, "scored", NASTY, 0)])
    with pytest.raises(StoreError):
        store.put_outcome(node(run, 1), [Event(run.id, 2.0, "a", "b"), Event("gone", 2.0, "a", "b")])
    assert [each.number for each in store.nodes(run.id)] == [0]
    assert [event.message for event in store.events(run.id)] == [NASTY]


def test_a_sample_is_read_back_equal(store: Store, run: Run) -> None:
    made = sample(run)
    store.put_sample(made)
    assert store.sample(made.id) == made
    assert store.samples(run.id) == store.samples(run.id, "f1") == [made]
    assert store.samples(run.id, "f2") == []


@pytest.mark.parametrize("state", [SampleState.OK, SampleState.WORKFLOW_FAILED], ids=str)
def test_a_sample_that_came_to_an_end_is_never_replaced(store: Store, run: Run, state: SampleState) -> None:
    first = sample(run, state=state, output={"analogy": "first"} if state is SampleState.OK else None)
    store.put_sample(first)
    store.put_sample(sample(run, output={"analogy": "second"}))
    assert store.samples(run.id) == [first]


def test_a_sample_that_the_endpoint_failed_is_made_good_later(store: Store, run: Run) -> None:
    store.put_sample(sample(run, state=SampleState.MODEL_FAILED, output=None, reason="no answer"))
    store.put_sample(sample(run))
    assert store.samples(run.id) == [sample(run)]


# --- verdicts -----------------------------------------------------------------------------------------------------


def test_a_verdict_given_twice_counts_once(store: Store, run: Run) -> None:
    store.put_sample(sample(run))
    store.put_verdicts([verdict(sample(run).id), verdict(sample(run).id, score=1.0)], run.id)
    store.put_verdicts([verdict(sample(run).id, score=5.0)], run.id)
    assert [row.score for row in store.sample_scores(run.id)] == [3.5]


@pytest.mark.parametrize(
    "changes",
    [{"metric": NASTY}, {"version": "v2"}, {"judge": NASTY}, {"prompt_hash": "q"}],
    ids=["metric", "version", "judge", "prompt"],
)
def test_a_verdict_that_differs_in_its_making_is_another(store: Store, run: Run, changes: dict[str, str]) -> None:
    given = [verdict(sample(run).id), verdict(sample(run).id, **changes)]
    store.put_sample(sample(run))
    store.put_verdicts(given, run.id)
    assert store.verdicts(run.id) == given
    last = store.sample_scores(run.id)[-1]
    seed_id = sample(run).seed.id
    assert last == ScoreRow("f1", seed_id, 0, given[1].version, given[1].judge, given[1].metric, 3.5)


def test_an_unread_verdict_is_kept_out_of_scores_and_does_not_block_a_later_one(store: Store, run: Run) -> None:
    store.put_sample(sample(run))
    unread = verdict(sample(run).id, score=None, reason=NASTY)
    store.put_verdicts([unread, unread], run.id)
    assert store.sample_scores(run.id) == []
    store.put_verdicts([verdict(sample(run).id)], run.id)
    assert store.verdicts(run.id) == [unread, verdict(sample(run).id)]
    assert [row.score for row in store.sample_scores(run.id)] == [3.5]


def test_a_score_that_is_no_number_is_unread(store: Store, run: Run) -> None:
    store.put_verdicts([verdict("s", score=float("nan"))], run.id)
    assert [given.score for given in store.verdicts(run.id)] == [None]


def test_two_runs_may_judge_the_same_workflow(store: Store, run: Run) -> None:
    other = store.add_run(run.project_id, RunKind.SEARCH, "{}")
    for each in (run, other):
        store.put_verdicts([verdict("f1", version="workflow", metric="clarity")], each.id)
        assert store.workflow_scores(each.id) == [WorkflowScore("f1", "j", "clarity", 3.5)]
    assert store.workflow_scores(run.id, fingerprint="f2") == []
    assert store.workflow_scores(run.id, fingerprint="f1", judge="other") == []


def test_verdicts_and_scores_are_found_by_what_they_are_of(store: Store, run: Run) -> None:
    subjects = [sample(run, fingerprint=f"f{n}") for n in range(3)]
    for each in subjects:
        store.put_sample(each)
        store.put_verdicts([verdict(each.id), verdict(each.id, version="v2"), verdict(each.id, judge="k")], run.id)
    assert len(store.verdicts(run.id)) == 9
    assert {v.subject for v in store.verdicts(run.id, subjects=[subjects[1].id, "x"])} == {subjects[1].id}
    assert store.verdicts(run.id, subjects=[]) == []
    assert len(store.verdicts(run.id, version="v2")) == 3
    assert {row.fingerprint for row in store.sample_scores(run.id, fingerprint="f2")} == {"f2"}
    assert len(store.sample_scores(run.id, fingerprint="f2", version="v2", judge="j")) == 1
    assert len(store.verdicts(run.id, subjects=[str(n) for n in range(100_000)])) == 0


def test_verdicts_are_kept_all_or_none(store: Store, run: Run) -> None:
    with pytest.raises(AttributeError):
        store.put_verdicts([verdict("a"), None], run.id)  # type: ignore[list-item]
    assert store.verdicts(run.id) == []


# --- the rest of a run --------------------------------------------------------------------------------------------


def test_metric_sets_come_back_in_the_order_they_came(store: Store, run: Run) -> None:
    other = MetricSet(METRICS.metrics[:1])
    for iteration, each in enumerate((METRICS, other, METRICS)):
        store.put_metric_set(run.id, each, iteration, None if iteration == 0 else 0.5, NASTY)
        store.put_metric_set(run.id, each, iteration, 0.9, "again")
    found = store.metric_sets(run.id)
    assert [(each.metric_set, each.iteration, each.agreement) for each in found] == [
        (METRICS, 0, None), (other, 1, 0.5), (METRICS, 2, 0.5),
    ]  # fmt: skip
    assert {each.provenance for each in found} == {NASTY}
    assert store.metric_set(METRICS.version) == METRICS


def test_events_are_read_on_from_the_last_one_seen(store: Store, run: Run) -> None:
    ids = [store.add_event(Event(run.id, float(n), "kind", f"line {n}", n)) for n in range(10)]
    assert [event.id for event in store.events(run.id)] == ids
    assert store.events(run.id, after_id=ids[8]) == [Event(run.id, 9.0, "kind", "line 9", 9, ids[9])]
    assert [event.node for event in store.events(run.id, limit=3)] == [0, 1, 2]
    assert [event.node for event in store.events(run.id, limit=3, newest=True)] == [7, 8, 9]


def test_the_latest_feedback_on_a_sample_counts(store: Store, run: Run) -> None:
    store.add_feedback(Feedback(run.id, "s1", Rating.USE, at=1.0))
    store.add_feedback(Feedback(run.id, "s2", Rating.NOT_USABLE, (NASTY, "b"), NASTY, at=2.0))
    latest = Feedback(run.id, "s1", Rating.USE_EDITED, (), "", {"analogy": NASTY}, 3.0)
    store.add_feedback(latest)
    assert store.feedback(run.id) == [latest, Feedback(run.id, "s2", Rating.NOT_USABLE, (NASTY, "b"), NASTY, None, 2.0)]


def test_capabilities_are_replaced_by_a_later_probe(store: Store) -> None:
    first = Capabilities("http://a", "m", True, False, True, None, 12, 1.5)
    store.put_capabilities(first)
    assert store.capabilities("http://a", "m") == first
    store.put_capabilities(replace(first, rewrites=False))
    assert store.capabilities("http://a", "m") == replace(first, rewrites=False)
    assert store.capabilities("http://b", "m") is None


def test_commands_wait_until_they_are_handled(store: Store, run: Run) -> None:
    store.ask(run.id, Command.PAUSE, 1.0)
    second = store.ask(run.id, Command.STOP, 2.0)
    first = store.pending(run.id)[0]
    assert (first.command, first.at, first.run_id) == (Command.PAUSE, 1.0, run.id)
    store.handled(first.id, 3.0)
    assert [request.id for request in store.pending(run.id)] == [second]


def test_the_tree_version_grows_with_all_that_is_shown_and_with_nothing_else(store: Store, run: Run) -> None:
    other = store.add_run(run.project_id, RunKind.SEARCH, "{}")
    made = sample(run)
    steps = [
        lambda: store.put_node(node(run)),
        lambda: store.put_node(node(run, state=NodeState.BROKEN)),
        lambda: store.put_sample(made),
        lambda: store.put_verdicts([verdict(made.id)], run.id),
        lambda: store.put_metric_set(run.id, METRICS, 0, None, ""),
        lambda: store.add_event(Event(run.id, 1.0, "k", "m")),
        lambda: store.add_feedback(Feedback(run.id, made.id, Rating.USE)),
        lambda: store.ask(run.id, Command.STOP, 1.0),
        lambda: store.set_run_state(run.id, RunState.RUNNING),
        lambda: store.failure(Scope(run.id, "sample"), "time-out", ""),
    ]
    versions = [store.tree_version(run.id)]
    for step in steps:
        step()
        versions.append(store.tree_version(run.id))
    assert all(before < after for before, after in pairwise(versions))
    store.put_sample(made)
    store.put_verdicts([verdict(made.id)], run.id)
    store.acquire(run.id, "me", 1.0, 5.0)
    store.heartbeat(run.id, "me", 2.0)
    store.put_node(node(other))
    assert store.tree_version(run.id) == versions[-1]


def test_queued_runs_and_runs_with_commands_wait_for_the_engine(store: Store, run: Run) -> None:
    asked = store.add_run(run.project_id, RunKind.SEARCH, "{}", state=RunState.FINISHED)
    store.add_run(run.project_id, RunKind.SEARCH, "{}", state=RunState.RUNNING)
    command = store.ask(asked.id, Command.RESUME, 1.0)
    assert store.waiting() == [run.id, asked.id]
    store.handled(command, 2.0)
    store.set_run_state(run.id, RunState.RUNNING)
    assert store.waiting() == []


def test_a_setting_is_replaced_by_a_later_choice(store: Store) -> None:
    assert store.setting("models") is None
    for value in ("{}", NASTY):
        store.put_setting("models", value)
        assert store.setting("models") == value


def test_one_workflows_rows_are_found_without_reading_the_whole_run(store: Store, run: Run) -> None:
    """The engine asks for them after every sample. Steps of SQLite's machine are counted, since times vary."""
    for number in range(300):
        each = sample(run, fingerprint=f"f{number}")
        store.put_sample(each)
        store.put_verdicts([verdict(each.id, metric=f"m{metric}") for metric in range(4)], run.id)
    subject = sample(run, fingerprint="f7").id
    counted: list[int] = []
    with store._db.read() as db:
        db.set_progress_handler(lambda: counted.append(1), 100)  # every 100 steps
    assert len(store.sample_scores(run.id, fingerprint="f7", version=METRICS.version, judge="j")) == 4
    assert len(store.verdicts(run.id, subjects=[subject], version=METRICS.version)) == 4
    assert store.workflow_scores(run.id, fingerprint="f7") == []
    assert len(store.samples(run.id, "f7")) == 1
    assert len(counted) < 20
