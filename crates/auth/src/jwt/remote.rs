//! Public keys of an issuer, kept fresh by a task of their own: requests never wait for a fetch that somebody else's
//! departure could break off, and an issuer that is down delays nobody whose key is known.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    fetch::Fetch,
    key_set::{self, KeySet, VerifyingKey},
};

/// When keys are fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Age at which they are fetched again: how long a withdrawn key may go on to count.
    pub refresh: Duration,
    /// Shortest time between two fetches, whatever tokens are presented.
    pub apart: Duration,
    /// Age at which keys count no longer, if the issuer has not answered since.
    pub stale: Duration,
    /// Longest time that a request waits for keys.
    pub wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            apart: Duration::from_secs(10),
            stale: Duration::from_secs(24 * 3600),
            wait: Duration::from_secs(5),
        }
    }
}

/// The keys of an issuer.
pub(super) struct Remote {
    seen: watch::Receiver<Seen>,
    ask: Arc<Notify>,
    timing: Timing,
    /// Fetches; ends with this value.
    _keeper: AbortOnDropHandle<()>,
}

/// What was fetched, and how it went.
#[derive(Default)]
struct Seen {
    keys: Option<(Arc<KeySet>, Instant)>,
    /// End of the last attempt.
    tried: Option<Instant>,
    /// Attempts so far; those who wait see it grow.
    attempts: u64,
    /// Attempts that failed since the last that did not.
    failed: u32,
}

impl Remote {
    /// Starts to fetch.
    pub(super) fn start(fetch: Fetch, timing: Timing) -> Self {
        let (seen, receiver) = watch::channel(Seen::default());
        let ask = Arc::new(Notify::new());
        let keeper = tokio::spawn(keep(fetch, seen, Arc::clone(&ask), timing.clone()));
        Self { seen: receiver, ask, timing, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// The key for a token. One that is not known is asked for, unless that was done a moment ago.
    ///
    /// Errors: the issuer has no such key, or cannot be asked.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<VerifyingKey>, String> {
        let mut seen = self.seen.clone();
        let (attempts, tried) = {
            let seen = seen.borrow();
            if let Some(key) = self.look(&seen, kid, algorithm)? {
                return Ok(key);
            }
            (seen.attempts, seen.tried)
        };
        if tried.is_none_or(|tried| tried.elapsed() >= self.timing.apart) {
            self.ask.notify_one();
            let newer = seen.wait_for(|seen| seen.attempts > attempts);
            // A keeper that is gone or slow leaves things as they are.
            let _ = timeout(self.timing.wait, newer).await;
        }
        let seen = self.seen.borrow();
        match self.look(&seen, kid, algorithm)? {
            Some(key) => Ok(key),
            None if seen.keys.is_none() => {
                Err("the public keys of the issuer could not be fetched".into())
            }
            None => Err(key_set::unknown(kid)),
        }
    }

    fn look(
        &self,
        seen: &Seen,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<VerifyingKey>>, String> {
        match &seen.keys {
            Some((keys, at)) if at.elapsed() < self.timing.stale => keys.find(kid, algorithm),
            _ => Ok(None),
        }
    }
}

/// Fetches when keys get old and when somebody asks, never more often than allowed.
async fn keep(fetch: Fetch, seen: watch::Sender<Seen>, ask: Arc<Notify>, timing: Timing) {
    loop {
        let begun = Instant::now();
        let outcome = fetch.keys().await;
        let now = Instant::now();
        let mut failed = 0;
        seen.send_modify(|seen| {
            match outcome {
                Ok(keys) => {
                    if seen.failed > 0 {
                        tracing::info!("the public keys of the issuer can be fetched again");
                    }
                    // Their age counts from the question: the issuer may have changed them since.
                    seen.keys = Some((Arc::new(keys), begun));
                    seen.failed = 0;
                }
                Err(cause) => {
                    // Once, not with every attempt of a long night.
                    if seen.failed == 0 {
                        tracing::warn!("the public keys of the issuer cannot be fetched: {cause}");
                    } else {
                        tracing::debug!("the public keys still cannot be fetched: {cause}");
                    }
                    seen.failed = seen.failed.saturating_add(1);
                }
            }
            failed = seen.failed;
            seen.tried = Some(now);
            seen.attempts += 1;
        });
        let due = now + pause(&timing, failed);
        loop {
            tokio::select! {
                () = sleep_until(due) => break,
                () = ask.notified() => if now.elapsed() >= timing.apart { break },
            }
        }
    }
}

/// How long to wait after an attempt: the usual time, and after failures a shorter one that doubles.
fn pause(timing: &Timing, failed: u32) -> Duration {
    match failed.checked_sub(1) {
        None => timing.refresh,
        Some(before) => timing.apart.saturating_mul(1 << before.min(10)).min(timing.refresh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_soon_and_ever_more_rarely() {
        let timing = Timing::default();
        let pauses = [0, 1, 2, 3, 40].map(|failed| pause(&timing, failed).as_secs());
        assert_eq!(pauses, [600, 10, 20, 40, 600]);
    }
}
