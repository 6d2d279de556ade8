"""The arms that are compared: settings of the one engine.

Owns what each arm stands for. An engine that has no such setting yet runs the arm without it; which settings those
were is said, so that no figure is taken for what it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from autosynth_core.config import RunSettings, Strategy

__all__ = ["ARMS", "COMMON", "ArmSettings", "arm_settings"]

_PLAIN: Mapping[str, Any] = {
    "scoring": "raw",
    "sampling": "fixed",
    "race_contenders": 0,
    "measure_noise": False,
    "check_fitness": False,
}

ARMS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "uct": {"strategy": "uct"},
    # Dynamic metrics at each iteration, a node's own score under them, stop when the top three stand still.
    "paper": {**_PLAIN, "metric_refresh": 1, "convergence": "paper"},
    # One fixed yardstick, the soft mix over the best nodes and the first, stop when their mean is unchanged.
    "aflow": {**_PLAIN, "strategy": "aflow", "metric_refresh": 0, "convergence": "unchanged"},
    "best_of_n": {**_PLAIN, "strategy": "best_of_n", "metric_refresh": 0, "convergence": "never"},
    "random": {**_PLAIN, "strategy": "random", "metric_refresh": 0, "convergence": "never"},
}

COMMON: Mapping[str, Any] = {
    "iterations": 30,
    "seed_inputs": 8,
    "metric_count": 2,
    "metric_candidates": 1,
    "expansion": "rewrite",
    "workflow_weight": 0.0,
}
"""Small where nothing is measured by it: ``noise`` is a node's, however many metrics share it."""

_NEVER = {"convergence": "never", "patience": 1000}


class ArmSettings(NamedTuple):
    """Settings that this engine takes, and the names of those that it has no place for."""

    settings: RunSettings
    missing: tuple[str, ...]


def arm_settings(arm: Mapping[str, Any], *, stopping: bool, **given: Any) -> ArmSettings:
    """The settings of an arm. Without ``stopping`` it uses all of its iterations, whatever its own rule says."""
    wanted = {**COMMON, **given, **arm, **({} if stopping else _NEVER)}
    missing = {name for name in wanted if name not in RunSettings.model_fields}
    if wanted.get("strategy") not in {None, *(each.value for each in Strategy)}:
        missing.add("strategy")
    known = {name: value for name, value in wanted.items() if name not in missing}
    return ArmSettings(RunSettings(**known), tuple(sorted(missing & {*arm})))
