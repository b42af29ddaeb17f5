//! Runs users' graphs: worker pool, frame protocol, Python runner, Rust graphs in process.
