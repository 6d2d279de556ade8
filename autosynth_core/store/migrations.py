"""The database's schema, as migrations that are only ever appended to.

Owns the tables and what NULL means in each. What goes into them is written in the modules beside this one.

There is no table with "the score of a node": samples and verdicts are stored, scores are queries over them.
Text columns may hold a BLOB where a text has no UTF-8 form (lone surrogates); ``rows.text`` reads both.
"""

# Only this package's own column lists are put into SQL text; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from sqlite_utils import Database, Migrations

__all__ = ["APPLICATION_ID", "migrations"]

APPLICATION_ID = 0x4153594E  # "ASYN" in the file's header: tells our files from other programs' databases

migrations = Migrations("autosynth")

_FIRST_TABLES = (
    """CREATE TABLE projects (
        id TEXT PRIMARY KEY,
        task TEXT NOT NULL,  -- JSON, see rows.task_to_json
        created REAL NOT NULL
    )""",
    """CREATE TABLE anchors (
        project_id TEXT PRIMARY KEY REFERENCES projects(id) ON DELETE CASCADE,
        metrics TEXT NOT NULL,  -- JSON, see rows.metrics_to_json; those that are approved are marked
        at REAL NOT NULL
    )""",
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        settings TEXT NOT NULL,  -- JSON
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        created REAL NOT NULL,
        finished REAL,  -- NULL: not ended, or nobody knows when (its owner was lost)
        brief TEXT NOT NULL  -- JSON of what the run works on, as it was when the run was made; "" for none
    )""",
    "CREATE INDEX runs_of_project ON runs(project_id)",
    """CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL  -- JSON; never a key or a password
    )""",
    """CREATE TABLE run_changes (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        n INTEGER NOT NULL  -- raised by triggers with every row that a page may show
    )""",
    """CREATE TABLE leases (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        owner TEXT NOT NULL,
        acquired REAL NOT NULL,
        heartbeat REAL NOT NULL
    )""",
    """CREATE TABLE requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        command TEXT NOT NULL,
        at REAL NOT NULL,
        handled_at REAL  -- NULL: the engine has not seen it yet
    )""",
    "CREATE INDEX requests_pending ON requests(run_id) WHERE handled_at IS NULL",
    """CREATE TABLE nodes (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        parent INTEGER,  -- NULL: the root
        state TEXT NOT NULL,
        form TEXT NOT NULL,
        operator TEXT NOT NULL,
        target TEXT NOT NULL,
        modification TEXT NOT NULL,
        weakness TEXT NOT NULL,
        source TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        gate TEXT,  -- NULL: stopped at no gate
        reason TEXT NOT NULL,
        repairs INTEGER NOT NULL,
        metric_version TEXT NOT NULL,
        duplicate_of INTEGER,  -- NULL: no duplicate
        PRIMARY KEY (run_id, number)
    )""",
    "CREATE INDEX nodes_by_fingerprint ON nodes(run_id, fingerprint)",
    """CREATE TABLE samples (
        id TEXT PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        fingerprint TEXT NOT NULL,
        seed_id TEXT NOT NULL,
        replicate INTEGER NOT NULL,
        state TEXT NOT NULL,
        ms INTEGER NOT NULL,
        reason TEXT NOT NULL,
        seed TEXT NOT NULL,  -- JSON
        output TEXT  -- JSON; NULL: nothing came out
    )""",
    "CREATE INDEX samples_of_run ON samples(run_id, fingerprint)",
    """CREATE TABLE verdicts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        subject TEXT NOT NULL,
        metric TEXT NOT NULL,
        version TEXT NOT NULL,
        judge TEXT NOT NULL,
        prompt_hash TEXT NOT NULL,
        score REAL,  -- NULL: no verdict could be read; left out of every mean
        method TEXT NOT NULL,
        reason TEXT NOT NULL,
        repeat INTEGER NOT NULL
    )""",
    # A verdict that could not be read must not keep out the one that a later attempt gives.
    """CREATE UNIQUE INDEX verdicts_once
        ON verdicts(run_id, subject, metric, version, judge, prompt_hash, repeat, (score IS NULL))""",
    "CREATE INDEX verdicts_of_run ON verdicts(run_id)",  # in the order given, without sorting
    """CREATE TABLE looks (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        iteration INTEGER NOT NULL,
        node INTEGER NOT NULL,
        version TEXT NOT NULL,
        seeds TEXT NOT NULL,  -- JSON
        PRIMARY KEY (run_id, iteration, node, version, seeds)
    )""",
    """CREATE TABLE races (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        at REAL NOT NULL,
        result TEXT NOT NULL  -- JSON, see rows.race_to_json
    )""",
    """CREATE TABLE metric_sets (
        version TEXT PRIMARY KEY,
        metrics TEXT NOT NULL  -- JSON
    )""",
    """CREATE TABLE run_metric_sets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        version TEXT NOT NULL REFERENCES metric_sets(version),
        iteration INTEGER NOT NULL,
        agreement REAL,  -- NULL: there was no other candidate to agree with
        provenance TEXT NOT NULL,
        standing TEXT NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (run_id, iteration, version)
    )""",
    # The three tables of calls name runs without a foreign key: nothing that was paid for is turned away by a
    # constraint. Small columns come first, so that sums need not walk over the long texts.
    """CREATE TABLE calls (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        run_id TEXT,  -- the payer; NULL: its project was deleted, or is in another database
        model TEXT NOT NULL,
        status TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        prompt_tokens INTEGER,  -- NULL: the endpoint did not say
        completion_tokens INTEGER,  -- NULL: the endpoint did not say
        usd REAL,  -- NULL: price or tokens unknown, never free
        ms INTEGER NOT NULL,
        at REAL NOT NULL,
        imported INTEGER NOT NULL,  -- 1: from an archive; shown and counted, never served as an answer
        first_token TEXT,  -- JSON; NULL: log-probabilities not asked for, or not given
        request TEXT NOT NULL,  -- JSON
        answer TEXT NOT NULL
    )""",
    "CREATE INDEX calls_by_key ON calls(key)",
    "CREATE INDEX calls_bill ON calls(run_id, prompt_tokens, completion_tokens, usd)",
    """CREATE TABLE call_uses (
        call_id INTEGER NOT NULL REFERENCES calls(id) ON DELETE CASCADE,
        run_id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        node INTEGER,  -- NULL: on behalf of no node
        sample_id TEXT NOT NULL,
        paid INTEGER NOT NULL
    )""",
    # NULLs count as different in an index, hence ifnull.
    "CREATE UNIQUE INDEX call_uses_once ON call_uses(call_id, run_id, purpose, ifnull(node, -1), sample_id)",
    "CREATE INDEX call_uses_of_run ON call_uses(run_id, node, sample_id, paid)",
    """CREATE TABLE call_failures (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        at REAL NOT NULL
    )""",
    "CREATE INDEX call_failures_of_run ON call_failures(run_id, kind)",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        node INTEGER  -- NULL: about no node in particular
    )""",
    "CREATE INDEX events_of_run ON events(run_id, id)",
    """CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        sample_id TEXT NOT NULL,
        rating TEXT NOT NULL,
        reasons TEXT NOT NULL,  -- JSON
        comment TEXT NOT NULL,
        edited TEXT,  -- JSON; NULL: not edited
        at REAL NOT NULL
    )""",
    "CREATE INDEX feedback_of_run ON feedback(run_id, sample_id, id)",
    """CREATE TABLE capabilities (
        base_url TEXT NOT NULL,
        model TEXT NOT NULL,
        json_schema INTEGER NOT NULL,
        json_mode INTEGER NOT NULL,
        logprobs INTEGER NOT NULL,
        rewrites INTEGER,  -- NULL: not tried
        latency_ms INTEGER NOT NULL,
        probed REAL NOT NULL,
        PRIMARY KEY (base_url, model)
    )""",
)

_SHOWN = (
    "nodes",
    "samples",
    "verdicts",
    "looks",
    "races",
    "run_metric_sets",
    "call_uses",
    "call_failures",
    "events",
    "feedback",
    "requests",
)


def _count_changes(db: Database, table: str, column: str = "run_id") -> None:
    """Raise a run's change counter with each row that comes into ``table`` or changes there."""
    for action in ("INSERT", "UPDATE"):
        db.execute(
            f"CREATE TRIGGER {table}_{action.lower()}_shows AFTER {action} ON {table} BEGIN "
            f"UPDATE run_changes SET n = n + 1 WHERE run_id = new.{column}; END"
        )


@migrations(name="0001_first_tables")
def _first_tables(db: Database) -> None:
    for statement in _FIRST_TABLES:
        db.execute(statement)
    db.execute(
        "CREATE TRIGGER runs_start_counting AFTER INSERT ON runs BEGIN INSERT INTO run_changes VALUES (new.id, 1); END"
    )
    db.execute(
        "CREATE TRIGGER runs_update_shows AFTER UPDATE ON runs BEGIN "
        "UPDATE run_changes SET n = n + 1 WHERE run_id = new.id; END"
    )
    for table in _SHOWN:
        _count_changes(db, table)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@migrations(name="0002_races_asked")
def _races_asked(db: Database) -> None:
    """A race on demand, from its asking to its end, and how its run stood before."""
    db.execute(
        """CREATE TABLE races_asked (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        finished REAL,  -- NULL: nobody knows when
        budget_usd REAL,  -- NULL: no cap of its own
        budget_tokens INTEGER  -- NULL: no cap of its own
    )"""
    )
