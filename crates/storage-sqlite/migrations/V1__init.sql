-- Ids are 16-byte blobs, times are microseconds since 1970 (UTC), JSON is text. Columns of type ANY hold text, or a
-- blob where the text was large and is compressed (src/zip.rs).
--
-- Every page that a commit touches is written to disk before anybody is answered. So rows that are written together lie
-- together (tables WITHOUT ROWID are stored in the order of their key), and an index must earn its page: what only rare
-- questions need is found by reading a few rows more.

CREATE TABLE assistant (
    assistant_id BLOB NOT NULL PRIMARY KEY,
    graph_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    config TEXT NOT NULL,
    context TEXT NOT NULL
) STRICT;
CREATE INDEX assistant_by_created ON assistant (created_at, assistant_id);

CREATE TABLE assistant_version (
    assistant_id BLOB NOT NULL REFERENCES assistant ON DELETE CASCADE,
    version INTEGER NOT NULL,
    graph_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    config TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (assistant_id, version)
) STRICT;

-- `thread_key` keeps the rows below a thread small and is never shown to anybody. `ttl` is in microseconds; `settled` is
-- the `updated_at` whose end of the lifetime has been carried out.
CREATE TABLE thread (
    thread_key INTEGER NOT NULL PRIMARY KEY,
    thread_id BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    state_updated_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    config TEXT NOT NULL,
    ttl_strategy TEXT,
    ttl INTEGER,
    settled INTEGER
) STRICT;
CREATE INDEX thread_by_updated ON thread (updated_at, thread_id);
CREATE INDEX thread_by_created ON thread (created_at, thread_id);
-- Nearly all threads are idle: those are found by walking thread_by_updated.
CREATE INDEX thread_by_status ON thread (status, updated_at, thread_id) WHERE status <> 'idle';
-- Every change puts the end of the lifetime off.
CREATE INDEX thread_by_expiry ON thread (updated_at + ttl) WHERE ttl IS NOT NULL AND settled IS NOT updated_at;

-- Apart from `thread`, so that a change of status does not rewrite the values. `live` is the live view, made for the
-- checkpoint `live_id`.
CREATE TABLE thread_state (
    thread_key INTEGER NOT NULL PRIMARY KEY REFERENCES thread ON DELETE CASCADE,
    state_values ANY,
    interrupts ANY,
    error ANY,
    live_id TEXT,
    live ANY
) STRICT;

CREATE TABLE run (
    run_id BLOB NOT NULL PRIMARY KEY,
    thread_id BLOB NOT NULL REFERENCES thread (thread_id) ON DELETE CASCADE,
    assistant_id BLOB NOT NULL,
    graph_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    multitask_strategy TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    temporary INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    kwargs ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX run_by_thread ON run (thread_id, created_at, run_id);
CREATE INDEX run_pending ON run (created_at, run_id) WHERE status = 'pending';
CREATE INDEX run_inflight ON run (thread_id, created_at, run_id) WHERE status = 'pending' OR status = 'running';

CREATE TABLE checkpoint (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    parent_id TEXT,
    run_id BLOB,
    created_at INTEGER NOT NULL,
    step INTEGER NOT NULL,
    source TEXT NOT NULL,
    metadata ANY NOT NULL,
    refs ANY NOT NULL,
    small BLOB NOT NULL,
    PRIMARY KEY (thread_key, ns, checkpoint_id)
) STRICT, WITHOUT ROWID;

-- Large values are stored as differences to the version `base`; `seq` counts versions (src/series.rs).
CREATE TABLE rendered (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    next ANY NOT NULL,
    tasks ANY NOT NULL,
    seq INTEGER,
    base TEXT,
    state_values ANY NOT NULL,
    PRIMARY KEY (thread_key, ns, checkpoint_id)
) STRICT, WITHOUT ROWID;

-- Differences likewise.
CREATE TABLE channel_blob (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    channel TEXT NOT NULL,
    version TEXT NOT NULL,
    type_tag TEXT NOT NULL,
    seq INTEGER,
    base TEXT,
    bytes BLOB NOT NULL,
    PRIMARY KEY (thread_key, ns, channel, version)
) STRICT, WITHOUT ROWID;

-- No reference to `checkpoint`: the library may store the writes of a task before their checkpoint.
CREATE TABLE task_write (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    task_path TEXT NOT NULL,
    channel TEXT NOT NULL,
    type_tag TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (thread_key, ns, checkpoint_id, task_id, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    task_path TEXT NOT NULL,
    status ANY NOT NULL,
    PRIMARY KEY (thread_key, ns, checkpoint_id, task_id)
) STRICT, WITHOUT ROWID;

-- Events of resumable runs in chunks, each from its first id to its last. Runs of a thread do not overlap, so that the
-- chunks of a run lie together as well. `events` comes last: a look at the ids need not read it.
CREATE TABLE event_chunk (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    first_millis INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_millis INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    run_id BLOB NOT NULL,
    events BLOB NOT NULL,
    PRIMARY KEY (thread_key, first_millis, first_seq)
) STRICT, WITHOUT ROWID;

-- `namespace` is encoded so that byte order is the order of label lists and a prefix of labels is a range of keys.
CREATE TABLE item (
    namespace BLOB NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    value ANY NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT;
CREATE INDEX item_by_updated ON item (updated_at);
CREATE INDEX item_by_expiry ON item (expires_at) WHERE expires_at IS NOT NULL;
