//! Whether a worker's event loop runs: asked as long as there is work, so that new runs go to workers that answer.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use agent_server_domain::ports::RunSink;
use tokio::time::{Interval, MissedTickBehavior};

use super::Worker;
use crate::{protocol, slots};

/// How often a worker is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// Looks without an answer after which a worker counts as blocked. Longer in time than a worker that was busy takes an
/// order for fresh (`_LATE` in `run.py`).
const MISSED: u32 = 2;

/// Looks at a blocked worker, one after the other, until it counts as silent: five seconds, time for a slow step.
const SILENT: u32 = 10;

/// The looks at a worker. One that was missed is not made up for: between two of them there is always time.
pub(super) fn looks() -> Interval {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// What is known of a worker's event loop.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Whether a question is open, and how many looks since.
    asked: AtomicBool,
    missed: AtomicU32,
}

impl Pulse {
    /// Whether the worker does not answer.
    pub(crate) fn is_missing(&self) -> bool {
        self.missed.load(Ordering::Relaxed) >= MISSED
    }

    /// Returns when nothing is to be expected of the worker any more.
    pub(crate) async fn until_silent(&self) {
        let mut silent = 0;
        while silent < SILENT {
            tokio::time::sleep(EVERY).await;
            silent = if self.is_missing() { silent + 1 } else { 0 };
        }
    }

    /// The worker has answered.
    pub(super) fn answered(&self, sink: &dyn RunSink) {
        self.asked.store(false, Ordering::Relaxed);
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
        if pulse.asked.load(Ordering::Relaxed) {
            pulse.missed.fetch_add(1, Ordering::Relaxed);
        } else if !is_idle {
            pulse.asked.store(true, Ordering::Relaxed);
            self.sender.send(protocol::ping());
        }
        if pulse.is_missing()
            && !waiting.is_empty()
            && let Some(pool) = self.pool.upgrade()
        {
            slots::relocate(&pool, self, &waiting);
        }
    }
}
