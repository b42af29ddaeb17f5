//! The rules of the Agent Server: no HTTP, no SQL, no processes, no clock of its own.
