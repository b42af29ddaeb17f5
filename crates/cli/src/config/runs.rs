//! Numbers that bound the run engine.

use agent_server_domain::Options;

use super::{Sources, first};
use crate::{env::upstream, refusal::Result};

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
        ..default
    })
}
