"""A world in which the truth is known: landscapes of workflows, and models that are simulated on them.

``landscape`` says how good each workflow truly is, ``judge`` what a judge makes of it, ``models`` puts both behind the
interface of the engine's client, ``runs`` runs the real engine on it. ``clock`` is for simulated time.
"""

from __future__ import annotations

from benchmarks.simulated.judge import Judge, Poison
from benchmarks.simulated.landscape import Landscape, LandscapeError, LandscapeFile, read_landscape
from benchmarks.simulated.models import SimulatedClient, World, simulated_models
from benchmarks.simulated.runs import Facts, kendall, run_once

__all__ = [
    "Facts",
    "Judge",
    "Landscape",
    "LandscapeError",
    "LandscapeFile",
    "Poison",
    "SimulatedClient",
    "World",
    "kendall",
    "read_landscape",
    "run_once",
    "simulated_models",
]
