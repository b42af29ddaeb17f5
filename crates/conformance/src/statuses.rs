//! Which statuses of the document have been seen, so that a pass can show what it reached.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agent_server_api::Operation;

/// The statuses that the operations answered with. Copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Statuses(Arc<Mutex<BTreeSet<(&'static str, u16)>>>);

impl Statuses {
    /// Notes an answer.
    pub(crate) fn note(&self, operation: &'static Operation, status: u16) {
        self.seen().insert((operation.name, status));
    }

    /// The documented statuses of an operation in a line: those that were seen, then the others.
    pub(crate) fn line(&self, operation: &Operation) -> String {
        let seen = self.seen();
        let documented: BTreeSet<_> = operation.responses.iter().map(|spec| spec.status).collect();
        let (found, missed): (Vec<_>, Vec<_>) =
            documented.into_iter().partition(|status| seen.contains(&(operation.name, *status)));
        let mut line = words(&found);
        if !missed.is_empty() {
            let _ = write!(line, "  not seen: {}", words(&missed));
        }
        line
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<(&'static str, u16)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(statuses: &[u16]) -> String {
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_told() {
        let operation = Operation::find("health_check").expect("an operation of the document");
        let statuses = Statuses::default();
        statuses.clone().note(operation, 200);
        assert_eq!(statuses.line(operation), "200  not seen: 400 500 503");
    }
}
