-- Of a folder whose contents are encrypted: what the key of this folder is made with, and something that only the right key can
-- read. No row: nothing is encrypted.
CREATE TABLE encryption (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    salt BLOB NOT NULL,
    key_check BLOB NOT NULL
) STRICT;

-- One row: the folder is written with the encryption of a project, which is in the program's settings and not here.
CREATE TABLE encryption_hooks (only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1)) STRICT;
