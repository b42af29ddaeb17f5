//! Numbers that bound the run engine.

use agent_server_domain::Options;

use super::{Sources, first};
use crate::{Mode, env::upstream, refusal::Result};

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
        ..default
    })
}
