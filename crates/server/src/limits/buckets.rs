//! The buckets: for each caller and rule one number, the time at which the bucket is full again (the generic cell rate
//! algorithm).
//!
//! Written by hand because a bucket is these few lines, and because the number of buckets must be bounded, which the
//! libraries for this leave open: a full bucket is like none and is forgotten, and where very many are not full those are
//! that were used least.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hash},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Rate;

/// Most buckets; some megabytes.
const MOST: usize = 100_000;
/// So many are not worth looking through.
const FEW: usize = 1_000;

/// Buckets by caller and rule.
pub(super) struct Buckets {
    /// Callers are known by a hash that nobody can foresee: two who share one are not to be expected in any lifetime.
    hashes: RandomState,
    begin: Instant,
    state: Mutex<State>,
}

struct State {
    /// When each bucket is full again, after `begin`.
    full_at: HashMap<u64, Duration>,
    /// How many there may be before full ones are looked for.
    sweep_at: usize,
}

impl Buckets {
    pub(super) fn new() -> Self {
        let state = State { full_at: HashMap::new(), sweep_at: FEW };
        Self { hashes: RandomState::new(), begin: Instant::now(), state: Mutex::new(state) }
    }

    /// Takes one request from a bucket, or says how long there is none.
    pub(super) fn take(&self, key: &impl Hash, rate: Rate) -> Result<(), Duration> {
        self.take_at(self.begin.elapsed(), key, rate)
    }

    fn take_at(&self, now: Duration, key: &impl Hash, rate: Rate) -> Result<(), Duration> {
        let key = self.hashes.hash_one(key);
        let mut state = self.state.lock();
        let full_at = state.full_at.get(&key).copied().unwrap_or(now).max(now);
        let ahead = full_at - now;
        if ahead > rate.tolerance() {
            return Err(ahead - rate.tolerance());
        }
        state.full_at.insert(key, full_at + rate.interval());
        if state.full_at.len() > state.sweep_at {
            state.sweep(now);
        }
        Ok(())
    }
}

impl State {
    /// Forgets full buckets; of too many others the half that is full first.
    fn sweep(&mut self, now: Duration) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= MOST {
            let mut times: Vec<_> = self.full_at.values().copied().collect();
            let (_, middle, _) = times.select_nth_unstable(MOST / 2);
            let middle = *middle;
            self.full_at.retain(|_, full_at| *full_at > middle);
        }
        self.sweep_at = (self.full_at.len() * 2).clamp(FEW, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let buckets = Buckets::new();
        let rate = Rate::new(2.0, Some(3)).unwrap();
        let take = |millis, who: &str| buckets.take_at(Duration::from_millis(millis), &who, rate);
        for _ in 0..3 {
            assert_eq!(take(0, "a"), Ok(()));
        }
        assert_eq!(take(0, "a"), Err(SECOND / 2));
        assert_eq!(take(0, "b"), Ok(()));
        assert_eq!(take(250, "a"), Err(SECOND / 4));
        assert_eq!(take(500, "a"), Ok(()));
        assert_eq!(take(500, "a"), Err(SECOND / 2));
        // Who waits longer than it takes does not save more than a burst.
        for _ in 0..3 {
            assert_eq!(take(100_000, "a"), Ok(()));
        }
        assert_eq!(take(100_000, "a"), Err(SECOND / 2));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let buckets = Buckets::new();
        let rate = Rate::new(1.0, None).unwrap();
        for who in 0..FEW {
            assert_eq!(buckets.take_at(Duration::ZERO, &who, rate), Ok(()));
        }
        assert_eq!(buckets.take_at(SECOND, &"one more", rate), Ok(()));
        assert_eq!(buckets.state.lock().full_at.len(), 1);
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let buckets = Buckets::new();
        let (slow, fast) = (Rate::new(0.001, None).unwrap(), Rate::new(0.01, None).unwrap());
        assert_eq!(buckets.take(&"busy", slow), Ok(()));
        for who in 0..2 * MOST {
            assert_eq!(buckets.take(&who, fast), Ok(()));
            assert!(buckets.state.lock().full_at.len() <= MOST);
        }
        // Who had asked for most is not who was forgotten.
        assert!(buckets.take(&"busy", slow).is_err());
    }
}
