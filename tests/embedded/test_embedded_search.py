"""The main job on the real model: a search from a task alone to a scored child."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autosynth_core.records import NodeState, SampleState
from autosynth_core.store import Store

pytestmark = pytest.mark.model

_TASK = {
    "title": "One-sentence analogies",
    "description": "Explain a concept by one everyday comparison, in one or two short sentences.",
    "audience": "Pupils of ten years.",
    "output_fields": [{"name": "analogy", "description": "one or two sentences"}],
    "must_nevers": ["Never use a word that a pupil of ten does not know."],
    "seeds": [
        {"concept": concept}
        for concept in (
            "electric current", "gravity", "the cell membrane", "evaporation", "the food chain", "the water cycle",
            "a vaccine", "friction", "sound", "the heart", "volcanoes", "magnets",
        )
    ],
}  # fmt: skip


def test_a_search_on_the_embedded_model_scores_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    task, database = tmp_path / "task.json", tmp_path / "run.db"
    task.write_text(json.dumps(_TASK), encoding="utf-8")
    asked = f"search {task} --db {database} --iterations 1 --seed-inputs 2 --json".split()
    ended = subprocess.run(
        [sys.executable, "-m", "autosynth_core", *asked],
        capture_output=True,
        text=True,
        timeout=1500,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 0, ended.stderr
    status = json.loads(ended.stdout.splitlines()[-1])
    assert status["state"] == "finished"
    assert status["iterations"] == 1
    assert status["usage"]["usd"] == 0.0
    assert status["first"]["sample_score"] == pytest.approx(3, abs=2)
    with Store.open(database) as store:
        run = store.run(status["run_id"])
        root, child = store.nodes(run.id)
        assert root.state is NodeState.SCORED
        assert child.state in (NodeState.SCORED, NodeState.DUPLICATE), child.reason
        samples = store.samples(run.id, root.fingerprint)
        assert [sample.state for sample in samples] == [SampleState.OK] * 4  # two seed inputs, twice
        scores = {round(row.score or 0, 3) for row in store.sample_scores(run.id)}
        assert len(scores) > 2  # expected scores, finer than digits
