//! Whether a worker's event loop runs: asked as long as there is work, so that new runs go to workers that answer.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use agent_server_domain::ports::RunSink;
use parking_lot::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use super::Worker;
use crate::{protocol, slots};

/// How often a worker is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// Looks without an answer after which a worker counts as blocked. Longer in time than a worker that was busy takes an
/// order for fresh (`_LATE` in `run.py`).
const MISSED: u32 = 2;

/// The looks at a worker. One that was missed is not made up for: between two of them there is always time.
pub(super) fn looks() -> Interval {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// What is known of a worker's event loop.
#[derive(Default)]
pub(crate) struct Pulse {
    /// When the open question was asked, and how many looks since.
    asked: Mutex<Option<Instant>>,
    missed: AtomicU32,
    /// How long the last answer took.
    took: Mutex<Duration>,
}

impl Pulse {
    /// Whether the worker does not answer.
    pub(crate) fn is_missing(&self) -> bool {
        self.missed.load(Ordering::Relaxed) >= MISSED
    }

    /// How long the last answer took, or the next has taken so far.
    pub(crate) fn lag(&self) -> Duration {
        let waits = self.asked.lock().map(|asked| asked.elapsed()).unwrap_or_default();
        waits.max(*self.took.lock())
    }

    /// The worker has answered.
    pub(super) fn answered(&self, sink: &dyn RunSink) {
        if let Some(asked) = self.asked.lock().take() {
            *self.took.lock() = asked.elapsed();
        }
        if self.missed.swap(0, Ordering::Relaxed) >= MISSED {
            // It has room again.
            sink.slot_freed();
        }
    }
}

impl Worker {
    /// Looks at the worker. Attempts that a blocked one has not begun are given to others.
    pub(super) fn look(&self) {
        let (waiting, is_idle) = {
            let mut jobs = self.jobs.lock();
            (jobs.look(), jobs.is_idle())
        };
        let pulse = &self.pulse;
        let mut asked = pulse.asked.lock();
        if asked.is_some() {
            pulse.missed.fetch_add(1, Ordering::Relaxed);
        } else if !is_idle {
            *asked = Some(Instant::now());
            self.sender.send(protocol::ping());
        }
        drop(asked);
        if pulse.is_missing()
            && !waiting.is_empty()
            && let Some(pool) = self.pool.upgrade()
        {
            slots::relocate(&pool, self, &waiting);
        }
    }
}
