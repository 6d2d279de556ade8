"""Monte Carlo tree search over generation workflows (paper, section on the MCTS loop).

``select`` a parent, ``expand`` it into a child, ``simulate`` the child on seed inputs, ``evaluate`` its samples and its
code, ``backpropagate`` the reward; ``mcts`` owns the order of these. Receives models, sandbox and journal; never
imports the store.
"""

from __future__ import annotations

from autosynth_core.search.converge import TopMean, converged, top_mean
from autosynth_core.search.evaluate import Evaluator
from autosynth_core.search.evidence import Weakness, in_words
from autosynth_core.search.expand import Draft, Expander, Plan, plan_expansion
from autosynth_core.search.first import write_first_workflow
from autosynth_core.search.host import GeneratorHost
from autosynth_core.search.journal import Journal
from autosynth_core.search.mcts import Finished, Search, search_seeds
from autosynth_core.search.rewriting import tries_rewriting
from autosynth_core.search.scores import NodeScore, best, node_scores, visits
from autosynth_core.search.select import Select, strategy
from autosynth_core.search.simulate import Simulator
from autosynth_core.search.tree import Tree

__all__ = [
    "Draft",
    "Evaluator",
    "Expander",
    "Finished",
    "GeneratorHost",
    "Journal",
    "NodeScore",
    "Plan",
    "Search",
    "Select",
    "Simulator",
    "TopMean",
    "Tree",
    "Weakness",
    "best",
    "converged",
    "in_words",
    "node_scores",
    "plan_expansion",
    "search_seeds",
    "strategy",
    "top_mean",
    "tries_rewriting",
    "visits",
    "write_first_workflow",
]
