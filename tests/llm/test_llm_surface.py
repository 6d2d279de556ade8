"""What other packages may use."""

from __future__ import annotations

import autosynth_core.llm as llm


def test_public_surface_is_what_was_decided() -> None:
    assert set(llm.__all__) == {
        "Budget", "CallLog", "Checkpoint", "Client", "Digit", "Endpoint", "FailureKind", "Found", "MemoryCallLog",
        "Model", "Price", "PriceTable", "Reservation", "Throttle", "discover", "never_pause", "probe", "resolve",
    }  # fmt: skip
    assert all(hasattr(llm, name) for name in llm.__all__)
