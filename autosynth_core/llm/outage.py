"""When calls that fail one after another mean that the model itself can't be reached any more.

Owns the count since the last answer. One call that uses up its attempts may have itself to blame, such as a prompt
that a server chokes on; several in a row call for the client's question, which is one tiny call.
"""

from __future__ import annotations

import asyncio
import time

from autosynth_core.llm.protocol import FailureKind

OUTAGE_CALLS = 3  # given up in a row before the question is asked


class Outage:
    """One model's calls since it last answered. ``checking`` lets one caller at a time ask whether it still does."""

    def __init__(self) -> None:
        self.checking = asyncio.Lock()
        self.confirmed = False
        self._calls = 0
        self._kinds: set[FailureKind] = set()
        self._since = 0.0

    @property
    def suspected(self) -> bool:
        """Whether enough calls have been given up to ask."""
        return self._calls >= OUTAGE_CALLS

    def answered(self) -> None:
        """The model said something, usable or not."""
        self.confirmed, self._calls = False, 0
        self._kinds.clear()

    def attempt_failed(self, kind: FailureKind, now: float) -> None:
        """An attempt got no answer; ``now`` is in UTC epoch seconds."""
        if not self._kinds:
            self._since = now
        self._kinds.add(kind)

    def call_given_up(self) -> None:
        """A call has used up its attempts."""
        self._calls += 1

    def __str__(self) -> str:
        """Such as "has failed 3 calls in a row (server error) since 14:05", in this computer's time."""
        kinds = ", ".join(sorted(self._kinds))
        since = time.strftime("%H:%M", time.localtime(self._since))
        return f"has failed {self._calls} calls in a row ({kinds}) since {since}"
