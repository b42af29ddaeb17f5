-- Ends of runs that a receiver is told of: written with the end, delivered afterwards. A run ends once, so its id is the id of
-- the delivery, too. No reference to `run` or `thread`: a stateless run is gone when its end is told. `metadata` is that of
-- the thread, for scopes; `due_at` is set as long as another try follows.
CREATE TABLE webhook_delivery (
    run_id BLOB NOT NULL PRIMARY KEY,
    thread_id BLOB NOT NULL,
    assistant_id BLOB NOT NULL,
    host TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    due_at INTEGER,
    url TEXT NOT NULL,
    outcome TEXT,
    metadata TEXT NOT NULL,
    payload ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at, run_id) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_delivery_settled ON webhook_delivery (updated_at) WHERE due_at IS NULL;
CREATE INDEX webhook_delivery_by_thread ON webhook_delivery (thread_id);

-- What was created for an Idempotency-Key: `runs` holds the ids of its runs, 16 bytes each.
CREATE TABLE idempotency_key (
    user TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    runs BLOB NOT NULL,
    PRIMARY KEY (user, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_by_expiry ON idempotency_key (expires_at);
