"""Calls to models: the client with its record, throttle and budget, and a model asked for text, JSON or a score.

The embedded model lives in ``llm.embedded`` and is reached over the same protocol as any other.
"""

from __future__ import annotations

from autosynth_core.llm.budget import Budget, Reservation
from autosynth_core.llm.calls import CallLog, Checkpoint, MemoryCallLog, never_pause
from autosynth_core.llm.client import Client
from autosynth_core.llm.endpoint import Endpoint, Found, discover, resolve
from autosynth_core.llm.model import Digit, Model
from autosynth_core.llm.prices import Price, PriceTable
from autosynth_core.llm.probe import probe
from autosynth_core.llm.protocol import FailureKind
from autosynth_core.llm.throttle import Throttle

__all__ = [
    "Budget",
    "CallLog",
    "Checkpoint",
    "Client",
    "Digit",
    "Endpoint",
    "FailureKind",
    "Found",
    "MemoryCallLog",
    "Model",
    "Price",
    "PriceTable",
    "Reservation",
    "Throttle",
    "discover",
    "never_pause",
    "probe",
    "resolve",
]
