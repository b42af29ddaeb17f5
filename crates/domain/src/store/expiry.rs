//! Lifetimes of items: they start again with every write, and with a read that refreshes. What is over is hidden at once and
//! removed soon.
//!
//! Source: reference/assistants-crons-store-system.md, 3.7.

use std::time::Duration;

use agent_server_storage::{Cost, Timestamp, store::Ttl};

use crate::{Domain, Error, Result};

/// Items removed per transaction; the next follows at once while there are some.
const ROUND: u32 = 500;
/// Shortest pause between two sweeps, so that items that expire one after the other go together.
const TOGETHER: Duration = Duration::from_secs(1);
/// Pause after a sweep that storage did not let happen.
const PAUSE: Duration = Duration::from_secs(60);
const MINUTE: f64 = 60e6;
/// Longest lifetime, microseconds: a thousand years.
const MAX_MICROS: f64 = 1000.0 * 365.25 * 24.0 * 60.0 * MINUTE;

/// The lifetime of so many minutes.
///
/// # Errors
/// `Invalid` for a length that is no length.
pub fn lifetime(minutes: f64) -> Result<Ttl> {
    let micros = (minutes * MINUTE).round();
    if micros > 0.0 && micros <= MAX_MICROS {
        return Ok(Ttl { micros: micros as i64 });
    }
    let max = MAX_MICROS / MINUTE;
    Err(Error::Invalid(format!(
        "Invalid ttl {minutes}: must be a number of minutes above 0 and not above {max}"
    )))
}

/// The length of a lifetime in minutes.
pub fn minutes(ttl: Ttl) -> f64 {
    ttl.micros as f64 / MINUTE
}

impl Domain {
    /// Removes items when their lifetime is over, until shutdown. Sleeps until the next can be over; a lifetime that is given
    /// to an item wakes it.
    pub(crate) async fn item_expiry_loop(&self) {
        while !self.0.shutdown.is_cancelled() {
            let wait = match self.sweep_items().await {
                Ok(next) => next.map(|at| (at - self.now()).to_std().unwrap_or_default()),
                Err(error) => {
                    tracing::error!(%error, "store items could not be removed at the end of their lifetime");
                    Some(PAUSE)
                }
            };
            let due = async {
                tokio::time::sleep(TOGETHER).await;
                let Some(wait) = wait else { return self.0.item_lifetimes.notified().await };
                tokio::select! {
                    () = tokio::time::sleep(wait.saturating_sub(TOGETHER)) => {}
                    () = self.0.item_lifetimes.notified() => {}
                }
            };
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = due => {}
            }
        }
    }

    /// Removes what is over. Returns when the next lifetime can be over.
    async fn sweep_items(&self) -> Result<Option<Timestamp>> {
        loop {
            let now = self.now();
            let next = self
                .storage()
                .read(Cost::Point, |tx| Ok::<_, Error>(tx.next_item_expiry()?))
                .await?;
            if next.is_none_or(|next| next > now) || self.0.shutdown.is_cancelled() {
                return Ok(next);
            }
            self.storage().write(move |tx| Ok::<_, Error>(tx.sweep_items(now, ROUND)?)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_are_none_are_refused() {
        for minutes in [0.0, -1.0, f64::INFINITY, f64::NAN, 1e300, 1e-9] {
            assert!(matches!(lifetime(minutes), Err(Error::Invalid(_))), "{minutes}");
        }
        assert_eq!(lifetime(0.5).unwrap(), Ttl { micros: 30_000_000 });
    }
}
