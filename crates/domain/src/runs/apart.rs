//! Which runs are executed apart from others, each in a process of its own.
//!
//! When a process dies with several runs in it, nobody knows which of them killed it. None is charged; instead each goes
//! on alone, where a death has one possible cause. So a run that kills its process is charged for every process it kills,
//! and its neighbours for none. A run that was moved again and again for others' sake gets a process of its own as well:
//! there nobody is in its way, and what goes on without end is charged at last.
//!
//! Kept in memory only: after a restart such runs have company again, and whoever dies in company is not charged.

use std::collections::HashMap;

use agent_server_storage::RunId;
use parking_lot::Mutex;

use crate::ports::Ending;

/// How often a run is moved before it gets a process of its own.
const MOVES: u32 = 3;

/// Runs whose attempts ended through no fault of their graph, until they are over.
#[derive(Default)]
pub(crate) struct Apart(Mutex<HashMap<RunId, Record>>);

#[derive(Default)]
struct Record {
    moves: u32,
    is_alone: bool,
}

impl Apart {
    /// Takes in how an attempt ended after which another follows.
    pub(super) fn note(&self, run: RunId, ending: &Ending) {
        match ending {
            Ending::Died { .. } => self.0.lock().entry(run).or_default().is_alone = true,
            Ending::Moved => {
                let mut runs = self.0.lock();
                let record = runs.entry(run).or_default();
                record.moves += 1;
                record.is_alone |= record.moves >= MOVES;
            }
            Ending::Success | Ending::Error { .. } | Ending::Cancelled | Ending::Lost(_) => {}
        }
    }

    /// Whether the run is to be executed alone.
    pub(super) fn has(&self, run: RunId) -> bool {
        self.0.lock().get(&run).is_some_and(|record| record.is_alone)
    }

    /// How many runs are known; at most so many are executed alone.
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
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
    fn a_run_goes_on_alone_after_a_death_or_many_moves() {
        let (apart, run) = (Apart::default(), RunId(Uuid::nil()));
        apart.note(run, &Ending::Lost("disk full".into()));
        assert!(!apart.has(run));
        for moves in 1..=MOVES {
            apart.note(run, &Ending::Moved);
            assert_eq!(apart.has(run), moves == MOVES);
        }
        apart.forget(run);
        assert!(!apart.has(run) && apart.len() == 0);
        apart.note(run, &Ending::Died { cause: "it ended".into(), alone: false });
        assert!(apart.has(run));
    }
}
