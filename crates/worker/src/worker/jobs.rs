//! The jobs of a worker: what it executes and answers at the moment.

use std::collections::{HashMap, HashSet};

use agent_server_domain::{
    Error,
    ports::{Answer, Ending, RunOrder},
};
use agent_server_storage::{RawJson, checkpoints::SaverOp, runs::Lease};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::slots::PoolSlot;

#[derive(Default)]
pub(super) struct Jobs {
    /// Why there can be no more jobs.
    pub(super) closed: Option<String>,
    last: u64,
    /// Attempts that were ever started.
    pub(super) started: u64,
    pub(super) attempts: HashMap<u64, Attempt>,
    pub(super) questions: HashMap<u64, Pending>,
    by_lease: HashMap<Lease, u64>,
    /// Jobs whose synchronous nodes still work after the end.
    pub(super) unsettled: HashSet<u64>,
}

/// An attempt in progress.
pub(super) struct Attempt {
    pub(super) lease: Lease,
    pub(super) slot: Box<PoolSlot>,
    /// What was ordered, until the worker has begun: so long another may do it as well.
    order: Option<RunOrder>,
    /// Looks at the worker since then.
    looks: u32,
    /// Data of the last root `values` event, which the next base may refer to.
    pub(super) values: Option<Bytes>,
    /// Values of the last root base, which the end may refer to.
    pub(super) base: Option<RawJson>,
}

/// A question that is not answered yet.
pub(super) struct Pending {
    pub(super) reply: oneshot::Sender<Result<Answer, Error>>,
    pub(super) ops: Vec<SaverOp>,
}

impl Jobs {
    /// The number that the next job will get.
    pub(super) fn upcoming(&self) -> u64 {
        self.last + 1
    }

    /// A number for another job.
    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes an attempt in; returns its number.
    pub(super) fn add(&mut self, order: RunOrder, slot: Box<PoolSlot>) -> u64 {
        let (job, lease) = (self.next(), order.lease);
        self.started += 1;
        self.by_lease.insert(lease, job);
        let order = Some(order);
        let attempt = Attempt { lease, slot, order, looks: 0, values: None, base: None };
        self.attempts.insert(job, attempt);
        job
    }

    /// The worker begins; `false` if the attempt is not here any more.
    pub(super) fn started_by_worker(&mut self, job: u64) -> bool {
        let attempt = self.attempts.get_mut(&job);
        attempt.map(|attempt| attempt.order = None).is_some()
    }

    /// Attempts that the worker had time to begin and has not, one look at the worker later.
    pub(super) fn look(&mut self) -> Vec<u64> {
        let mut waiting = vec![];
        for (job, attempt) in &mut self.attempts {
            attempt.looks = attempt.looks.saturating_add(1);
            // After one look it may be that the order was sent just before.
            if attempt.order.is_some() && attempt.looks > 1 && !attempt.slot.is_alone() {
                waiting.push(*job);
            }
        }
        waiting
    }

    /// Takes an attempt out that has not begun.
    pub(super) fn take_order(&mut self, job: u64) -> Option<(Box<PoolSlot>, RunOrder)> {
        self.attempts.get(&job)?.order.as_ref()?;
        let attempt = self.take(job)?;
        Some((attempt.slot, attempt.order?))
    }

    /// The job of a lease.
    pub(super) fn of(&self, lease: Lease) -> Option<u64> {
        self.by_lease.get(&lease).copied()
    }

    /// Takes an attempt out: nothing that still comes for it is heard.
    pub(super) fn take(&mut self, job: u64) -> Option<Attempt> {
        let attempt = self.attempts.remove(&job)?;
        self.by_lease.remove(&attempt.lease);
        Some(attempt)
    }

    /// Takes all attempts out, with what the end of the process means for each. No more jobs are accepted. `moved`: the
    /// process was given up for a run that is none of these.
    pub(super) fn close(&mut self, reason: &str, moved: bool) -> Vec<(Attempt, Ending)> {
        let suspects = self.attempts.len() + self.questions.len() + self.unsettled.len();
        self.closed = Some(reason.to_owned());
        self.questions.clear();
        self.by_lease.clear();
        let ending = |attempt: &Attempt| match moved {
            true => Ending::Moved,
            false => Ending::Died {
                cause: reason.to_owned(),
                alone: suspects == 1 || attempt.slot.is_alone(),
            },
        };
        let ended = |attempt| {
            let ending = ending(&attempt);
            (attempt, ending)
        };
        self.attempts.drain().map(|(_, attempt)| ended(attempt)).collect()
    }

    /// Whether nothing is to be done.
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_empty() && self.questions.is_empty()
    }
}
