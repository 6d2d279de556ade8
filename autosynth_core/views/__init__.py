"""Read-only shapes of what the store holds, for the pages and the commands.

Owns counting, arranging and wording. Computes from records, keeps nothing but ``kept``'s small cache, changes
nothing: commands to the engine go through ``engine``, edits of a task through the store.
"""

from __future__ import annotations

from autosynth_core.views.estimate import Estimate, RaceCost, estimate, race_cost
from autosynth_core.views.node import NodeView, SampleView, node
from autosynth_core.views.projects import ProjectCard, RoundView, projects, rounds, searches
from autosynth_core.views.racing import planned_race
from autosynth_core.views.runs import BestPoint, Gain, RunHeader, best_so_far, feed, header
from autosynth_core.views.settings import in_words
from autosynth_core.views.tree import TreeNode, TreeView, tree
from autosynth_core.views.yardstick import NoiseView, RaceView, VersionView, Yardstick, yardstick

__all__ = [
    "BestPoint",
    "Estimate",
    "Gain",
    "NodeView",
    "NoiseView",
    "ProjectCard",
    "RaceCost",
    "RaceView",
    "RoundView",
    "RunHeader",
    "SampleView",
    "TreeNode",
    "TreeView",
    "VersionView",
    "Yardstick",
    "best_so_far",
    "estimate",
    "feed",
    "header",
    "in_words",
    "node",
    "planned_race",
    "projects",
    "race_cost",
    "rounds",
    "searches",
    "tree",
    "yardstick",
]
