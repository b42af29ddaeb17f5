//! Runs that runs wait for.
//!
//! A graph that calls this server keeps its slot while it waits for the run that it has started there. If that run needed
//! a slot of the same kind, so many parents as there are slots would wait for ever. So it gets one beyond the limit: every
//! depth has as many slots of its own as there are for runs that come from outside. The deepest never wait, hence nobody
//! does for ever. The same goes for whatever a nested run of the same thread stands behind.
//!
//! Kept in memory only: after a restart no parent is running any more, and whoever waits again says so again.

use std::collections::HashMap;

use agent_server_storage::{RunId, ThreadId};
use parking_lot::Mutex;

/// Depths that have slots of their own; what is deeper shares those of the deepest, so that a graph that calls itself
/// without end does not get a slot each time.
const MOST: u32 = 32;

/// A request that comes from within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// The run; `None` where the graph's code does not tell.
    pub run: Option<RunId>,
}

/// Runs that were started, or are waited for, by other runs; with their depth, from 1.
#[derive(Default)]
pub(crate) struct Nested(Mutex<HashMap<RunId, (ThreadId, u32)>>);

impl Nested {
    /// The depth of what is asked for from there; `None` from outside.
    pub(super) fn depth_within(&self, within: Option<Within>) -> Option<u32> {
        let of_parent =
            within?.run.and_then(|run| self.0.lock().get(&run).map(|(_, depth)| *depth));
        Some((of_parent.unwrap_or(0) + 1).min(MOST))
    }

    /// A run is waited for from this depth.
    pub(super) fn note(&self, run: RunId, thread: ThreadId, depth: u32) {
        let mut runs = self.0.lock();
        let (_, known) = runs.entry(run).or_insert((thread, depth));
        *known = depth.max(*known);
    }

    /// The threads with such runs.
    pub(super) fn threads(&self) -> Vec<ThreadId> {
        let mut threads: Vec<_> = self.0.lock().values().map(|(thread, _)| *thread).collect();
        threads.sort_unstable_by_key(|thread| thread.0);
        threads.dedup();
        threads
    }

    /// How deep what is executed for a thread is to be: as deep as the deepest that is waited for.
    pub(super) fn depth_of(&self, thread: ThreadId) -> Option<u32> {
        let runs = self.0.lock();
        runs.values().filter(|(of, _)| *of == thread).map(|(_, depth)| *depth).max()
    }

    /// Of the runs of `thread` only `inflight` are not over.
    pub(super) fn retain(&self, thread: ThreadId, inflight: &[RunId]) {
        self.0.lock().retain(|run, (of, _)| *of != thread || inflight.contains(run));
    }

    /// The run is over.
    pub(crate) fn forget(&self, run: RunId) {
        self.0.lock().remove(&run);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_step_is_deeper_up_to_a_bound() {
        let nested = Nested::default();
        let run = |number| RunId(Uuid::from_u128(number));
        let thread = |number| ThreadId(Uuid::from_u128(number));
        let within = |number| Some(Within { run: Some(run(number)) });
        assert_eq!(nested.depth_within(None), None);
        assert_eq!(nested.depth_within(Some(Within { run: None })), Some(1));
        assert_eq!(nested.depth_within(within(0)), Some(1));
        for number in 0..u128::from(MOST) + 2 {
            let depth = nested.depth_within(within(number)).unwrap();
            assert_eq!(u128::from(depth), (number + 1).min(u128::from(MOST)));
            nested.note(run(number + 1), thread(number + 1), depth);
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let nested = Nested::default();
        let (first, second) = (RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let thread = ThreadId(Uuid::from_u128(7));
        nested.note(first, thread, 1);
        nested.note(second, thread, 3);
        nested.note(second, thread, 2);
        assert_eq!((nested.threads(), nested.depth_of(thread)), (vec![thread], Some(3)));
        nested.retain(thread, &[first]);
        assert_eq!(nested.depth_of(thread), Some(1));
        nested.forget(first);
        assert_eq!((nested.threads(), nested.depth_of(thread)), (vec![], None));
    }
}
