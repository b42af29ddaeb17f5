//! Which processes execute Python graphs.

use std::path::PathBuf;

use agent_server_worker::AuthSettings;

use super::{Sources, first};
use crate::{
    env::upstream,
    refusal::{Refusal, Result},
};

/// Which processes execute Python graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    /// Interpreter or environment that was asked for.
    pub(crate) python: Option<PathBuf>,
    /// Processes; one per core lets graphs that compute use all of them.
    pub(crate) processes: u32,
    /// Concurrent runs per process, at least 1.
    pub(crate) jobs_per_worker: u32,
    /// Runs after which a process is replaced.
    pub(crate) max_runs: Option<u64>,
    /// Memory at which a process is replaced, MB.
    pub(crate) max_memory_mb: Option<u64>,
    /// How long a handler of the project's authentication may take, seconds.
    pub(crate) auth_timeout_seconds: u64,
}

impl Workers {
    pub(crate) fn resolve(from: &Sources<'_>) -> Result<Self> {
        let jobs = from.env.parsed(upstream::N_JOBS_PER_WORKER)?;
        if jobs == Some(0) {
            return Err(Refusal::usage(format!(
                "variable {}: 0 would serve an API whose runs never start; at least 1 is needed",
                upstream::N_JOBS_PER_WORKER
            ))
            .into());
        }
        Ok(Self {
            python: from.args.python.clone().or(from.file.workers.python.clone()),
            processes: first([from.args.workers, from.file.workers.processes], cores).max(1),
            jobs_per_worker: first(
                [from.args.n_jobs_per_worker, jobs, from.file.workers.jobs_per_worker],
                || 10,
            )
            .max(1),
            max_runs: from.args.worker_max_runs.or(from.file.workers.max_runs),
            max_memory_mb: from.args.worker_max_memory_mb.or(from.file.workers.max_memory_mb),
            auth_timeout_seconds: first(
                [from.args.auth_timeout_seconds, from.file.workers.auth_timeout_seconds],
                || AuthSettings::default().limit.as_secs(),
            ),
        })
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}
