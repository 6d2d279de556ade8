from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autosynth_core.config import RunSettings
from autosynth_core.errors import InputError
from autosynth_core.judging import FitnessVerdict, Quality
from autosynth_core.records import Comparison, MetricSet, Project, RunKind, Standing
from autosynth_core.store import Store, export_project, import_project
from autosynth_core.views import measures, yardstick
from tests.views.plausible_measures import add_alarm, add_noise, add_race, judge_known, set_aside
from tests.views.plausible_run import METRICS, SHARPER, add_round, add_search


def test_versions_come_in_their_order_with_what_they_changed(store: Store, project: Project) -> None:
    run = add_search(store, project)
    new = set_aside(store, run)
    first, second, third = yardstick(store, run.id).versions
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert first.changes is None
    assert [metric.name for metric in second.changes.new] == ["Holds up"]
    assert [metric.name for metric in second.changes.gone] == ["Limits named"]
    assert third.metrics == new
    assert third.standing is Standing.QUARANTINED
    assert third.shift is None
    assert [each.current for each in (first, second, third)] == [False, True, False]


def test_set_as_proposed_is_not_a_version_of_its_own(store: Store, project: Project) -> None:
    run = add_search(store, project)
    set_aside(store, run)
    assert len(yardstick(store, run.id).versions) == 3


def test_shift_of_the_first_version_is_nothing_and_of_later_ones_has_an_interval(
    store: Store, project: Project
) -> None:
    run = add_search(store, project)
    first, second = yardstick(store, run.id).versions
    assert first.shift == Quality(0.0, 0.0)
    assert second.shift is not None
    assert second.shift.sd > 0
    assert abs(second.shift.mean) < 0.3  # the plausible judge is as strict by both


def test_versions_that_only_moved_a_weight_say_so(store: Store, project: Project) -> None:
    run = add_search(store, project)
    moved = MetricSet((replace(SHARPER.metrics[0], weight=9.0), *SHARPER.metrics[1:]))
    store.put_metric_set(run.id, moved, 9, None, "regenerated from samples")
    changes = yardstick(store, run.id).versions[-1].changes
    assert changes.new == changes.gone == ()
    assert changes.reweighted == tuple(sorted(metric.name for metric in moved.metrics))
    assert measures.changed(changes).startswith("Other weight: ")


# --- the judge --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gap", "verdict"), [(3.0, FitnessVerdict.WEAK), (0.0, FitnessVerdict.UNFIT)], ids=["good", "blind"]
)
def test_fitness_is_computed_anew_from_stored_verdicts(
    gap: float, verdict: FitnessVerdict, store: Store, project: Project
) -> None:
    run = add_search(store, project)
    judge_known(store, run, SHARPER, gap=gap, spread=0.3)
    found = yardstick(store, run.id)
    assert found.current is not None
    assert found.current.fitness is not None
    assert found.current.fitness.verdict in {verdict, FitnessVerdict.FIT} if gap else {verdict}
    assert found.versions[0].fitness is None  # nothing was judged by the first ones


def test_fitness_is_that_of_the_set_as_proposed(store: Store, project: Project) -> None:
    """Under weights that followed from the known outputs the judge would look better on them than it is."""
    run = add_search(store, project)
    weighed = set_aside(store, run)
    proposed = next(e.metric_set for e in store.metric_sets(run.id) if e.standing is Standing.PROPOSED)
    judge_known(store, run, proposed)
    found = yardstick(store, run.id).versions[-1]
    assert found.metrics == weighed
    assert found.fitness is not None
    assert [each.given for each in found.fitness.metrics] == [1.0, 1.0]


def test_verdicts_of_another_judge_and_second_verdicts_do_not_count(store: Store, project: Project) -> None:
    run = add_search(store, project)
    judge_known(store, run, SHARPER, gap=3.0)
    before = yardstick(store, run.id).current
    rows = [row for row in store.verdicts(run.id, version=SHARPER.version) if row.score is not None]
    known = {row.subject for row in rows} - {sample.id for sample in store.samples(run.id)}
    wrong = [replace(row, score=3.0, repeat=1) for row in rows if row.subject in known]
    store.put_verdicts([*wrong, *(replace(row, judge="another", repeat=0) for row in wrong)], run.id)
    after = yardstick(store, run.id).current
    assert before is not None
    assert after is not None
    assert after.fitness == before.fitness


def test_fitness_survives_the_archive(store: Store, project: Project, tmp_path: Path) -> None:
    run = add_search(store, project)
    judge_known(store, run, SHARPER, gap=3.0)
    with Store.open(tmp_path / "other.db") as other:
        arrived = import_project(other, export_project(store, project.id))
        there = yardstick(other, other.runs(arrived.id, RunKind.SEARCH)[0].id)
    here = yardstick(store, run.id)
    assert here.current is not None
    assert there.current is not None
    assert there.current.fitness == here.current.fitness is not None


# --- noise, race, alarms ----------------------------------------------------------------------------------------------


def test_noise_has_its_parts_and_what_it_hides(store: Store, project: Project) -> None:
    run = add_search(store, project)
    assert yardstick(store, run.id).noise is None
    add_noise(store, run, judge=0.1, sample=0.5)
    view = yardstick(store, run.id).noise
    assert view is not None
    assert view.noise.judge is not None
    assert view.noise.judge.sd < view.noise.sample.sd
    assert view.shared_inputs == 3  # of six, before a recipe is built upon
    assert view.detects > 0
    assert view.wanted == pytest.approx(0.4)  # epsilon 0.05 of the reward, half of which is the samples'
    assert f"{view.detects:.1f} points" in view.in_words


def test_noise_that_hides_what_is_wanted_says_what_would_show_it(store: Store, project: Project) -> None:
    run = add_search(store, project)
    add_noise(store, run, judge=0.02, sample=0.6)
    view = yardstick(store, run.id).noise
    assert view is not None
    assert view.detects > view.wanted
    assert "inputs" in measures.planned(view)


@pytest.mark.parametrize(
    ("gain", "verdict", "says"),
    [
        ((0.1, 0.04, 0.16), Comparison.BETTER, "Better than the first recipe by 0.10 (+0.04 to +0.16)."),
        ((-0.1, -0.16, -0.04), Comparison.WORSE, "Worse than the first recipe by 0.10 (-0.16 to -0.04)."),
        ((0.02, -0.04, 0.08), Comparison.CANT_TELL, "Can't tell it from the first recipe: +0.02 (-0.04 to +0.08)"),
    ],
    ids=["better", "worse", "can't tell"],
)
def test_gain_of_a_race_is_said_with_its_interval(
    gain: tuple[float, float, float], verdict: Comparison, says: str, store: Store, project: Project
) -> None:
    run = add_search(store, project)
    add_race(store, run, gain=gain)
    race = yardstick(store, run.id).race
    assert race is not None
    assert race.verdict is verdict
    assert says in measures.raced(race)


def test_gain_that_is_none_of_the_samples_is_not_called_better(store: Store, project: Project) -> None:
    run = add_search(store, project)
    add_race(store, run, gain=(0.03, 0.03, 0.03))
    found = yardstick(store, run.id).race
    assert found is not None
    assert "The samples of both got the same marks; the +0.03 is the mark for the recipe itself." in measures.gained(
        found
    )


def test_newest_race_is_shown_and_a_claim_that_was_too_good_is_called_so(store: Store, project: Project) -> None:
    run = add_search(store, project)
    add_race(store, run)
    add_race(store, run, judge="another")
    found = yardstick(store, run.id)
    assert found.races == 2
    assert found.race is not None
    assert found.race.second_judge
    assert "which was too high" in measures.claimed(found.race)
    fits = replace(found.race, result=replace(found.race.result, claimed=found.race.result.sealed))
    assert "which fits" in measures.claimed(fits)


def test_alarms_are_newest_first_and_settled_ones_are_not_open(store: Store, project: Project) -> None:
    run = add_search(store, project)
    assert yardstick(store, run.id).alarms == ()
    new = set_aside(store, run)
    add_alarm(store, run, "length", "first")
    add_alarm(store, run, "length", "second")
    found = yardstick(store, run.id)
    assert [event.message for event in found.alarms] == ["second", "first", "New criteria were set aside."]
    assert [event.message for event in found.open_alarms] == ["second", "New criteria were set aside."]
    store.decide_on_metric_set(run.id, new.version, Standing.REJECTED)
    assert [event.message for event in yardstick(store, run.id).open_alarms] == ["second"]
    assert len(yardstick(store, run.id).alarms) == 3


# --- what can't be read -----------------------------------------------------------------------------------------------


def test_round_has_no_yardstick(store: Store, project: Project) -> None:
    run = add_round(store, project)
    with pytest.raises(InputError, match="not judged"):
        yardstick(store, run.id)


def test_search_that_has_not_begun_has_an_empty_one(store: Store, project: Project) -> None:
    run = store.add_run(project.id, RunKind.SEARCH, RunSettings().model_dump_json())
    found = yardstick(store, run.id)
    assert (found.versions, found.noise, found.race, found.alarms, found.current) == ((), None, None, (), None)


@pytest.mark.parametrize("brief", ["", "[]", "{}", '{"task": 3}', '{"task": "{}"}', "nonsense"])
def test_brief_that_cannot_be_read_falls_back_to_the_project(brief: str, store: Store, project: Project) -> None:
    run = store.add_run(project.id, RunKind.SEARCH, RunSettings().model_dump_json(), brief)
    store.put_metric_set(run.id, METRICS, 0, None, "")
    assert yardstick(store, run.id).versions[0].metrics == METRICS


def test_the_task_of_the_run_counts_and_not_the_task_of_today(store: Store, project: Project) -> None:
    run = add_search(store, project)
    judge_known(store, run, SHARPER, gap=3.0)
    before = yardstick(store, run.id).current
    store.update_task(project.id, replace(project.task, good_examples=(), bad_examples=()))
    store.put_metric_set(run.id, METRICS, 11, None, "again")  # or the answer would be the kept one
    after = yardstick(store, run.id).versions[1]
    assert before is not None
    assert after.fitness == before.fitness
