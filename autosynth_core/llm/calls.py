"""What the client needs from whoever keeps the record of calls.

Owns the two protocols a run plugs into the client, and a record in memory for probes. Where calls are stored, and
when a run is paused, is decided elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from autosynth_core.records import Answer, ChatRequest, Scope


class CallLog(Protocol):
    """The record of calls. Methods are short and synchronous: what has returned is safe on disk."""

    def find(self, key: str) -> Answer | None:
        """The usable answer recorded under ``key``."""
        ...

    def record(self, request: ChatRequest, answer: Answer, scope: Scope) -> None:
        """Keep a billed answer before anything of it is parsed.

        ``answer.key`` is ``request.key`` for a usable answer; an unusable one (``answer.status`` is not "ok") has a
        key of its own, so that its cost counts and it is never found as an answer.
        """
        ...

    def reuse(self, key: str, scope: Scope) -> None:
        """An answer that was already there served this scope."""
        ...

    def failure(self, scope: Scope, kind: str, detail: str) -> None:
        """An attempt failed: ``kind`` is one of ``client.FailureKind``, ``detail`` one short line without secrets."""
        ...


class Checkpoint(Protocol):
    """Awaited before each attempt on the network: waits while the run is paused, raises RunHalted when stopped."""

    async def __call__(self) -> None: ...


async def never_pause() -> None:
    """The checkpoint of a call that belongs to no run."""


class FailedAttempt(NamedTuple):
    """One line of ``MemoryCallLog.failures``."""

    scope: Scope
    kind: str
    detail: str


class MemoryCallLog:
    """A CallLog that forgets at exit, for probes and tests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}  # every billed answer, the unusable ones too
        self.reused: list[tuple[str, Scope]] = []
        self.failures: list[FailedAttempt] = []

    def find(self, key: str) -> Answer | None:
        answer = self.answers.get(key)
        return answer if answer is not None and answer.status == "ok" else None

    def record(self, request: ChatRequest, answer: Answer, scope: Scope) -> None:
        self.answers[answer.key] = answer

    def reuse(self, key: str, scope: Scope) -> None:
        self.reused.append((key, scope))

    def failure(self, scope: Scope, kind: str, detail: str) -> None:
        self.failures.append(FailedAttempt(scope, kind, detail))
