-- What runs have changed at checkpoints that are not theirs, so that it can be taken back with them: an answer to a question
-- is written beside the checkpoint that asks. A task has one row per run that has touched it, `status` is NULL where it had
-- none before.
CREATE TABLE task_before (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    run_id BLOB NOT NULL,
    task_path TEXT NOT NULL,
    status ANY,
    PRIMARY KEY (thread_key, ns, checkpoint_id, task_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_write_before (
    thread_key INTEGER NOT NULL REFERENCES thread ON DELETE CASCADE,
    ns TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    run_id BLOB NOT NULL,
    idx INTEGER NOT NULL,
    task_path TEXT NOT NULL,
    channel TEXT NOT NULL,
    type_tag TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (thread_key, ns, checkpoint_id, task_id, run_id, idx)
) STRICT, WITHOUT ROWID;

-- How often the server has died while the run was running. Those attempts are not counted in `attempt`.
ALTER TABLE run ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
