//! Lifetimes of threads. They are counted from the last change, so that whatever changes a thread puts its end off, and
//! nothing else has to be kept up to date.
//!
//! Source: reference/runs-and-threads.md, 3.1.

use std::time::Duration;

use agent_server_storage::{
    Cost, Scope, Timestamp,
    threads::{Thread, Ttl, TtlStrategy},
};
use chrono::TimeDelta;

use super::prune::clear;
use crate::{Domain, Error, Result};

/// Threads looked at per round; the next round follows at once while there are some.
const ROUND: u32 = 100;
/// Pause after a round that storage did not let happen.
const PAUSE: Duration = Duration::from_secs(60);
const MINUTE: f64 = 60e6;

/// The lifetime that a body asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TtlChange {
    /// What happens at its end; `delete` where minutes are given alone.
    pub strategy: Option<TtlStrategy>,
    /// Length in minutes.
    pub minutes: Option<f64>,
}

impl TtlChange {
    /// The lifetime after the change of `known`; `None` where no length is known at all.
    ///
    /// # Errors
    /// `Invalid` for a length that is no length.
    pub fn apply(self, known: Option<Ttl>) -> Result<Option<Ttl>> {
        let kept = known.map(|known| known.strategy).filter(|_| self.minutes.is_none());
        let strategy = self.strategy.or(kept).unwrap_or(TtlStrategy::Delete);
        let micros = match self.minutes {
            Some(minutes) => Some(micros(minutes)?),
            None => known.map(|known| known.micros),
        };
        Ok(micros.map(|micros| Ttl { strategy, micros }))
    }
}

fn micros(minutes: f64) -> Result<i64> {
    let micros = (minutes * MINUTE).round();
    if micros > 0.0 && micros <= Ttl::MAX_MICROS as f64 {
        return Ok(micros as i64);
    }
    let max = Ttl::MAX_MICROS as f64 / MINUTE;
    Err(Error::Invalid(format!(
        "Invalid ttl {minutes}: must be a number of minutes above 0 and not above {max}"
    )))
}

/// The length of a lifetime in minutes.
pub fn minutes(ttl: Ttl) -> f64 {
    ttl.micros as f64 / MINUTE
}

impl Domain {
    /// Ends lifetimes when they are over, until shutdown. Sleeps until the next can end; a lifetime that is given to a
    /// thread wakes it.
    pub(crate) async fn expiry_loop(&self) {
        let work = "the clearing up of threads at the end of their lifetime";
        self.on_time(&self.0.lifetimes, work, PAUSE, || self.end_lifetimes()).await;
    }

    /// Ends what is over. Returns when the next lifetime can end.
    async fn end_lifetimes(&self) -> Result<Option<Timestamp>> {
        loop {
            let now = self.now();
            let (expired, next) = self
                .storage()
                .read(Cost::Scan, move |tx| {
                    Ok::<_, Error>((tx.expired_threads(now, ROUND)?, tx.next_expiry(now)?))
                })
                .await?;
            if expired.is_empty() {
                // Threads that runs make are not announced: none of them can end before this.
                let default = self.0.options.thread_ttl;
                let unannounced = default.map(|ttl| now + TimeDelta::microseconds(ttl.micros));
                return Ok(next.into_iter().chain(unannounced).min());
            }
            let mut failed = None;
            for thread in expired {
                if self.0.shutdown.is_cancelled() {
                    return Ok(None);
                }
                let id = thread.thread_id;
                if let Err(error) = self.end_lifetime(thread).await {
                    tracing::warn!(thread_id = %id, %error, "the end of a lifetime could not be carried out");
                    failed = Some(error);
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Clears one thread up, unless it has changed since it was found.
    async fn end_lifetime(&self, found: Thread) -> Result<()> {
        let (id, now) = (found.thread_id, self.now());
        let is_gone = self
            .storage()
            .write(move |tx| {
                let scope = Scope::server();
                let thread =
                    tx.get_thread(&scope, id, agent_server_storage::threads::Columns::Header)?;
                let Some((thread, ttl)) =
                    thread.and_then(|thread| Some((thread.clone(), thread.ttl?)))
                else {
                    return Ok(false);
                };
                if thread.expires_at().is_none_or(|end| end > now) {
                    return Ok(false);
                }
                let is_idle = tx.inflight_runs(id)?.is_empty();
                if is_idle {
                    clear(tx, &scope, id, ttl.strategy)?;
                }
                // What is still there has had its end, until it changes again.
                tx.settle_expiry(id)?;
                Ok::<_, Error>(is_idle && ttl.strategy == TtlStrategy::Delete)
            })
            .await?;
        if is_gone {
            self.0.streams.close_thread(id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Ttl = Ttl { strategy: TtlStrategy::KeepLatest, micros: 3_600_000_000 };

    #[track_caller]
    fn check(
        strategy: Option<TtlStrategy>,
        minutes: Option<f64>,
        known: Option<Ttl>,
        expected: Option<Ttl>,
    ) {
        let change = TtlChange { strategy, minutes };
        assert_eq!(change.apply(known).unwrap(), expected, "{change:?} of {known:?}");
    }

    #[test]
    fn a_lifetime_is_deletion_unless_stated() {
        use TtlStrategy::{Delete, KeepLatest};
        let of = |strategy, micros| Some(Ttl { strategy, micros });
        check(None, Some(0.5), None, of(Delete, 30_000_000));
        check(None, Some(1.0), Some(HOUR), of(Delete, 60_000_000));
        check(Some(KeepLatest), Some(1.0), None, of(KeepLatest, 60_000_000));
        check(Some(Delete), None, Some(HOUR), of(Delete, HOUR.micros));
        check(None, None, Some(HOUR), Some(HOUR));
        check(Some(Delete), None, None, None);
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for minutes in [0.0, -1.0, f64::INFINITY, f64::NAN, 1e300, 1e-9] {
            let change = TtlChange { strategy: None, minutes: Some(minutes) };
            assert!(matches!(change.apply(None), Err(Error::Invalid(_))), "{minutes}");
        }
    }
}
