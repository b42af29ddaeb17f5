//! SQLite backend of the storage interface: embedded, durable, one writer with group commit.
