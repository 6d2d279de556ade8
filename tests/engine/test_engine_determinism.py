"""The same seed, models and answers give the same tree, whatever comes back first."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_runs import Unsteady, new_search, tree_of
from openai_server import OpenAIServer
from scripted_models import ScriptedModels


@pytest.mark.parametrize("refresh", [1, 3], ids="metrics new every {}".format)
@pytest.mark.parametrize("workers", [1, 4], ids="{} at once".format)
def test_tree_does_not_depend_on_how_long_answers_take(workers: int, refresh: int, tmp_path: Path) -> None:
    trees = []
    for delays in (1, 2):
        with OpenAIServer(Unsteady(delays, 0.04), models=["scripted"]) as server:
            db = tmp_path / f"{delays}.db"
            trees.append(tree_of(db, new_search(db, server, workers=workers, iterations=8, metric_refresh=refresh)))
    assert trees[0] == trees[1]
    assert len({leaf.fingerprint for leaf in trees[0]}) > 5
    assert len({leaf.reward for leaf in trees[0]}) > 5


def test_tree_does_not_depend_on_how_many_calls_run_at_once(tmp_path: Path) -> None:
    trees = []
    for most in (2, 64):
        with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
            db = tmp_path / f"{most}.db"
            trees.append(tree_of(db, new_search(db, server, max_in_flight=most)))
            assert server.peak <= most
    assert trees[0] == trees[1]


def test_another_seed_takes_another_path(tmp_path: Path) -> None:
    with OpenAIServer(ScriptedModels(), models=["scripted"]) as server:
        one, other = (
            tree_of(db, new_search(db, server, seed=seed))
            for seed, db in ((0, tmp_path / "0.db"), (1, tmp_path / "1.db"))
        )
    assert one != other
