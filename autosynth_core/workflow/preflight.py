"""What a proposed workflow must pass before a model is called for it, in order of cost.

Owns the order of the gates and what the dry run looks for. The syntax tree is read in ``static`` and ``reach``, types
are checked and code is run in ``sandbox``. A reason is one or a few plain sentences that a model can act on. The last
gate, one real sample, is the caller's, who has the models.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Container, Mapping

from autosynth_core.config import SampleLimits
from autosynth_core.records import Gate, PreflightResult, Task, Workflow
from autosynth_core.workflow.dryrun import dry_run
from autosynth_core.workflow.fingerprint import fingerprint
from autosynth_core.workflow.reach import check_reach
from autosynth_core.workflow.sandbox import Sandbox
from autosynth_core.workflow.static import check_prompts, check_signature
from autosynth_core.workflow.syntax import MAX_BYTES, parse, size

MAX_REASON = 1200  # characters; a model that repairs reads it, and so does a person


async def preflight(
    source: str,
    task: Task,
    sandbox: Sandbox,
    known: Mapping[str, int] | Container[str] = (),
    *,
    limits: SampleLimits | None = None,
) -> PreflightResult:
    """Take ``source`` through the gates up to the dry run.

    ``known`` holds the fingerprints tried before; a mapping says by which node. ``limits`` are those of the run, the
    defaults if not given. The result has a workflow from the gate DUPLICATE on, passed or not.
    """
    limits = limits or SampleLimits()
    gate, reason, tree = _readable(source)
    if tree is None:
        return PreflightResult(None, gate, reason)
    workflow = Workflow(source, fingerprint(source))
    static: tuple[tuple[Gate, Callable[[], str]], ...] = (
        (Gate.DUPLICATE, lambda: _duplicate(workflow.fingerprint, known)),
        (Gate.SIGNATURE, lambda: check_signature(tree) or check_reach(tree)),
        (Gate.PROMPTS, lambda: check_prompts(tree, task.seed_fields)),
    )
    for gate, check in static:
        if reason := check():
            return PreflightResult(workflow, gate, reason[:MAX_REASON])
    if reason := _types(await sandbox.type_check(source)):
        return PreflightResult(workflow, Gate.TYPES, reason)
    if reason := await dry_run(source, task, sandbox, limits):
        return PreflightResult(workflow, Gate.DRY_RUN, reason[:MAX_REASON])
    return PreflightResult(workflow)


def _readable(source: str) -> tuple[Gate, str, ast.Module | None]:
    if size(source) > MAX_BYTES:
        reason = f"the workflow has {size(source)} bytes; at most {MAX_BYTES} are allowed, so shorten its prompts"
        return Gate.SIZE, reason, None
    if not source.strip():
        return Gate.SIZE, "the workflow is empty; write the whole module", None
    try:
        return Gate.PARSE, "", parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        return Gate.PARSE, f"{where}this is not valid Python: {error.msg}"[:MAX_REASON], None


def _duplicate(print_: str, known: Mapping[str, int] | Container[str]) -> str:
    if print_ not in known:
        return ""
    by = f"node {known[print_]}" if isinstance(known, Mapping) else "one tried before"
    return f"this is the same program as {by}; change a prompt or a step"


def _types(findings: str | None) -> str:
    """The first findings, as many as a repair can take in."""
    if not findings:
        return ""
    lines = [line.removeprefix("workflow.py:").strip() for line in findings.splitlines() if line.strip()]
    return "\n".join(f"line {line}" if line[:1].isdigit() else line for line in lines[:5])[:MAX_REASON]
