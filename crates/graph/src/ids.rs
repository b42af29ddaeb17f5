//! Ids: ordered ones for checkpoints, derived ones for tasks and interrupts.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use uuid::{Builder, Uuid};

/// 100 ns ticks between 1582-10-15, where version 6 begins to count, and 1970-01-01.
const GREGORIAN_OFFSET: u64 = 0x01b2_1dd2_1381_4000;

/// Last tick given out; two checkpoints of a process never share one, and text order is creation order.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A new checkpoint id (version 6, its clock sequence is the step, as graph libraries do) and its time in microseconds
/// since 1970.
pub(crate) fn checkpoint(step: i64) -> (String, i64) {
    let now = since_epoch_ticks() + GREGORIAN_OFFSET;
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    let ticks = if last < now { now } else { LAST.fetch_add(1, Ordering::Relaxed) + 1 };
    let [.., high, low] = step.to_be_bytes();
    let counter = u16::from_be_bytes([high, low]);
    let id = Builder::from_sorted_gregorian_timestamp(ticks, counter, node()).into_uuid();
    let micros = i64::try_from((ticks - GREGORIAN_OFFSET) / 10).unwrap_or(i64::MAX);
    (id.as_hyphenated().to_string(), micros)
}

/// A random id.
#[expect(clippy::disallowed_methods, reason = "ids of messages: nothing compares them")]
pub(crate) fn random() -> Uuid {
    Uuid::new_v4()
}

/// The id of a task: the same whenever the same checkpoint is taken up again.
pub(crate) fn task(checkpoint: &str, node: &str, index: usize) -> String {
    let space = Uuid::parse_str(checkpoint).unwrap_or_default();
    Uuid::new_v5(&space, format!("{index}:{node}").as_bytes()).as_hyphenated().to_string()
}

/// The id of a task's `index`th question, 32 hex digits.
pub(crate) fn interrupt(task: &str, index: usize) -> String {
    let space = Uuid::parse_str(task).unwrap_or_default();
    Uuid::new_v5(&space, &index.to_be_bytes()).as_simple().to_string()
}

/// Tells apart ids that several processes make in the same tick.
fn node() -> &'static [u8; 6] {
    static NODE: OnceLock<[u8; 6]> = OnceLock::new();
    NODE.get_or_init(|| {
        let [a, b, c, d, e, f, ..] = random().into_bytes();
        [a, b, c, d, e, f]
    })
}

#[expect(clippy::disallowed_methods, reason = "ids carry their time and nothing is decided by it")]
fn since_epoch_ticks() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos() / 100).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_ids_are_ordered_and_carry_the_step() {
        let ids: Vec<String> = (-1..1000).map(|step| checkpoint(step).0).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((&ids[0][14..15], &ids[0][19..23]), ("6", "bfff"));
        assert_eq!(&ids[1][19..23], "8000");
    }

    #[test]
    fn ids_of_tasks_and_interrupts_are_stable() {
        let (id, _) = checkpoint(0);
        assert_eq!(task(&id, "a", 0), task(&id, "a", 0));
        assert_ne!(task(&id, "a", 0), task(&id, "a", 1));
        assert_eq!(interrupt(&task(&id, "a", 0), 0).len(), 32);
    }
}
