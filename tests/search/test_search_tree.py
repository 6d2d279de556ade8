"""The tree's invariants, and how a reward travels up."""

from __future__ import annotations

import pytest
from search_cases import make_node, make_score, make_tree

from autosynth_core.records import NodeState
from autosynth_core.search import Tree
from autosynth_core.search.backpropagate import backpropagate
from autosynth_core.search.scores import visits


def test_node_under_an_unknown_parent_is_refused() -> None:
    tree = make_tree((0, None, 0.5))
    with pytest.raises(ValueError, match="below 7"):
        tree.add(make_node(1, 7))
    assert list(tree.nodes) == [0]


def test_number_is_taken_once() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6))
    with pytest.raises(ValueError, match="node 1"):
        tree.add(make_node(1, 0))
    assert tree.scores[1].reward.total == 0.6
    assert tree.children == {0: [1]}


def test_committing_ends_the_expansion_in_flight() -> None:
    tree = make_tree((0, None, 0.5))
    tree.in_flight = {1: 0, 2: 0}
    tree.add(make_node(1, 0))
    assert tree.in_flight == {2: 0}
    assert tree.pending(0) == 1


@pytest.mark.parametrize("state", [NodeState.BROKEN, NodeState.DUPLICATE, NodeState.UNSCORED])
def test_node_without_a_score_is_never_selectable(state: NodeState) -> None:
    tree = make_tree((0, None, 0.5))
    tree.add(make_node(1, 0, state))
    assert tree.scored == [0]
    assert tree.best == 0


@pytest.mark.parametrize("state", [NodeState.BROKEN, NodeState.DUPLICATE, NodeState.UNSCORED])
def test_node_without_a_score_backpropagates_nothing(state: NodeState) -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.7))
    before = dict(tree.visits), dict(tree.value)
    tree.add(make_node(2, 1, state))
    backpropagate(tree)
    assert (dict(tree.visits), dict(tree.value)) == before


def test_reward_counts_for_every_ancestor_and_no_cousin() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 0, 0.4), (3, 1, 0.8))
    assert dict(tree.visits) == {0: 4, 1: 2, 2: 1, 3: 1}
    assert {number: round(value, 9) for number, value in tree.value.items()} == {0: 2.3, 1: 1.4, 2: 0.4, 3: 0.8}


def test_backpropagating_again_counts_nothing_twice() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 1, 0.8))
    before = dict(tree.visits), dict(tree.value)
    backpropagate(tree)
    assert (dict(tree.visits), dict(tree.value)) == before


def test_what_a_later_look_says_about_a_node_reaches_its_ancestors() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 1, 0.8))
    tree.scores[2] = make_score(2, 0.2)
    backpropagate(tree)
    assert dict(tree.value) == pytest.approx({0: 1.3, 1: 0.8, 2: 0.2})


def test_visits_of_the_views_are_those_of_the_search() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 1, None), (3, 1, 0.8), (4, 3, 0.1))
    counted = visits(list(tree.nodes.values()))
    assert counted == {number: tree.visits[number] for number in tree.nodes}


def test_earlier_node_is_the_best_among_equals() -> None:
    assert make_tree((0, None, 0.5), (1, 0, 0.7), (2, 0, 0.7)).best == 1


def test_expansions_below_count_at_every_ancestor() -> None:
    tree = make_tree((0, None, 0.5), (1, 0, 0.6), (2, 1, 0.7), (3, 0, 0.1), in_flight=[2, 2, 3])
    assert [tree.pending_below(number) for number in (0, 1, 2, 3)] == [3, 2, 2, 1]
    assert [tree.pending(number) for number in (0, 1, 2, 3)] == [0, 0, 2, 1]


def test_duplicates_are_no_source_of_fingerprints_and_broken_ones_are() -> None:
    tree = make_tree((0, None, 0.5))
    tree.add(make_node(1, 0, NodeState.BROKEN, fingerprint="b"))
    tree.add(make_node(2, 0, NodeState.DUPLICATE, fingerprint="b"))
    tree.add(make_node(3, 0, NodeState.BROKEN, fingerprint=""))
    assert tree.fingerprints() == {"f0": 0, "b": 1}


def test_empty_tree_has_no_best() -> None:
    assert Tree().best is None
    assert Tree().scored == []
