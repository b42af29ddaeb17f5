//! Figures about the engine, counted where things happen and read by whoever serves them.
//!
//! Names and units are the wire's, so that boards made for other servers fit: reference/assistants-crons-store-system.md,
//! 4.3. Times are in milliseconds. Everything is in the registry of the process ([`prometheus::default_registry`]).

use std::sync::LazyLock;

use agent_server_storage::{
    Cost, Timestamp,
    events::EventId,
    runs::{Queue, RunStatus},
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, register_histogram,
    register_histogram_vec, register_int_counter_vec,
};

use crate::{Domain, Result, ports::WorkerFigures};

/// Upper bounds of histograms, milliseconds: from a hundredth of a second to an hour.
pub const BUCKETS_MS: [f64; 13] = [
    10.0,
    100.0,
    500.0,
    1_000.0,
    5_000.0,
    15_000.0,
    30_000.0,
    60_000.0,
    120_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

const UNIQUE: &str = "a name is registered once";

static STARTED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let name = "lg_api_run_attempt_started_counter";
    register_int_counter_vec!(name, "Attempts of runs that were started", &["graph_id"])
        .expect(UNIQUE)
});

static QUEUED: LazyLock<Histogram> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "lg_api_run_queue_wait_time_1st_attempt",
        "Time from when a run was due to its first attempt, ms",
    );
    register_histogram!(options.buckets(BUCKETS_MS.into())).expect(UNIQUE)
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "lg_api_run_execution_latency",
        "Time from the start of a run's last attempt to its end, ms",
    );
    register_histogram_vec!(options.buckets(BUCKETS_MS.into()), &["graph_id", "status"])
        .expect(UNIQUE)
});

static REPAIRS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let name = "lg_api_lease_repairs_total";
    let help = "Runs that were taken up again: after a dead server, a dead worker, or a move for others' sake";
    register_int_counter_vec!(name, help, &["cause"]).expect(UNIQUE)
});

static STREAM_LAG: LazyLock<Histogram> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "lg_api_stream_lag",
        "Age of an event when a connection that follows the run takes it from memory, ms; replays count",
    );
    let bounds = [1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 30_000.0];
    register_histogram!(options.buckets(bounds.into())).expect(UNIQUE)
});

/// Why a run is taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Its server died.
    Server,
    /// Its worker died, or its state could not be saved.
    Attempt,
    /// It was let go for the sake of others.
    Moved,
}

impl Repair {
    fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Attempt => "attempt",
            Self::Moved => "moved",
        }
    }
}

/// A run begins an attempt; `due` is when it could have begun.
pub(crate) fn started(graph_id: &str, attempt: u32, due: Timestamp, now: Timestamp) {
    STARTED.with_label_values(&[graph_id]).inc();
    if attempt == 1 {
        QUEUED.observe(millis(now - due));
    }
}

/// A run is over.
pub(crate) fn ended(graph_id: &str, status: RunStatus, took: std::time::Duration) {
    DURATION.with_label_values(&[graph_id, status.as_str()]).observe(took.as_secs_f64() * 1e3);
}

/// Runs are taken up again.
pub(crate) fn repaired(cause: Repair, runs: usize) {
    REPAIRS.with_label_values(&[cause.label()]).inc_by(runs as u64);
}

/// An event, the oldest of some, is handed to a connection.
pub(crate) fn given(id: EventId, now: Timestamp) {
    STREAM_LAG.observe(now.timestamp_millis().saturating_sub_unsigned(id.millis).max(0) as f64);
}

fn millis(time: chrono::TimeDelta) -> f64 {
    // A clock that was set back makes no negative times.
    time.num_microseconds().unwrap_or(i64::MAX).max(0) as f64 / 1e3
}

/// How the engine stands at one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When this was.
    pub now: Timestamp,
    /// Who waits.
    pub queue: Queue,
    /// The processes that execute runs.
    pub workers: Vec<WorkerFigures>,
}

impl Figures {
    /// How long the runs have waited that wait now, seconds, longest first; of those only that could start.
    pub fn waits(&self, unblocked: bool) -> Vec<f64> {
        let waiting = self.queue.waiting.iter();
        let counted = waiting.filter(|run| !(unblocked && run.is_blocked));
        counted.map(|run| millis(self.now - run.since) / 1e3).collect()
    }
}

impl Domain {
    /// How the engine stands now.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn figures(&self) -> Result<Figures> {
        let now = self.now();
        let queue = self
            .storage()
            .read(Cost::Scan, move |tx| tx.queue(now).map_err(crate::Error::from))
            .await?;
        Ok(Figures { now, queue, workers: self.host().workers() })
    }
}
