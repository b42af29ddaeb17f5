//! The worker with a real interpreter and real graphs, against a scripted sink.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod failures;
mod fixture;
mod loading;
mod questions;
mod records;
mod replacement;
mod runs;
mod sink;
mod special;
mod transcript;
