"""What a workflow is: its contract, when two are the same, what it must pass, and where it runs.

Owns the text of a workflow and everything that may happen to it without a model. It knows models only as a ``Host``.
"""

from __future__ import annotations

from autosynth_core.workflow.baseline import output_schema, plain_workflow
from autosynth_core.workflow.contract import ALLOWED_MODULES, HOST_FUNCTIONS, contract_text
from autosynth_core.workflow.export import SCRIPT_MARK, export_script, why_not_exported
from autosynth_core.workflow.fingerprint import fingerprint
from autosynth_core.workflow.hostcall import Host
from autosynth_core.workflow.output import Output, check_output
from autosynth_core.workflow.preflight import preflight
from autosynth_core.workflow.sandbox import Job, Outcome, Sandbox

__all__ = [
    "ALLOWED_MODULES",
    "HOST_FUNCTIONS",
    "SCRIPT_MARK",
    "Host",
    "Job",
    "Outcome",
    "Output",
    "Sandbox",
    "check_output",
    "contract_text",
    "export_script",
    "fingerprint",
    "output_schema",
    "plain_workflow",
    "preflight",
    "why_not_exported",
]
