"""What a run's scores rest on, as ``status`` tells it: race, judge, noise and alarms, as JSON and as lines."""

from __future__ import annotations

import math
from typing import Any

from autosynth_core.records import Reward
from autosynth_core.store import Store
from autosynth_core.views import NoiseView, RaceView, VersionView, measures, yardstick

__all__ = ["yardstick_lines", "yardstick_of"]


def yardstick_of(store: Store, run_id: str) -> dict[str, Any]:
    """``race``, ``judge``, ``noise`` (each null where there is none) and ``alarms``, the oldest first.

    Rewards are in 0..1; ``auc`` is in 0..1; noise and ``detects`` are in points of 1..5.
    """
    found = yardstick(store, run_id)
    return {
        "race": _race(found.race) if found.race else None,
        "judge": _judge(found.current) if found.current else None,
        "noise": _noise(found.noise) if found.noise else None,
        "alarms": [event.message for event in reversed(found.alarms)],
    }


def _race(race: RaceView) -> dict[str, Any]:
    mean, low, high = race.result.gain
    return {
        "winner": race.result.winner,
        "sealed": _reward(race.result.sealed),
        "claimed": _reward(race.result.claimed),
        "gain": {"mean": round(mean, 4), "ci": [round(low, 4), round(high, 4)]},
        "raced": len(race.result.contenders),
        "probability": round(race.result.probability, 4) if len(race.result.contenders) > 1 else None,
    }


def _reward(reward: Reward) -> dict[str, Any]:
    return {"n": reward.n, "reward": round(reward.total, 4), "ci": [round(reward.low, 4), round(reward.high, 4)]}


def _judge(version: VersionView) -> dict[str, Any] | None:
    found = version.fitness
    if found is None:
        return None
    auc = found.decisive
    return {
        "verdict": found.verdict.value,
        "auc": round(auc.value, 4) if auc else None,
        "ci": [round(auc.low, 4), round(auc.high, 4)] if auc else None,
    }


def _noise(view: NoiseView) -> dict[str, Any]:
    """Standard deviations; ``judge`` and ``seed`` are null where they could not be told.

    ``detects`` is null where no difference could be told from chance.
    """
    noise = view.noise
    return {
        "sample": round(noise.sample.sd, 4),
        "judge": round(noise.judge.sd, 4) if noise.judge else None,
        "seed": round(noise.seed.sd, 4) if noise.seed else None,
        "detects": round(view.detects, 4) if math.isfinite(view.detects) else None,
    }


def yardstick_lines(store: Store, run_id: str) -> list[str]:
    """The same for a person, in a few lines."""
    found = yardstick(store, run_id)
    lines = [measures.raced(found.race)] if found.race else []
    if found.current and found.current.fitness:
        lines.append(f"Judge: {found.current.fitness.sentence}")
    if found.noise:
        lines.append(f"Chance: {found.noise.in_words}")
    return [*lines, *(f"Alarm: {event.message}" for event in reversed(found.alarms))]
