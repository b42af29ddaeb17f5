//! Flags of limits.

use clap::Args;

/// How much callers may ask for. Nothing is limited unless it says so.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Requests per second of one identity, or of one address where nobody is known [default: any number]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_REQUESTS_PER_SECOND")]
    pub(crate) requests_per_second: Option<f64>,
    /// Requests at once of somebody who has not asked for a while [default: those of one second]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_REQUEST_BURST", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) request_burst: Option<u32>,
    /// Runs of one identity that may be pending or running [default: any number]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_INFLIGHT_RUNS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) inflight_runs: Option<u32>,
    /// Runs of one assistant that may be pending or running [default: any number]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_INFLIGHT_RUNS_PER_ASSISTANT",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) inflight_runs_per_assistant: Option<u32>,
    /// Reverse proxies in front whose X-Forwarded-For says where requests come from [default: 0]
    #[arg(long, value_name = "N", env = "AGENT_SERVER_TRUSTED_PROXIES")]
    pub(crate) trusted_proxies: Option<usize>,
}
