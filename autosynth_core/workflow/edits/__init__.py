"""Typed operators that compose a child workflow on the syntax tree.

A model, or nobody, gives the words; the program around them is composed here, so that placeholders and data flow are
right by construction for any workflow that passed preflight. Owns the operators and the plain-words reading of a
workflow. Which operator is tried, what model is asked and what becomes of the child is decided above.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autosynth_core.workflow.edits.adding import CHECK_MUST_NEVERS, CRITIQUE_AND_REVISE, SECOND_DRAFT, STUDENT_VIEW
from autosynth_core.workflow.edits.arranging import RemoveStage, ReorderStages
from autosynth_core.workflow.edits.checking import CheckAndRetry
from autosynth_core.workflow.edits.context import Edit, EditContext, Operator, Question
from autosynth_core.workflow.edits.drafting import BestOfN, Examples, Plan
from autosynth_core.workflow.edits.recipe import Stage, prompt_constants, stages
from autosynth_core.workflow.edits.rewriting import RewritePrompt, Sampling

__all__ = ["OPERATORS", "Edit", "EditContext", "Operator", "Question", "Stage", "prompt_constants", "stages"]

_ALL: tuple[Operator, ...] = (
    RewritePrompt(),
    Plan(),
    CRITIQUE_AND_REVISE,
    CHECK_MUST_NEVERS,
    BestOfN(),
    STUDENT_VIEW,
    SECOND_DRAFT,
    RemoveStage(),
    ReorderStages(),
    Examples(),
    CheckAndRetry(),
    Sampling(),
)

OPERATORS: Mapping[str, Operator] = MappingProxyType({operator.name: operator for operator in _ALL})
