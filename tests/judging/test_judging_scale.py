"""The one scale, against data drawn from its own model and against data that break it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from autosynth_core.judging import Observation, Scale, Spread, estimate_spread, fit_scale, raw_scale

BEFORE = Spread(sample=0.4, judge=0.2)
FIRST = "v00"


@dataclass(frozen=True)
class World:
    """A made-up run: what was seen, and the truth behind it, in points."""

    observations: list[Observation]
    parents: dict[int, int | None]
    own: dict[int, str]  # each node's own version
    qualities: np.ndarray
    shifts: dict[str, float]

    @property
    def scale(self) -> Scale:
        return fit_scale(self.observations, self.parents, estimate_spread(self.observations, BEFORE), FIRST)

    @property
    def raw(self) -> Scale:
        return raw_scale(self.observations, self.own, BEFORE)


def world(
    chance: np.random.Generator,
    *,
    nodes: int = 16,
    seeds: int = 6,
    every: int = 4,
    luck: float = 0.4,
    noise: float = 0.2,
    step: float = 0.2,
    drift: float = 0.0,
    mildness: float = 0.3,
    easier: float = 0.0,
    beside: bool = True,
    panel: int = 0,
    star: bool = False,
) -> World:
    """Draw a run from the model.

    Every so many nodes there is a new version, by N(0, ``mildness``) milder than the first and by ``easier`` more with
    every node. ``beside``: a parent is judged again beside its child. ``panel``: so many earlier nodes are judged under
    every new version, the root among them. ``star``: all are children of the root.
    """
    hard = chance.normal(0, 0.5, seeds)
    hard -= hard.mean()
    parents: dict[int, int | None] = {0: None}
    own, shifts, qualities = {0: FIRST}, {FIRST: 0.0}, [3.0]
    lucky = chance.normal(0, luck, (nodes, seeds))
    seen: dict[tuple[int, str, int], float] = {}

    def look(node: int, version: str) -> None:
        for seed in range(seeds):
            there = qualities[node] + shifts[version] + hard[seed] + lucky[node, seed] + chance.normal(0, noise)
            seen.setdefault((node, version, seed), there)

    look(0, FIRST)
    for node in range(1, nodes):
        parent = 0 if star else int(chance.integers(0, node))
        qualities.append(qualities[parent] + drift + chance.normal(0, step))
        parents[node], version = parent, f"v{node // every:02d}"
        if version not in shifts:
            shifts[version] = chance.normal(0, mildness) + easier * node
            others = chance.permutation(np.arange(1, node))[: panel - 1] if panel > 1 else []
            for again in [0, *others] if panel else []:
                look(int(again), version)
        own[node] = version
        look(node, version)
        if beside:
            look(parent, version)
    rows = [Observation(node, version, f"s{seed}", score) for (node, version, seed), score in seen.items()]
    return World(rows, parents, own, np.array(qualities), shifts)


def worlds(count: int, seed: int, **given: object) -> list[World]:
    chance = np.random.default_rng(seed)
    return [world(chance, **given) for _ in range(count)]  # type: ignore[arg-type]


def tau(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's rank correlation, without ties."""
    pairs = list(combinations(range(len(one)), 2))
    return float(np.mean([np.sign((one[i] - one[j]) * (other[i] - other[j])) for i, j in pairs]))


# --- against the truth --------------------------------------------------------------------------------------------

SETTINGS = {
    "new metrics now and then": {},
    "new metrics for every child": {"every": 1},
    "new metrics and a panel": {"every": 2, "panel": 4},
    "never": {"every": 1000},
    "children get better": {"drift": 0.1},
    "noisy judge": {"noise": 0.4, "luck": 0.2},
    "three seed inputs": {"seeds": 3},
}


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_estimates_are_unbiased_and_intervals_hold_the_truth_as_often_as_they_say(given: dict[str, float]) -> None:
    errors: list[float] = []
    held: list[bool] = []
    compared: list[bool] = []
    for each in worlds(150, 5, **given):
        scale = each.scale
        for node, truth in enumerate(each.qualities):
            found = scale.quality(node)
            errors.append(found.mean - truth)
            held.append(found.low <= truth <= found.high)
            if node:
                gap = scale.difference(node, 0)
                compared.append(gap.low <= truth - each.qualities[0] <= gap.high)
    per_world = np.array(errors).reshape(150, -1).mean(axis=1)
    assert abs(per_world.mean()) < 3 * per_world.std() / math.sqrt(150)
    assert 0.93 <= np.mean(held) <= 0.97
    assert 0.92 <= np.mean(compared) <= 0.97


def test_shifts_are_recovered_with_intervals_that_hold_them() -> None:
    held, errors = [], []
    for each in worlds(150, 7):
        scale = each.scale
        for version, truth in each.shifts.items():
            if version != FIRST:
                found = scale.shifts[version]
                held.append(found.low <= truth <= found.high)
                errors.append(found.mean - truth)
    assert 0.93 <= np.mean(held) <= 0.97
    assert abs(np.mean(errors)) < 0.02


def test_common_samples_tell_a_shift_much_more_precisely_than_families_do() -> None:
    given = ({"panel": 4}, {}, {"beside": False})
    panel, beside, loose = (
        np.mean([each.scale.shifts["v01"].sd for each in worlds(40, 9, every=8, **setting)]) for setting in given
    )
    assert beside < 0.5 * loose
    assert panel < 0.9 * beside


def test_rubric_that_grows_milder_leaves_linked_scores_in_the_order_of_the_truth_and_raw_ones_not() -> None:
    """By 0.03 reward a node, 0.12 points: what is no better looks better and better."""
    linked, raw, fixed = [], [], []
    for each in worlds(60, 11, every=1, panel=4, nodes=24, easier=0.12, mildness=0.1):
        linked.append(tau(each.scale.means, each.qualities))
        raw.append(tau(each.raw.means, each.qualities))
    for each in worlds(60, 11, every=1000, nodes=24):
        fixed.append(tau(each.scale.means, each.qualities))
    assert np.mean(linked) > 0.9 * np.mean(fixed)
    assert np.mean(raw) < 0.6 * np.mean(linked)


def test_milder_rubric_is_no_gain() -> None:
    """No child is any better; raw scores say that the last ones are, by all that the rubric gave way."""
    given = {"every": 1, "nodes": 24, "easier": 0.12, "mildness": 0.0, "step": 0.0}
    gains = [(each.scale.difference(23, 0).mean, each.raw.difference(23, 0).mean) for each in worlds(40, 13, **given)]
    linked, raw = np.mean(gains, axis=0)
    assert abs(linked) < 0.12
    assert raw > 2.5


def test_best_of_many_is_not_too_good_where_raw_means_are() -> None:
    """The winner's curse: with noise of the size of the real differences, the highest mean is mostly luck."""
    linked, raw = [], []
    for each in worlds(80, 17, nodes=30, every=1000, seeds=4, luck=0.6, step=0.2, star=True):
        scale = each.scale
        first, best = int(np.argmax(scale.means)), int(np.argmax(each.raw.means))
        linked.append(scale.means[first] - each.qualities[first])
        raw.append(each.raw.means[best] - each.qualities[best])
    standard_error = np.std(linked) / math.sqrt(80)
    assert abs(np.mean(linked)) < 3 * standard_error + 0.03
    assert np.mean(raw) > 0.3


def test_choosing_by_the_scale_finds_a_better_workflow_than_choosing_by_raw_scores() -> None:
    given = {"nodes": 24, "every": 1, "mildness": 0.4, "noise": 0.3}
    chosen = [
        (each.qualities[int(np.argmax(each.scale.means))], each.qualities[int(np.argmax(each.raw.means))])
        for each in worlds(60, 19, **given)
    ]
    linked, raw = np.mean(chosen, axis=0)
    assert linked > raw + 0.05


def test_steps_and_drift_of_the_children_are_found() -> None:
    for step, drift in ((0.1, 0.0), (0.5, 0.0), (0.2, 0.2)):
        found = [each.scale for each in worlds(15, 23, nodes=60, step=step, drift=drift)]
        assert np.mean([scale.step for scale in found]) == pytest.approx(step, abs=0.06)
        assert np.mean([scale.drift for scale in found]) == pytest.approx(drift, abs=0.06)


def test_difference_to_a_relative_is_known_better_than_either_quality() -> None:
    each = world(np.random.default_rng(29), every=1)
    scale = each.scale
    for node in range(1, 16):
        parent = each.parents[node]
        assert parent is not None
        apart = math.hypot(scale.quality(node).sd, scale.quality(parent).sd)
        assert scale.difference(node, parent).sd < apart


def test_difference_cancels_what_both_share() -> None:
    """Nodes 1 and 2 are judged under a version whose shift nobody knows; their difference does not care."""
    rows = [Observation(0, "v0", f"s{i}", 3.0) for i in range(4)]
    rows += [Observation(node, "v1", f"s{i}", 3.0 + node / 2) for node in (1, 2) for i in range(4)]
    scale = fit_scale(rows, {0: None, 1: None, 2: None}, BEFORE, "v0")
    assert scale.quality(1).sd > 10
    assert scale.difference(2, 1).sd == pytest.approx(math.sqrt(2 * (0.4**2 + 0.2**2) / 4), rel=0.01)
    assert scale.difference(2, 1).mean == pytest.approx(0.5, abs=1e-3)
    assert scale.difference(1, 2) == pytest.approx((-scale.difference(2, 1).mean, scale.difference(2, 1).sd))


def test_interval_of_a_quality_does_not_hold_how_hard_the_seed_inputs_are() -> None:
    rows = [Observation(0, "v0", f"s{i}", 2.0 + i) for i in range(4)]
    found = fit_scale(rows, {0: None}, BEFORE, "v0").quality(0)
    assert found.mean == pytest.approx(3.5, abs=1e-3)
    assert found.sd == pytest.approx(math.sqrt((0.4**2 + 0.2**2) / 4), rel=0.02)


# --- what comes in odd shapes -------------------------------------------------------------------------------------


def test_version_tied_to_nothing_has_a_wide_interval_and_harms_no_other() -> None:
    each = world(np.random.default_rng(31))
    stray = [Observation(99, "stray", f"s{i}", 4.9) for i in range(6)]
    spread = estimate_spread(each.observations, BEFORE)
    before = fit_scale(each.observations, each.parents, spread, FIRST)
    after = fit_scale([*each.observations, *stray], {**each.parents, 99: None}, spread, FIRST)
    assert after.quality(99).sd > 10
    assert after.shifts["stray"].sd > 10
    for node in range(16):
        assert after.quality(node) == pytest.approx(before.quality(node), abs=1e-4)


def test_order_of_rows_and_of_nodes_changes_not_a_bit() -> None:
    each = world(np.random.default_rng(37), every=3)
    expected = each.scale
    shuffled = random.Random(3)
    for _ in range(10):
        rows, numbers = list(each.observations), list(each.parents)
        shuffled.shuffle(rows)
        shuffled.shuffle(numbers)
        spread = estimate_spread(rows, BEFORE)
        found = fit_scale(rows, {number: each.parents[number] for number in numbers}, spread, FIRST)
        assert found.spread == expected.spread
        assert found.nodes == expected.nodes
        assert (found.means == expected.means).all()
        assert (found.covariance == expected.covariance).all()
        assert found.shifts == expected.shifts


def test_names_of_nodes_versions_and_seed_inputs_mean_nothing() -> None:
    each = world(np.random.default_rng(41))
    expected = each.scale
    rows = [
        Observation(100 - node, version if version == FIRST else f"a{version}", f"z{9 - int(seed[1])}", score)
        for node, version, seed, score, _ in each.observations
    ]
    parents = {100 - node: None if parent is None else 100 - parent for node, parent in each.parents.items()}
    found = fit_scale(rows, parents, expected.spread, FIRST)
    for node in each.parents:
        assert found.quality(100 - node) == pytest.approx(expected.quality(node), abs=1e-9)


def test_adding_a_constant_to_all_scores_adds_it_to_all_qualities_and_to_nothing_else() -> None:
    each = world(np.random.default_rng(43))
    moved = [row._replace(score=row.score + 2.5) for row in each.observations]
    one = each.scale
    other = fit_scale(moved, each.parents, one.spread, FIRST)
    assert other.means == pytest.approx(one.means + 2.5, abs=1e-4)
    assert other.covariance == pytest.approx(one.covariance, abs=1e-6)
    assert other.shifts["v01"] == pytest.approx(one.shifts["v01"], abs=1e-4)


def test_one_node_is_its_own_mean() -> None:
    rows = [Observation(0, "v0", seed, score) for seed, score in (("a", 2.0), ("b", 3.0), ("c", 4.0))]
    scale = fit_scale(rows, {0: None}, estimate_spread(rows, BEFORE), "v0")
    assert scale.quality(0).mean == pytest.approx(3.0, abs=1e-3)
    assert scale.spread == pytest.approx(BEFORE)
    assert scale.difference(0, 0) == pytest.approx((0.0, 0.0))


def test_nothing_seen_is_an_empty_scale() -> None:
    scale = fit_scale([], {}, BEFORE, "v0")
    assert (scale.nodes, scale.means.shape, scale.covariance.shape) == ((), (0,), (0, 0))


def test_one_score_is_enough_for_an_estimate_and_its_doubt() -> None:
    scale = fit_scale([Observation(0, "v0", "a", 4.0)], {0: None}, BEFORE, "v0")
    assert scale.quality(0).mean == pytest.approx(4.0, abs=1e-3)
    assert scale.quality(0).sd == pytest.approx(math.hypot(0.4, 0.2), rel=0.02)


def test_workflow_seen_on_hard_inputs_only_is_not_taken_for_a_bad_one() -> None:
    easy, hard = [f"e{i}" for i in range(4)], [f"h{i}" for i in range(4)]
    rows = [Observation(node, "v0", seed, 4.0) for node in (0, 1) for seed in easy]
    rows += [Observation(node, "v0", seed, 2.0) for node in (0, 1, 2) for seed in hard]
    scale = fit_scale(rows, {0: None, 1: None, 2: None}, Spread(0.1, 0.1), "v0")
    assert scale.quality(2).mean == pytest.approx(scale.quality(0).mean, abs=0.02)
    assert raw_scale(rows, dict.fromkeys(range(3), "v0"), BEFORE).quality(2).mean == 2.0


def test_missing_seed_inputs_widen_the_interval_and_move_nothing_on_average() -> None:
    errors, narrow, wide = [], [], []
    for seed, each in enumerate(worlds(60, 47)):
        drop = random.Random(seed)
        kept = [row for row in each.observations if row.node == 0 or drop.random() < 0.6]
        some = fit_scale(kept, each.parents, BEFORE, FIRST)
        whole = fit_scale(each.observations, each.parents, BEFORE, FIRST)
        for node in some.nodes:
            errors.append(some.quality(node).mean - each.qualities[node])
            narrow.append(whole.quality(node).sd)
            wide.append(some.quality(node).sd)
    assert abs(np.mean(errors)) < 0.05
    assert np.mean(wide) > 1.1 * np.mean(narrow)


def test_parent_that_was_not_observed_counts_as_none() -> None:
    rows = [Observation(node, "v0", f"s{i}", 3.0 + node) for node in (0, 2) for i in range(3)]
    scale = fit_scale(rows, {0: None, 2: 1}, BEFORE, "v0")
    assert scale.nodes == (0, 2)
    assert scale.difference(2, 0).mean == pytest.approx(2.0, abs=0.01)


def test_node_that_was_not_observed_has_no_quality() -> None:
    scale = fit_scale([Observation(3, "v0", "a", 4.0)], {3: None}, BEFORE, "v0")
    for node in (0, 2, 4):
        with pytest.raises(KeyError):
            scale.quality(node)
        with pytest.raises(KeyError):
            scale.difference(3, node)


def test_judge_that_repeats_itself_to_the_letter_breaks_nothing() -> None:
    rows = [Observation(node, version, f"s{i}", 3.0) for node in range(5) for version in ("v0", "v1") for i in range(3)]
    spread = estimate_spread(rows, Spread(0.0, 0.0))
    scale = fit_scale(rows, {0: None, 1: 0, 2: 0, 3: 1, 4: 3}, spread, "v0")
    assert np.isfinite(scale.covariance).all()
    assert scale.means == pytest.approx(np.full(5, 3.0), abs=1e-3)
    assert scale.shifts["v1"].mean == pytest.approx(0.0, abs=1e-6)


def test_gains_past_the_ends_of_the_scale_are_not_clipped() -> None:
    rows = [Observation(0, "v0", f"s{i}", 4.8) for i in range(6)]
    for node in range(1, 9):
        rows += [Observation(node - 1, f"v{node}", f"s{i}", 3.0) for i in range(6)]
        rows += [Observation(node, f"v{node}", f"s{i}", 3.4) for i in range(6)]
    scale = fit_scale(rows, {0: None, **{node: node - 1 for node in range(1, 9)}}, Spread(0.1, 0.05), "v0")
    assert scale.quality(8).mean == pytest.approx(4.8 + 8 * 0.4, abs=0.1)


def test_long_chain_of_versions_is_less_certain_than_a_short_one() -> None:
    each = world(np.random.default_rng(53), nodes=12, every=1)
    scale = each.scale
    assert scale.shifts["v11"].sd > scale.shifts["v01"].sd


def test_later_look_at_a_parent_moves_its_children_too() -> None:
    rows = [Observation(node, "v0", f"s{i}", 3.0) for node in (0, 1, 2) for i in range(3)]
    parents = {0: None, 1: 0, 2: 1}
    before = fit_scale(rows, parents, BEFORE, "v0")
    rows += [Observation(node, "v0", f"s{i}", 3.0 if node == 0 else 4.0) for node in (0, 1) for i in (3, 4, 5)]
    after = fit_scale(rows, parents, BEFORE, "v0")
    assert after.quality(1).mean > before.quality(1).mean + 0.2
    assert after.quality(2).mean > before.quality(2).mean + 0.05


# --- the spread ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("luck", "noise"), [(0.4, 0.2), (0.2, 0.4), (0.8, 0.1), (0.05, 0.05)], ids=str)
def test_spread_is_found_in_the_run_itself(luck: float, noise: float) -> None:
    found = [
        estimate_spread(each.observations, BEFORE) for each in worlds(40, 59, nodes=40, every=4, luck=luck, noise=noise)
    ]
    sample, judge = (math.sqrt(np.mean([value**2 for value in values])) for values in zip(*found, strict=True))
    assert sample == pytest.approx(luck, rel=0.1, abs=0.05)
    assert judge == pytest.approx(noise, rel=0.1, abs=0.05)


def test_shift_between_versions_is_no_noise() -> None:
    rows = [Observation(0, version, f"s{i}", 3.0 + i / 10 + add) for i in range(30) for version, add in
            (("v0", 0.0), ("v1", 1.5))]  # fmt: skip
    assert estimate_spread(rows, Spread(0.4, 0.02)).judge < 0.05


def test_difference_between_workflows_and_between_seed_inputs_is_no_luck() -> None:
    rows = [Observation(node, "v0", f"s{i}", 1.0 + node + i / 10) for i in range(30) for node in range(3)]
    assert estimate_spread(rows, Spread(0.02, 0.02)).sample < 0.05


def test_without_data_the_belief_before_stays() -> None:
    assert estimate_spread([], BEFORE) == pytest.approx(BEFORE)
    alone = [Observation(0, "v0", f"s{i}", float(i % 5)) for i in range(9)]
    assert estimate_spread(alone, BEFORE) == pytest.approx(BEFORE)


def test_few_data_move_the_belief_a_little_and_many_replace_it() -> None:
    small, large = (
        np.mean([estimate_spread(each.observations, Spread(0.4, 1.0)).judge for each in worlds(20, 61, nodes=nodes)])
        for nodes in (6, 60)
    )
    assert 0.2 < large < small < 1.0
    assert large < 0.45


# --- raw ----------------------------------------------------------------------------------------------------------


def test_raw_score_is_the_mean_under_the_nodes_own_version() -> None:
    rows = [Observation(0, "v0", "a", 2.0), Observation(0, "v0", "b", 3.0), Observation(0, "v1", "a", 5.0)]
    rows += [Observation(1, "v1", "a", 4.0), Observation(1, "v0", "a", 1.0)]
    scale = raw_scale(rows, {0: "v0", 1: "v1"}, BEFORE)
    assert scale.means.tolist() == [2.5, 4.0]
    assert scale.quality(0).sd == pytest.approx(math.sqrt(0.2 / 2))
    assert scale.difference(1, 0) == pytest.approx((1.5, math.sqrt(0.2 / 2 + 0.2)))
