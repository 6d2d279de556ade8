"""The simulated world is what it says, and the bench on it repeats itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any

import pytest

from autosynth_core.config import RunSettings
from benchmarks.search_quality import SHIPPED, main
from benchmarks.simulated import Judge, LandscapeError, kendall, read_landscape
from benchmarks.simulated.arms import ARMS, arm_settings
from benchmarks.simulated.draws import between
from benchmarks.simulated.judge import Rubric, write_rubric
from benchmarks.simulated.models import World
from benchmarks.simulated.task import known, known_quality, simulated_task
from benchmarks.simulated.texts import SampleText, broken, program, program_in, read_sample, write_sample
from benchmarks.simulated.trials import Conditions, Trial, run_trials

LANDSCAPES = sorted(SHIPPED.glob("*.json"))
TABLE = {
    "kind": "table",
    "name": "t",
    "first": "a",
    "states": {"a": 0.5, "b": 0.6},
    "moves": {"a": {"b": 1}, "b": {"a": 1}},
}


def written(folder: Path, content: object) -> Path:
    path = folder / "landscape.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# --- landscapes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LANDSCAPES, ids=lambda path: path.stem)
def test_shipped_landscape_starts_and_ends_where_it_says(path: Path) -> None:
    spec = read_landscape(path)
    for seed in range(3):
        drawn, random = spec.draw(seed), Random(seed)
        assert drawn.quality(drawn.first) == pytest.approx(0.5)
        assert drawn.best is None or 0.7 <= drawn.best <= 0.85
        genome = drawn.first
        for _ in range(50):
            child = drawn.child(genome, random)
            assert child != genome
            assert 0.05 <= drawn.quality(child) <= (drawn.best or 0.95) + 1e-9
            genome = child


@pytest.mark.parametrize("path", LANDSCAPES, ids=lambda path: path.stem)
def test_landscape_is_the_same_for_the_same_seed(path: Path) -> None:
    spec = read_landscape(path)

    def walked(seed: int) -> list[float]:
        drawn, random, genomes = spec.draw(seed), Random(1), []
        genome = drawn.first
        for _ in range(20):
            genome = drawn.child(genome, random)
            genomes.append(drawn.quality(genome))
        return genomes

    assert walked(3) == walked(3)
    assert spec.kind in ("walk", "table", "deceptive") or walked(3) != walked(4)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "hilly"}, "kind"),
        ({"states": {"a": 0.5}}, "states"),
        ({"states": {"a": 0.5, "b": 1.5}}, "less than or equal to 0.95"),
        ({"states": {"a": 0.5, "b": None}}, "states"),
        ({"first": "c"}, "'c' is not among the states"),
        ({"moves": {"a": {"c": 1}, "b": {"a": 1}}}, "'c' is not among the states"),
        ({"moves": {"a": {"b": 1}}}, "'b' has no moves"),
        ({"moves": {"a": {"a": 1, "b": 1}, "b": {"a": 1}}}, "own child"),
        ({"moves": {"a": {"b": -1}, "b": {"a": 1}}}, "greater than 0"),
        ({"hills": 3}, "Extra inputs"),
        ({"first": "A B"}, "first"),
    ],
    ids=[
        "kind", "one state", "quality", "no quality", "first", "unknown child", "dead end", "itself", "odds", "extra",
        "name",
    ],
)  # fmt: skip
def test_unusable_landscape_is_refused_in_one_sentence(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(LandscapeError) as refused:
        read_landscape(written(tmp_path, {**TABLE, **change}))
    assert problem in str(refused.value)
    assert "docs/benchmarks.md" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '"walk"', "null", "[" * 100_000, "\x00"], ids=repr)
def test_what_is_no_landscape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(LandscapeError):
        read_landscape(written(tmp_path, text))


def test_missing_landscape_is_named_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--landscape", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json can't be read" in capsys.readouterr().err


def test_best_of_an_additive_landscape_can_be_reached() -> None:
    drawn = read_landscape(SHIPPED / "additive.json").draw(5)
    genome = drawn.first
    for place in range(len(genome)):
        genome = max((genome[:place] + level + genome[place + 1 :] for level in "012"), key=drawn.quality)
    assert drawn.quality(genome) == pytest.approx(drawn.best)


def test_trap_pays_for_the_wrong_way_first() -> None:
    drawn = read_landscape(SHIPPED / "deceptive.json").draw(0)
    start = drawn.quality(drawn.first)
    assert drawn.quality("000" + drawn.first[3:]) > start
    assert drawn.quality("110" + drawn.first[3:]) < start
    assert drawn.quality("111" * 4) == pytest.approx(drawn.best)


# --- the judge ----------------------------------------------------------------------------------------------------


def node_scores(judge: Judge, quality: float, nodes: int = 600, criterion: str = "") -> list[float]:
    """Scores of workflows of the same quality, on the same inputs, as the engine would form them."""

    def verdict(node: int, given: int, metric: int) -> float:
        text = f"sample {node} on {given}"
        return judge.reward(
            SampleText("g", 0.0, 0.0, 0), text, f"input {given}", f"{criterion} {metric}", "judge", lambda _: quality
        )

    return [
        fmean(verdict(node, given, metric) for given in range(judge.seed_inputs) for metric in range(judge.metrics))
        for node in range(nodes)
    ]


@pytest.mark.parametrize("quality", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_noise_has_the_spread_it_should(noise: float, quality: float) -> None:
    scores = node_scores(Judge(noise=noise, difficulty=0.0), quality)
    assert pstdev(scores) == pytest.approx(noise, rel=0.1)
    assert fmean(scores) == pytest.approx(quality, abs=4 * noise / math.sqrt(len(scores)))


def test_judge_without_noise_tells_the_truth() -> None:
    assert node_scores(Judge(noise=0.0, difficulty=0.0), 0.62, nodes=2) == pytest.approx([0.62, 0.62])


def test_luck_of_a_sample_stays_when_it_is_judged_again() -> None:
    judge = Judge(noise=0.1, difficulty=0.0, luck_share=1.0)
    one, other = node_scores(judge, 0.5, 20, "now"), node_scores(judge, 0.5, 20, "later")
    assert one == pytest.approx(other)
    judge = Judge(noise=0.1, difficulty=0.0, luck_share=0.5)
    one, other = node_scores(judge, 0.5, 300, "now"), node_scores(judge, 0.5, 300, "later")
    apart = pstdev(a - b for a, b in zip(one, other, strict=True))
    assert apart == pytest.approx(0.1, rel=0.15)  # sqrt(2 x half of the variance)


def test_rubric_that_grows_easier_lifts_every_score() -> None:
    judge = Judge(noise=0.0, difficulty=0.0, drift=0.01)
    later = write_rubric(Rubric(10), 0)
    assert node_scores(judge, 0.5, 1, later) == pytest.approx([0.6])


@pytest.mark.parametrize("poison", ["length", "nothing"])
def test_poisoned_rubric_does_not_see_quality(poison: str) -> None:
    judge = Judge(noise=0.0, difficulty=0.0, poison=poison)  # type: ignore[arg-type]
    mark = write_rubric(Rubric(3, poisoned=True), 0)
    assert node_scores(judge, 0.2, 3, mark) == node_scores(judge, 0.8, 3, mark)


@pytest.mark.parametrize("mean", [0.001, 0.3, 0.999])
def test_bounded_noise_stays_within_its_bounds(mean: float) -> None:
    random = Random(1)
    draws = [between(mean, 0.4, random) for _ in range(4000)]
    assert 0 <= min(draws) <= max(draws) <= 1
    assert fmean(draws) == pytest.approx(mean, abs=0.03)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("topic red", "the weather"),
        lambda text: " ".join(reversed(text.split())),
        lambda text: text + " It says that the answer is a secret.",
    ],
    ids=["truncated", "off topic", "shuffled", "must-never"],
)
def test_spoiled_copy_shows_a_fault(spoil: Any) -> None:
    text = write_sample(known(0.8), "topic red", "copy")
    assert read_sample(text, "topic red").faults == 0
    assert read_sample(spoil(text), "topic red").faults > 0


def test_known_examples_have_their_quality() -> None:
    task = simulated_task()
    good, bad = (
        [known_quality(read_sample(each.output["text"], each.seed["topic"]).genome) for each in examples]
        for examples in (task.good_examples, task.bad_examples)
    )
    assert min(value for value in good if value) > max(value for value in bad if value)
    assert known_quality("0101") is None


def test_program_in_a_prompt_is_the_one_to_improve() -> None:
    source = program("0101", "first")
    prompt = f"A form:\n```python\nelse\n```\nThis is the program to improve:\n```python\n{source}```"
    assert program_in(prompt) == source
    assert broken(source) != source


def test_kendall_is_that_of_the_textbook() -> None:
    assert kendall([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(1)
    assert kendall([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert kendall([1, 1], [1, 2]) is None


# --- arms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ARMS)
def test_arm_is_made_of_settings_that_the_engine_takes(arm: str) -> None:
    found = arm_settings(ARMS[arm], stopping=False, seed=1)
    assert isinstance(found.settings, RunSettings)
    assert set(found.missing) <= set(ARMS[arm])


# --- whole runs ---------------------------------------------------------------------------------------------------

SMALL = ["--repeats", "2", "--iterations", "6", "--seed-inputs", "4", "--jobs", "1", "--json"]


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*SMALL, *words]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    for row in found.get("rows", ()):
        row.pop("seconds")
    found.pop("wall_s")
    return found


def test_small_bench_repeats_itself_and_knows_the_truth(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--landscape", "walk", "--arms", "default,best_of_n", "--plot", str(tmp_path / "plot.html"))
    found = figures(capsys, *words)
    assert [row["arm"] for row in found["rows"]] == ["default", "best_of_n"]
    for row in found["rows"]:
        assert row["regret"]["n"] == 2
        assert row["regret"]["mean"] >= 0
        assert row["judge_calls"]["mean"] > 0
    assert "plotly" in (tmp_path / "plot.html").read_text(encoding="utf-8")
    assert figures(capsys, *words) == found


def test_without_noise_the_best_is_chosen_and_told_as_it_is() -> None:
    spec = read_landscape(SHIPPED / "additive.json")
    near = Conditions({"noise": 0.0, "difficulty": 0.0})
    facts = run_trials([Trial(spec, "aflow", 7, near, {"iterations": 8, "seed_inputs": 3})])[0]
    assert facts.regret == pytest.approx(0, abs=1e-9)
    assert facts.error == pytest.approx(0, abs=1e-6)


def test_more_workers_take_less_simulated_time() -> None:
    spec = read_landscape(SHIPPED / "walk.json")
    given = {"iterations": 8, "seed_inputs": 3}
    one, four = run_trials(
        [Trial(spec, "best_of_n", 3, given=given, changed={"workers": count}, pace=1.0) for count in (1, 4)]
    )
    assert one.seconds < one.simulated_s
    assert one.simulated_s > 2 * four.simulated_s


def test_broken_and_repeated_children_come_at_their_rates() -> None:
    spec = read_landscape(SHIPPED / "walk.json")
    near = Conditions(broken=0.5, duplicate=0.5, unchanged=0.0)
    facts = run_trials([Trial(spec, "random", 1, near, {"iterations": 8, "seed_inputs": 3})])[0]
    assert facts.broken + facts.duplicates == 8
    assert min(facts.broken, facts.duplicates) > 0


def test_world_is_the_same_for_the_same_trial() -> None:
    trial = Trial(read_landscape(SHIPPED / "rugged.json"), "default", 4, Conditions(poisoned=3))
    one, other = trial.world(), trial.world()
    assert isinstance(one, World)
    assert one.poisoned == other.poisoned
    assert len(one.poisoned) == 3
    assert one.quality(one.landscape.first) == other.quality(other.landscape.first)
