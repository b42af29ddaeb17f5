-- Schedules. A cron goes away with its assistant and with its thread.
CREATE TABLE cron (
    cron_id BLOB NOT NULL PRIMARY KEY,
    assistant_id BLOB NOT NULL REFERENCES assistant ON DELETE CASCADE,
    thread_id BLOB REFERENCES thread (thread_id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    next_run_date INTEGER,
    end_time INTEGER,
    enabled INTEGER NOT NULL,
    schedule TEXT NOT NULL,
    timezone TEXT,
    on_run_completed TEXT,
    user_id TEXT,
    metadata TEXT NOT NULL,
    payload ANY NOT NULL
) STRICT;
CREATE INDEX cron_by_created ON cron (created_at, cron_id);
-- What is due, and what will be next.
CREATE INDEX cron_by_next ON cron (next_run_date, cron_id) WHERE enabled AND next_run_date IS NOT NULL;
-- Deleting an assistant or a thread looks for its crons.
CREATE INDEX cron_by_assistant ON cron (assistant_id);
CREATE INDEX cron_by_thread ON cron (thread_id) WHERE thread_id IS NOT NULL;

-- The slots that a cron has fired for: one row each, written together with the run that it made, so that none is fired
-- for twice. Old ones are removed on the way.
CREATE TABLE cron_slot (
    cron_id BLOB NOT NULL REFERENCES cron ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    run_id BLOB NOT NULL,
    PRIMARY KEY (cron_id, slot)
) STRICT, WITHOUT ROWID;
