"""The educator's half hour: rounds of samples and feedback, before a search is started.

``rounds`` makes a round; ``heard`` turns feedback into what the optimizer, the metrics and the search can use;
``criteria`` holds what the educator approves as counting.
"""

from __future__ import annotations

from autosynth_core.initialization.criteria import MOST_CRITERIA, checked, criterion, proposed_criteria, read_criteria
from autosynth_core.initialization.heard import accepted_examples, heard, with_feedback
from autosynth_core.initialization.rounds import make_round

__all__ = [
    "MOST_CRITERIA",
    "accepted_examples",
    "checked",
    "criterion",
    "heard",
    "make_round",
    "proposed_criteria",
    "read_criteria",
    "with_feedback",
]
