"""The engine: runs in one background thread, holds a lease on each run, and talks to the rest through the database.

``control`` is what pages and commands ask of it; ``owner`` is the thread; ``search_run`` and ``round_run`` compose a
run out of models, sandbox, search and store. The only place that ties the search to the store.
"""

from __future__ import annotations

from autosynth_core.engine.brief import Brief, read_brief
from autosynth_core.engine.control import decide_on_metrics, pause, race, resume, start_round, start_search, stop
from autosynth_core.engine.models import (
    load_models,
    save_models,
    suggested_settings,
    test_connection,
    uses_embedded,
)
from autosynth_core.engine.owner import Owner, ensure_started

__all__ = [
    "Brief",
    "Owner",
    "decide_on_metrics",
    "ensure_started",
    "load_models",
    "pause",
    "race",
    "read_brief",
    "resume",
    "save_models",
    "start_round",
    "start_search",
    "stop",
    "suggested_settings",
    "test_connection",
    "uses_embedded",
]
