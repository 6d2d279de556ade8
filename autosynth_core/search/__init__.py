"""Monte Carlo tree search over generation workflows (paper, section on the MCTS loop).

``select`` a parent, ``expand`` it into a child, ``simulate`` the child on seed inputs, ``evaluate`` its samples and its
code, ``backpropagate`` the reward; ``mcts`` owns the order of these. Receives models, sandbox and journal; never
imports the store.
"""

from __future__ import annotations

from autosynth_core.search.alarms import Alarm, alarms, race_alarm, text_lengths
from autosynth_core.search.chance import noise_from, spread_from
from autosynth_core.search.converge import converged
from autosynth_core.search.evaluate import Evaluator, known_sample, known_scores, rule_broken_id
from autosynth_core.search.evidence import Weakness, in_words
from autosynth_core.search.expand import Draft, Expander, Plan, plan_expansion
from autosynth_core.search.first import write_first_workflow
from autosynth_core.search.host import GeneratorHost
from autosynth_core.search.journal import Journal
from autosynth_core.search.mcts import Finished, Search, search_seeds
from autosynth_core.search.race import LEAST_SEALED, at_the_end, most_samples, on_demand
from autosynth_core.search.refresh import Refresher, as_proposed
from autosynth_core.search.rewriting import tries_rewriting
from autosynth_core.search.scores import Board, NodeScore, best, observe, score_nodes, visits
from autosynth_core.search.select import Select, strategy
from autosynth_core.search.simulate import Simulator
from autosynth_core.search.tree import Tree

__all__ = [
    "LEAST_SEALED",
    "Alarm",
    "Board",
    "Draft",
    "Evaluator",
    "Expander",
    "Finished",
    "GeneratorHost",
    "Journal",
    "NodeScore",
    "Plan",
    "Refresher",
    "Search",
    "Select",
    "Simulator",
    "Tree",
    "Weakness",
    "alarms",
    "as_proposed",
    "at_the_end",
    "best",
    "converged",
    "in_words",
    "known_sample",
    "known_scores",
    "most_samples",
    "noise_from",
    "observe",
    "on_demand",
    "plan_expansion",
    "race_alarm",
    "rule_broken_id",
    "score_nodes",
    "search_seeds",
    "spread_from",
    "strategy",
    "text_lengths",
    "tries_rewriting",
    "visits",
    "write_first_workflow",
]
