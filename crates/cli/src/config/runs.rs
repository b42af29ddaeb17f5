//! Numbers that bound the run engine.

use agent_server_domain::Options;

use super::{Sources, first};
use crate::{
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

/// The engine's options; their meaning and defaults are the domain's.
pub(crate) fn resolve(from: &Sources<'_>) -> Result<Options> {
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
        log_bytes: first([args.log_bytes, file.log_bytes], || default.log_bytes),
    })
}
