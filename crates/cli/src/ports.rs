//! Time and ids of the running server: the only place of the workspace that makes either.

use agent_server_domain::ports::{Clock, Ids};
use agent_server_storage::Timestamp;
use chrono::{SubsecRound, Utc};
use uuid::Uuid;

/// The clock of this machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is given")]
    fn now(&self) -> Timestamp {
        // Storage and wire know microseconds: what is read back must equal what was written.
        Utc::now().trunc_subsecs(6)
    }
}

/// Ids that no other server has given out.
pub(crate) struct FreshIds;

impl Ids for FreshIds {
    #[expect(clippy::disallowed_methods, reason = "these are the ids that everybody else is given")]
    fn ordered(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "these are the ids that everybody else is given")]
    fn random(&self) -> Uuid {
        Uuid::new_v4()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_microseconds_and_no_more() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1000, 0);
    }

    #[test]
    fn ordered_ids_grow() {
        let ids: Vec<_> = (0..1000).map(|_| FreshIds.ordered()).collect();
        assert!(ids.is_sorted());
    }
}
