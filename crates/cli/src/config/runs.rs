//! Numbers that bound the run engine.

use agent_server_domain::Options;

use super::{Sources, first};
use crate::{
    Mode,
    env::upstream,
    refusal::{Refusal, Result},
};

/// Longest time limit, seconds: a hundred years.
const MAX_TIMEOUT_SECONDS: f64 = 3_155_760_000.0;

/// A time limit that a clock can measure.
fn timeout(seconds: f64) -> Result<f64> {
    // Not a number is in no range.
    if seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS {
        return Ok(seconds);
    }
    Err(Refusal::usage(format!(
        "the time limit of runs is {seconds} s; it must be more than 0 and at most {MAX_TIMEOUT_SECONDS}"
    ))
    .into())
}

/// Grace of a stop at a workplace, seconds, where somebody waits for it.
const DEV_SHUTDOWN_GRACE_SECONDS: u64 = 5;

/// The engine's options; their meaning and defaults, but for the one above, are the domain's.
pub(crate) fn resolve(mode: Mode, from: &Sources<'_>) -> Result<Options> {
    let default = Options::default();
    let (args, file) = (from.args, &from.file.runs);
    Ok(Options {
        max_attempts: first(
            [args.max_attempts, from.env.parsed(upstream::BG_JOB_MAX_RETRIES)?, file.max_attempts],
            || default.max_attempts,
        )
        .max(1),
        timeout_seconds: timeout(first(
            [
                args.run_timeout_seconds,
                from.env.parsed(upstream::BG_JOB_TIMEOUT_SECS)?,
                file.timeout_seconds,
            ],
            || default.timeout_seconds,
        ))?,
        save_delay_ms: first([args.save_delay_ms, file.save_delay_ms], || default.save_delay_ms),
        replay_seconds: first(
            [
                args.replay_seconds,
                from.env.parsed(upstream::RESUMABLE_STREAM_TTL_SECONDS)?,
                file.replay_seconds,
            ],
            || default.replay_seconds,
        ),
        shutdown_grace_seconds: first(
            [
                args.shutdown_grace_seconds,
                from.env.parsed(upstream::BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS)?,
                file.shutdown_grace_seconds,
            ],
            || match mode {
                Mode::Dev => DEV_SHUTDOWN_GRACE_SECONDS,
                Mode::Serve => default.shutdown_grace_seconds,
            },
        ),
        log_bytes: first([args.log_bytes, file.log_bytes], || default.log_bytes),
        needs_graphs: mode == Mode::Serve,
        ..default
    })
}
