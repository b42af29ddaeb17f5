//! A small trait and executor for graphs written in Rust.
