"""What a run produces: nodes, samples, verdicts, metric sets, events and feedback.

Owns that nothing here is ever made worse by a repeat: verdicts, events and feedback are only appended, and a sample
that came to an end is never replaced. Scores are queries; what they mean is left to ``judging``.
"""

# Only this package's own column lists are put into SQL text; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from autosynth_core.records import (
    Event,
    Feedback,
    Look,
    MetricSet,
    Node,
    RaceResult,
    RunMetricSet,
    Sample,
    SampleState,
    ScoreRow,
    Standing,
    Verdict,
)
from autosynth_core.store import rows
from autosynth_core.store.connections import Connection, Connections
from autosynth_core.store.rows import WorkflowScore

__all__ = ["Tree"]

WORKFLOW_VERSION = "workflow"  # the version of the fixed workflow metrics, see records.Verdict

# Few subjects are looked up one by one, a whole run is read verdict by verdict. SQLite keeps no figures here that would
# tell it which is better, so the queries say so: by naming the index, and by the order of a CROSS JOIN.
_BY_SUBJECT = "verdicts INDEXED BY verdicts_once"


class Tree:
    """The part of ``Store`` that knows what runs produced."""

    _db: Connections

    def tree_version(self, run_id: str) -> int:
        """A number that grows whenever anything that a page shows of the run has changed; 0 when there is no run."""
        with self._db.read() as db:
            row = db.put("SELECT n FROM run_changes WHERE run_id = ?", (run_id,)).fetchone()
        return int(row[0]) if row else 0

    # --- nodes

    def put_node(self, node: Node) -> None:
        """Insert the node, or replace the one of the same number."""
        self.put_outcome(node, ())

    def put_outcome(self, node: Node, events: Sequence[Event], looks: Sequence[Look] = ()) -> None:
        """A node, what its iteration looked at and what is to be said about it: all or nothing."""
        sql = f"INSERT INTO looks ({rows.LOOK}) VALUES ({rows.marks(rows.LOOK)}) ON CONFLICT DO NOTHING"
        with self._db.write() as db:
            _put_node(db, node)
            for look in looks:
                db.put(sql, rows.look_row(look, node.run_id))
            for event in events:
                _add_event(db, event)

    def node(self, run_id: str, number: int) -> Node | None:
        with self._db.read() as db:
            row = db.put(f"SELECT {rows.NODE} FROM nodes WHERE run_id = ? AND number = ?", (run_id, number)).fetchone()
        return None if row is None else rows.read_node(row)

    def nodes(self, run_id: str) -> list[Node]:
        """The run's nodes by number."""
        with self._db.read() as db:
            found = db.put(f"SELECT {rows.NODE} FROM nodes WHERE run_id = ? ORDER BY number", (run_id,)).fetchall()
        return [rows.read_node(row) for row in found]

    def looks(self, run_id: str) -> list[Look]:
        """What finished iterations looked at, in their order."""
        with self._db.read() as db:
            found = db.put(
                f"SELECT {rows.LOOK} FROM looks WHERE run_id = ? ORDER BY iteration, node, version, seeds", (run_id,)
            ).fetchall()
        return [rows.read_look(row) for row in found]

    # --- samples

    def put_sample(self, sample: Sample) -> None:
        """Keep a sample. One that is there already stays, unless only the model's endpoint had failed it."""
        with self._db.write() as db:
            db.put(
                f"INSERT INTO samples ({rows.SAMPLE}) VALUES ({rows.marks(rows.SAMPLE)}) "
                "ON CONFLICT (id) DO UPDATE SET state = excluded.state, ms = excluded.ms, reason = excluded.reason, "
                "output = excluded.output "
                f"WHERE state = '{SampleState.MODEL_FAILED}'",
                rows.sample_row(sample),
            )

    def sample(self, sample_id: str) -> Sample | None:
        with self._db.read() as db:
            row = db.put(f"SELECT {rows.SAMPLE} FROM samples WHERE id = ?", (sample_id,)).fetchone()
        return None if row is None else rows.read_sample(row)

    def samples(self, run_id: str, fingerprint: str | None = None) -> list[Sample]:
        """In the order they were made."""
        where, values = _where({"run_id": run_id, "fingerprint": fingerprint})
        with self._db.read() as db:
            found = db.put(f"SELECT {rows.SAMPLE} FROM samples WHERE {where} ORDER BY rowid", values).fetchall()
        return [rows.read_sample(row) for row in found]

    # --- verdicts

    def put_verdicts(self, verdicts: Iterable[Verdict], run_id: str) -> None:
        """Append verdicts, all or none. A verdict given before is not given again; an unread one may be followed by a
        readable one."""
        sql = f"INSERT INTO verdicts ({rows.VERDICT}) VALUES ({rows.marks(rows.VERDICT)}) ON CONFLICT DO NOTHING"
        given = [rows.verdict_row(verdict, run_id) for verdict in verdicts]
        with self._db.write() as db:
            for row in given:
                db.put(sql, row)

    def verdicts(
        self, run_id: str, *, subjects: Iterable[str] | None = None, version: str | None = None
    ) -> list[Verdict]:
        """In the order they were given, unread ones included."""
        where, values = _where({"run_id": run_id, "version": version})
        table = "verdicts" if subjects is None else _BY_SUBJECT
        if subjects is not None:
            where += " AND subject IN (SELECT value FROM json_each(?))"
            values.append(rows.to_json(list(subjects)))
        with self._db.read() as db:
            found = db.put(f"SELECT {rows.VERDICT} FROM {table} WHERE {where} ORDER BY id", values).fetchall()
        return [rows.read_verdict(row) for row in found]

    def sample_scores(
        self, run_id: str, *, fingerprint: str | None = None, version: str | None = None, judge: str | None = None
    ) -> list[ScoreRow]:
        """Every readable verdict on a sample of the run, in the order given; unread and repeated ones are left out.

        Of one workflow, one version of the metrics or one judge where given.
        """
        given = {"samples.fingerprint": fingerprint, "version": version, "judge": judge}
        where, values = _where({"verdicts.run_id": run_id, **given})
        tables = "verdicts CROSS JOIN samples" if fingerprint is None else f"samples CROSS JOIN {_BY_SUBJECT}"
        with self._db.read() as db:
            found = db.put(
                "SELECT fingerprint, seed_id, replicate, version, judge, metric, score "
                f"FROM {tables} ON samples.id = subject AND samples.run_id = verdicts.run_id "
                f"WHERE {where} AND score IS NOT NULL AND repeat = 0 ORDER BY verdicts.id",
                values,
            ).fetchall()
        return [ScoreRow._make(row) if type(row[5]) is type(row[4]) is str else _decoded(row) for row in found]

    def workflow_scores(
        self, run_id: str, *, fingerprint: str | None = None, judge: str | None = None
    ) -> list[WorkflowScore]:
        """Every readable verdict on a workflow's text in the run, in the order given."""
        given = {"subject": fingerprint, "judge": judge}
        where, values = _where({"run_id": run_id, "version": WORKFLOW_VERSION, **given})
        table = "verdicts" if fingerprint is None else _BY_SUBJECT
        with self._db.read() as db:
            found = db.put(
                f"SELECT subject, judge, metric, score FROM {table} WHERE {where} AND score IS NOT NULL ORDER BY id",
                values,
            ).fetchall()
        return [
            WorkflowScore(subject, rows.text(judge), rows.text(metric), score)
            for subject, judge, metric, score in found
        ]

    def failed_samples(self, run_id: str) -> dict[str, set[tuple[str, int]]]:
        """By workflow fingerprint, the samples that its own code failed to make: seed input's id and replicate."""
        with self._db.read() as db:
            found = db.put(
                "SELECT fingerprint, seed_id, replicate FROM samples WHERE run_id = ? AND state = ?",
                (run_id, SampleState.WORKFLOW_FAILED),
            ).fetchall()
        failed: dict[str, set[tuple[str, int]]] = {}
        for fingerprint, seed_id, replicate in found:
            failed.setdefault(fingerprint, set()).add((seed_id, replicate))
        return failed

    # --- metric sets

    def put_metric_set(
        self,
        run_id: str,
        metric_set: MetricSet,
        iteration: int,
        agreement: float | None,
        provenance: str,
        standing: Standing = Standing.IN_FORCE,
        reason: str = "",
    ) -> None:
        """Note that a metric set came into the run at an iteration."""
        with self._db.write() as db:
            db.put(
                "INSERT INTO metric_sets VALUES (?, ?) ON CONFLICT DO NOTHING",
                (metric_set.version, rows.metrics_to_json(metric_set)),
            )
            db.put(
                "INSERT INTO run_metric_sets (run_id, version, iteration, agreement, provenance, standing, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (run_id, metric_set.version, iteration, agreement, provenance, standing, reason),
            )

    def decide_on_metric_set(self, run_id: str, version: str, standing: Standing) -> None:
        """A person's decision on a metric set that was set aside. What was decided before stays as it is."""
        with self._db.write() as db:
            db.put(
                "UPDATE run_metric_sets SET standing = ? WHERE run_id = ? AND version = ? AND standing = ?",
                (standing, run_id, version, Standing.QUARANTINED),
            )

    def metric_set(self, version: str) -> MetricSet | None:
        with self._db.read() as db:
            row = db.put("SELECT metrics FROM metric_sets WHERE version = ?", (version,)).fetchone()
        return None if row is None else rows.metrics_from_json(row[0])

    def metric_sets(self, run_id: str) -> list[RunMetricSet]:
        """In the order they came into the run."""
        with self._db.read() as db:
            found = db.put(
                "SELECT metrics, iteration, agreement, provenance, standing, reason FROM run_metric_sets "
                "JOIN metric_sets USING (version) WHERE run_id = ? ORDER BY id",
                (run_id,),
            ).fetchall()
        return [
            RunMetricSet(
                rows.metrics_from_json(metrics),
                iteration,
                agreement,
                rows.text(provenance),
                Standing(standing),
                rows.text(reason),
            )
            for metrics, iteration, agreement, provenance, standing, reason in found
        ]

    # --- races

    def add_race(self, race: RaceResult) -> None:
        """Append the result of a race."""
        with self._db.write() as db:
            db.put(
                "INSERT INTO races (run_id, at, result) VALUES (?, ?, ?)",
                (race.run_id, race.at, rows.race_to_json(race)),
            )

    def races(self, run_id: str) -> list[RaceResult]:
        """The run's races, oldest first."""
        with self._db.read() as db:
            found = db.put("SELECT run_id, at, result FROM races WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
        return [rows.read_race(row) for row in found]

    # --- events and feedback

    def add_event(self, event: Event) -> int:
        """Append a line to the run's feed; returns its id."""
        with self._db.write() as db:
            return _add_event(db, event)

    def events(self, run_id: str, after_id: int = 0, limit: int = 500, *, newest: bool = False) -> list[Event]:
        """Up to ``limit`` events after ``after_id`` in order: the first ones, or with ``newest`` the last ones."""
        with self._db.read() as db:
            found = db.put(
                f"SELECT {rows.EVENT}, id FROM events WHERE run_id = ? AND id > ? "
                f"ORDER BY id {'DESC' if newest else 'ASC'} LIMIT ?",
                (run_id, after_id, limit),
            ).fetchall()
        return [rows.read_event(row) for row in (reversed(found) if newest else found)]

    def add_feedback(self, feedback: Feedback) -> None:
        """Append an educator's feedback; what was said before stays in the database."""
        with self._db.write() as db:
            db.put(
                f"INSERT INTO feedback ({rows.FEEDBACK}) VALUES ({rows.marks(rows.FEEDBACK)})",
                rows.feedback_row(feedback),
            )

    def feedback(self, run_id: str) -> list[Feedback]:
        """The latest feedback for each sample of the round, in the order the samples were first spoken of."""
        with self._db.read() as db:
            found = db.put(f"SELECT {rows.FEEDBACK} FROM feedback WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
        latest = {feedback.sample_id: feedback for feedback in map(rows.read_feedback, found)}
        return list(latest.values())


def _where(wanted: Mapping[str, str | None]) -> tuple[str, list[str]]:
    """The condition that the columns have the values that are given, and those values."""
    given = {column: value for column, value in wanted.items() if value is not None}
    return " AND ".join(f"{column} = ?" for column in given), list(given.values())


def _decoded(row: rows.Row) -> ScoreRow:
    """A score row in which a model gave a metric or itself a name that is not UTF-8."""
    return ScoreRow._make(rows.text(value) if isinstance(value, bytes) else value for value in row)


def _put_node(db: Connection, node: Node) -> None:
    columns = [name.strip() for name in rows.NODE.split(",")]
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns[2:])
    db.put(
        f"INSERT INTO nodes ({rows.NODE}) VALUES ({rows.marks(rows.NODE)}) "
        f"ON CONFLICT (run_id, number) DO UPDATE SET {changes}",
        rows.node_row(node),
    )


def _add_event(db: Connection, event: Event) -> int:
    cursor = db.put(f"INSERT INTO events ({rows.EVENT}) VALUES ({rows.marks(rows.EVENT)})", rows.event_row(event))
    return int(cursor.lastrowid or 0)
