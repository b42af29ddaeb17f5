-- Of a folder whose contents are encrypted: what the key of this folder is made with, and something that only the right key can
-- read. No row: nothing is encrypted.
CREATE TABLE encryption (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    salt BLOB NOT NULL,
    key_check BLOB NOT NULL
) STRICT;
