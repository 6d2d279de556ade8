"""Records in, records out, over one SQLite file."""

from __future__ import annotations

from autosynth_core.store.archive import export_project, import_project
from autosynth_core.store.racing import RaceAsked
from autosynth_core.store.rows import (
    CallRow,
    Lease,
    Request,
    WorkflowScore,
    task_from_json,
    task_to_json,
)
from autosynth_core.store.store import Store

__all__ = [
    "CallRow",
    "Lease",
    "RaceAsked",
    "Request",
    "Store",
    "WorkflowScore",
    "export_project",
    "import_project",
    "task_from_json",
    "task_to_json",
]
