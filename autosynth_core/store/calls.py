"""What was asked of models, what came back, what it cost and on whose behalf.

Owns the call log: an answer is committed before anybody parses it, every billed answer is a row of its own, and a
repeat of the same question is served from here. It has the shape of ``llm``'s call log without importing it.
"""

# Only this package's own column lists are put into SQL text; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable

from autosynth_core.records import Answer, Capabilities, ChatRequest, Scope, Usage
from autosynth_core.store import rows
from autosynth_core.store.connections import Connection, Connections
from autosynth_core.store.rows import CallRow

__all__ = ["Calls"]

_DETAIL_CHARS = 2000  # of a failure's detail; an error page can be megabytes

# Several billed answers may bear one key (two processes asked at once): the first usable one is the answer. What an
# archive claims a model said is never taken for an answer.
_ANSWER_TO = "FROM calls WHERE key = ? AND status = 'ok' AND imported = 0 ORDER BY id LIMIT 1"

_ADD_USE = "INSERT INTO call_uses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


class Calls:
    """The part of ``Store`` that knows model calls."""

    _db: Connections
    _clock: Callable[[], float]

    def find(self, key: str) -> Answer | None:
        """The usable answer to a request's key, if there is one."""
        with self._db.read() as db:
            row = db.put(f"SELECT {rows.ANSWER} {_ANSWER_TO}", (key,)).fetchone()
        return None if row is None else rows.read_answer(row)

    def record(self, request: ChatRequest, answer: Answer, scope: Scope) -> None:
        """Keep a billed answer, usable or not, with its request and its payer. Committed when this returns."""
        with self._db.write() as db:
            call_id = _add_call(db, request, answer, scope.run_id, self._clock())
            db.put(_ADD_USE, (call_id, scope.run_id, scope.purpose, scope.node, scope.sample_id, 1))

    def reuse(self, key: str, scope: Scope) -> None:
        """Note that the kept answer served ``scope``. Asking again for what the same scope paid changes nothing."""
        with self._db.write() as db:
            row = db.put(f"SELECT id {_ANSWER_TO}", (key,)).fetchone()
            if row is not None:
                db.put(_ADD_USE, (row[0], scope.run_id, scope.purpose, scope.node, scope.sample_id, 0))

    def failure(self, scope: Scope, kind: str, detail: str) -> None:
        """Note a failed attempt, retries included. Only the first 2000 characters of the detail are kept."""
        with self._db.write() as db:
            db.put(
                "INSERT INTO call_failures (run_id, kind, detail, at) VALUES (?, ?, ?, ?)",
                (scope.run_id, kind, detail[:_DETAIL_CHARS], self._clock()),
            )

    def calls_of(
        self, run_id: str, node: int | None = None, sample_id: str | None = None, *, limit: int = 1000
    ) -> list[CallRow]:
        """The first ``limit`` uses of calls in a run, of one node or sample where given, in the order of the calls."""
        where: dict[str, str | int] = {"call_uses.run_id": run_id}
        if node is not None:
            where["node"] = node
        if sample_id is not None:
            where["sample_id"] = sample_id
        with self._db.read() as db:
            found = db.put(
                f"SELECT at, purpose, node, sample_id, paid, request, {rows.ANSWER} FROM call_uses JOIN calls "
                f"ON calls.id = call_id WHERE {' AND '.join(f'{name} = ?' for name in where)} ORDER BY call_id LIMIT ?",
                (*where.values(), limit),
            ).fetchall()
        return [_read_call(row) for row in found]

    def usage(self, run_id: str) -> Usage:
        """What the run has paid for, what it got from the log, and what failed."""
        with self._db.snapshot() as db:
            paid = db.put(
                "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(usd), "  # sum() may overflow
                "count(*) - count(usd) FROM calls WHERE run_id = ?",
                (run_id,),
            ).fetchone()
            cached = db.put("SELECT count(*) FROM call_uses WHERE run_id = ? AND paid = 0", (run_id,)).fetchone()
            failures = db.put(
                "SELECT kind, count(*) FROM call_failures WHERE run_id = ? GROUP BY kind", (run_id,)
            ).fetchall()
        calls, prompt_tokens, completion_tokens, usd, unpriced = paid
        by_kind = {rows.text(kind): count for kind, count in failures}
        return Usage(calls, cached[0], int(prompt_tokens), int(completion_tokens), usd, unpriced, by_kind)

    def put_capabilities(self, capabilities: Capabilities) -> None:
        """Remember what an endpoint's model can do, in place of what was known before."""
        with self._db.write() as db:
            db.put(
                f"REPLACE INTO capabilities ({rows.CAPABILITIES}) VALUES ({rows.marks(rows.CAPABILITIES)})",
                rows.capabilities_row(capabilities),
            )

    def capabilities(self, base_url: str, model: str) -> Capabilities | None:
        with self._db.read() as db:
            row = db.put(
                f"SELECT {rows.CAPABILITIES} FROM capabilities WHERE base_url = ? AND model = ?", (base_url, model)
            ).fetchone()
        return None if row is None else rows.read_capabilities(row)


def _add_call(db: Connection, request: ChatRequest, answer: Answer, run_id: str, at: float) -> int:
    first_token = None if answer.first_token is None else rows.token_choice_to_json(answer.first_token)
    cursor = db.put(
        f"INSERT INTO calls ({rows.ANSWER}, run_id, at, imported, request) "
        f"VALUES ({rows.marks(rows.ANSWER)}, ?, ?, 0, ?)",
        (
            answer.key, answer.model, answer.text, answer.finish_reason, answer.prompt_tokens,
            answer.completion_tokens, answer.usd, answer.ms, first_token, answer.status,
            run_id, at, rows.request_to_json(request),
        ),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def _read_call(row: rows.Row) -> CallRow:
    at, purpose, node, sample_id, paid, request = row[:6]
    answer = rows.read_answer(row[6:])
    return CallRow(at, rows.text(purpose), node, sample_id, bool(paid), rows.request_from_json(request), answer)
