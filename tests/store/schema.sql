CREATE TRIGGER call_failures_insert_shows AFTER INSERT ON call_failures BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER call_failures_update_shows AFTER UPDATE ON call_failures BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER call_uses_insert_shows AFTER INSERT ON call_uses BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER call_uses_update_shows AFTER UPDATE ON call_uses BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER events_insert_shows AFTER INSERT ON events BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER events_update_shows AFTER UPDATE ON events BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER feedback_insert_shows AFTER INSERT ON feedback BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER feedback_update_shows AFTER UPDATE ON feedback BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER looks_insert_shows AFTER INSERT ON looks BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER looks_update_shows AFTER UPDATE ON looks BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER nodes_insert_shows AFTER INSERT ON nodes BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER nodes_update_shows AFTER UPDATE ON nodes BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER races_insert_shows AFTER INSERT ON races BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER races_update_shows AFTER UPDATE ON races BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER requests_insert_shows AFTER INSERT ON requests BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER requests_update_shows AFTER UPDATE ON requests BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER run_metric_sets_insert_shows AFTER INSERT ON run_metric_sets BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER run_metric_sets_update_shows AFTER UPDATE ON run_metric_sets BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER runs_start_counting AFTER INSERT ON runs BEGIN INSERT INTO run_changes VALUES (new.id, 1); END;
CREATE TRIGGER runs_update_shows AFTER UPDATE ON runs BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.id; END;
CREATE TRIGGER samples_insert_shows AFTER INSERT ON samples BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER samples_update_shows AFTER UPDATE ON samples BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER verdicts_insert_shows AFTER INSERT ON verdicts BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TRIGGER verdicts_update_shows AFTER UPDATE ON verdicts BEGIN UPDATE run_changes SET n = n + 1 WHERE run_id = new.run_id; END;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE TABLE anchors (
        project_id TEXT PRIMARY KEY REFERENCES projects(id) ON DELETE CASCADE,
        metrics TEXT NOT NULL,  -- JSON, see rows.metrics_to_json; those that are approved are marked
        at REAL NOT NULL
    );
CREATE TABLE call_failures (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        at REAL NOT NULL
    );
CREATE TABLE call_uses (
        call_id INTEGER NOT NULL REFERENCES calls(id) ON DELETE CASCADE,
        run_id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        node INTEGER,  -- NULL: on behalf of no node
        sample_id TEXT NOT NULL,
        paid INTEGER NOT NULL
    );
CREATE TABLE calls (
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
    );
CREATE TABLE capabilities (
        base_url TEXT NOT NULL,
        model TEXT NOT NULL,
        json_schema INTEGER NOT NULL,
        json_mode INTEGER NOT NULL,
        logprobs INTEGER NOT NULL,
        rewrites INTEGER,  -- NULL: not tried
        latency_ms INTEGER NOT NULL,
        probed REAL NOT NULL,
        PRIMARY KEY (base_url, model)
    );
CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        node INTEGER  -- NULL: about no node in particular
    );
CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        sample_id TEXT NOT NULL,
        rating TEXT NOT NULL,
        reasons TEXT NOT NULL,  -- JSON
        comment TEXT NOT NULL,
        edited TEXT,  -- JSON; NULL: not edited
        at REAL NOT NULL
    );
CREATE TABLE leases (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        owner TEXT NOT NULL,
        acquired REAL NOT NULL,
        heartbeat REAL NOT NULL
    );
CREATE TABLE looks (
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        iteration INTEGER NOT NULL,
        node INTEGER NOT NULL,
        version TEXT NOT NULL,
        seeds TEXT NOT NULL,  -- JSON
        PRIMARY KEY (run_id, iteration, node, version, seeds)
    );
CREATE TABLE metric_sets (
        version TEXT PRIMARY KEY,
        metrics TEXT NOT NULL  -- JSON
    );
CREATE TABLE nodes (
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
    );
CREATE TABLE projects (
        id TEXT PRIMARY KEY,
        task TEXT NOT NULL,  -- JSON, see rows.task_to_json
        created REAL NOT NULL
    );
CREATE TABLE races (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        at REAL NOT NULL,
        result TEXT NOT NULL  -- JSON, see rows.race_to_json
    );
CREATE TABLE races_asked (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        finished REAL,  -- NULL: nobody knows when
        budget_usd REAL,  -- NULL: no cap of its own
        budget_tokens INTEGER  -- NULL: no cap of its own
    );
CREATE TABLE requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        command TEXT NOT NULL,
        at REAL NOT NULL,
        handled_at REAL  -- NULL: the engine has not seen it yet
    );
CREATE TABLE run_changes (
        run_id TEXT PRIMARY KEY REFERENCES runs(id) ON DELETE CASCADE,
        n INTEGER NOT NULL  -- raised by triggers with every row that a page may show
    );
CREATE TABLE run_metric_sets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        version TEXT NOT NULL REFERENCES metric_sets(version),
        iteration INTEGER NOT NULL,
        agreement REAL,  -- NULL: there was no other candidate to agree with
        provenance TEXT NOT NULL,
        standing TEXT NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (run_id, iteration, version)
    );
CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        settings TEXT NOT NULL,  -- JSON
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        created REAL NOT NULL,
        finished REAL,  -- NULL: not ended, or nobody knows when (its owner was lost)
        brief TEXT NOT NULL  -- JSON of what the run works on, as it was when the run was made; "" for none
    );
CREATE TABLE samples (
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
    );
CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL  -- JSON; never a key or a password
    );
CREATE TABLE sqlite_sequence(name,seq);
CREATE TABLE verdicts (
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
    );
CREATE INDEX call_failures_of_run ON call_failures(run_id, kind);
CREATE INDEX call_uses_of_run ON call_uses(run_id, node, sample_id, paid);
CREATE UNIQUE INDEX call_uses_once ON call_uses(call_id, run_id, purpose, ifnull(node, -1), sample_id);
CREATE INDEX calls_bill ON calls(run_id, prompt_tokens, completion_tokens, usd);
CREATE INDEX calls_by_key ON calls(key);
CREATE INDEX events_of_run ON events(run_id, id);
CREATE INDEX feedback_of_run ON feedback(run_id, sample_id, id);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX nodes_by_fingerprint ON nodes(run_id, fingerprint);
CREATE INDEX requests_pending ON requests(run_id) WHERE handled_at IS NULL;
CREATE INDEX runs_of_project ON runs(project_id);
CREATE INDEX samples_of_run ON samples(run_id, fingerprint);
CREATE INDEX verdicts_of_run ON verdicts(run_id);
CREATE UNIQUE INDEX verdicts_once
        ON verdicts(run_id, subject, metric, version, judge, prompt_hash, repeat, (score IS NULL));
