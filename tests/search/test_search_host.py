"""Which of a workflow's calls count as the same."""

from __future__ import annotations

import asyncio

from autosynth_core.records import Scope
from autosynth_core.search import GeneratorHost


class RecordingModel:
    """Stands where the generator does and keeps the draws it was asked with."""

    def __init__(self) -> None:
        self.draws: list[str] = []

    async def text(self, messages: object, *, draw: str, **given: object) -> str:
        self.draws.append(draw)
        return "text"

    async def json(self, messages: object, *, draw: str, **given: object) -> dict[str, object]:
        self.draws.append(draw)
        return {}


def host(model: RecordingModel, draw: str = "seed 0:abc:0", node: int = 1) -> GeneratorHost:
    return GeneratorHost(model, Scope("run", "sample", node, f"sample of {node}"), draw)


async def test_same_question_twice_in_a_sample_gets_two_draws() -> None:
    model = RecordingModel()
    served = host(model)
    await asyncio.gather(*(served.llm("write") for _ in range(3)))
    assert sorted(model.draws) == ["seed 0:abc:0:1", "seed 0:abc:0:2", "seed 0:abc:0:3"]


async def test_other_settings_make_another_question() -> None:
    model = RecordingModel()
    served = host(model)
    await served.llm("write")
    await served.llm("write", temperature=0.2)
    await served.llm("write", system="Be brief.")
    await served.llm("write", max_tokens=7)
    await served.llm_json("write", schema={"type": "object"})
    await served.chat([{"role": "user", "content": "read"}])
    assert model.draws == ["seed 0:abc:0:1"] * 6


async def test_two_workflows_ask_the_same_first_question_with_one_draw() -> None:
    model = RecordingModel()
    await host(model, node=1).llm("write")
    await host(model, node=2).llm("write")
    assert len(set(model.draws)) == 1


async def test_other_seed_inputs_and_replicates_draw_anew() -> None:
    model = RecordingModel()
    for draw in ("seed 0:abc:0", "seed 0:def:0", "seed 0:abc:1", "seed 1:abc:0"):
        await host(model, draw).llm("write")
    assert len(set(model.draws)) == 4
