"""The educator's half hour: rounds of samples and feedback, before a search is started.

``rounds`` makes a round; ``heard`` turns feedback into what the optimizer, the metrics and the search can use.
"""

from __future__ import annotations

from autosynth_core.initialization.heard import accepted_examples, heard, with_feedback
from autosynth_core.initialization.rounds import make_round

__all__ = ["accepted_examples", "heard", "make_round", "with_feedback"]
