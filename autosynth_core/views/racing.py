"""What a race on demand would cost a search, before it is asked for.

Owns reading together what the store holds for that. The arithmetic is ``estimate``'s.
"""

from __future__ import annotations

from autosynth_core.config import RunSettings
from autosynth_core.store import Store
from autosynth_core.views.estimate import RaceCost, race_cost
from autosynth_core.views.scored import scored_run
from autosynth_core.views.settings import search_settings, task_of
from autosynth_core.workflow.edits import stages

__all__ = ["planned_race"]


def planned_race(store: Store, run_id: str, *, logprobs: bool) -> RaceCost | None:
    """A race of the best as they stand, at most; None where there is nothing to race, or nothing to race on.

    ``logprobs``: whether the judge of the race gives a verdict in one call. Raises InputError when there is no such
    search, or none that can be read.
    """
    run = store.run(run_id)
    settings, scored = search_settings(run), scored_run(store, run_id)
    ranked = sorted(scored.scores, key=lambda number: (-scored.scores[number].reward.total, number))
    racing = {0, *ranked[: settings.race_contenders or RunSettings().race_contenders]} & scored.nodes.keys()
    newest = scored.nodes[max(scored.scores)].metric_version if scored.scores else ""
    metrics = store.metric_set(newest)
    return race_cost(
        settings,
        scored=len(ranked),
        sealed=len(task_of(store, run).sealed_seeds),
        stages=max((len(stages(scored.nodes[number].source)) for number in racing), default=1),
        metrics=len(metrics.metrics) if metrics is not None else settings.metric_count,
        logprobs=logprobs,
    )
