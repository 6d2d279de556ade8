"""Operators that need no words: take a stage out, let two neighbours change places.

The first stage stays first: it makes the draft that the others work on.
"""

from __future__ import annotations

from collections.abc import Mapping

from autosynth_core.workflow.edits.composition import Composition
from autosynth_core.workflow.edits.context import Edit, EditContext
from autosynth_core.workflow.edits.flow import pipeline, seed_fields_read
from autosynth_core.workflow.edits.program import Program, parse


class RemoveStage:
    """One stage less."""

    name = "remove_stage"
    summary = "one stage behind the first draft is taken out"

    def targets(self, source: str, context: EditContext) -> list[str]:
        return list(_removable(parse(source), context))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> None:
        return None

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        program = parse(source)
        place = _removable(program, context).get(target)
        if place is None:
            raise ValueError(f"There is no stage {target!r} that can be taken out.")
        composition = Composition(program, context.task)
        stages = [stage for number, stage in enumerate(composition.stages) if number != place]
        return Edit(composition.source(stages), f"Takes out the stage '{_plain(target)}'.")


class ReorderStages:
    """Two neighbouring stages change places."""

    name = "reorder_stages"
    summary = "two stages behind the first draft change places"

    def targets(self, source: str, context: EditContext) -> list[str]:
        return list(_swaps(parse(source)))

    def question(self, source: str, target: str, context: EditContext, weakness: str) -> None:
        return None

    def compose(self, source: str, target: str, words: Mapping[str, str], context: EditContext) -> Edit:
        program = parse(source)
        place = _swaps(program).get(target)
        if place is None:
            raise ValueError(f"There are no stages to reorder as {target!r}.")
        composition = Composition(program, context.task)
        stages = list(composition.stages)
        stages[place], stages[place + 1] = stages[place + 1], stages[place]
        return Edit(
            composition.source(stages),
            f"Moves a stage: '{_plain(stages[place])}' now comes before '{_plain(stages[place + 1])}'.",
        )


def _stages(program: Program) -> tuple[str, ...]:
    flow = pipeline(program) if program.usable() else None
    return flow.stages if flow else ()


def _removable(program: Program, context: EditContext) -> dict[str, int]:
    """The stages behind the first by label, with their place; not those that alone read some field of the seed."""
    stages = _stages(program)
    if not stages:
        return {}
    kept = seed_fields_read(program, stages[0], context.task.seed_fields)
    return {
        label: place
        for place, label in _labels(stages).items()
        if place and seed_fields_read(program, stages[place], context.task.seed_fields) <= kept
    }


def _swaps(program: Program) -> dict[str, int]:
    """The pairs of different neighbours behind the first stage, as 'second before first', with the first's place."""
    stages = _stages(program)
    labels = _labels(stages)
    return {
        f"{labels[place + 1]} before {labels[place]}": place
        for place in range(1, len(stages) - 1)
        if stages[place] != stages[place + 1]
    }


def _labels(stages: tuple[str, ...]) -> dict[int, str]:
    """Each place's stage name, numbered where a stage occurs again."""
    labels: dict[int, str] = {}
    for place, stage in enumerate(stages):
        before = stages[:place].count(stage)
        labels[place] = f"{stage} ({before + 1})" if before else stage
    return labels


def _plain(stage: str) -> str:
    return stage.replace("_", " ")
