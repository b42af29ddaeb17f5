-- Items lie in the order of their names, so that those below a prefix are read together. `ttl` is in microseconds.
CREATE TABLE item_by_name (
    namespace BLOB NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    ttl INTEGER,
    value ANY NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;
INSERT INTO item_by_name (namespace, key, created_at, updated_at, expires_at, ttl, value)
SELECT namespace, key, created_at, updated_at, expires_at, max(expires_at - updated_at, 1), value
FROM item ORDER BY namespace, key;
DROP TABLE item;
ALTER TABLE item_by_name RENAME TO item;
-- Holds the names as well, as every index of such a table does.
CREATE INDEX item_by_updated ON item (updated_at DESC);
CREATE INDEX item_by_expiry ON item (expires_at) WHERE expires_at IS NOT NULL;

-- Vectors of items, one for each text that was found in the value: 32-bit floats, little endian, of length 1 or all zero.
CREATE TABLE item_vector (
    namespace BLOB NOT NULL,
    key TEXT NOT NULL,
    path TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (namespace, key, path),
    FOREIGN KEY (namespace, key) REFERENCES item ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
