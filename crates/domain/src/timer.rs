//! Work that is due at times: done when it is due, never looked for in between.

use std::time::Duration;

use agent_server_storage::Timestamp;
use tokio::sync::Notify;

use crate::{Domain, Result};

/// Pause after a step that failed where storage did, and others wait for it.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

impl Domain {
    /// Takes `step` at once, whenever `wake` is notified, at the time that the last one returned, and `pause` after one that
    /// failed, until shutdown.
    pub(crate) async fn on_time<F>(
        &self,
        wake: &Notify,
        work: &str,
        pause: Duration,
        step: impl Fn() -> F,
    ) where
        F: Future<Output = Result<Option<Timestamp>>>,
    {
        while !self.0.shutdown.is_cancelled() {
            let wait = match step().await {
                Ok(next) => next.map(|at| (at - self.now()).to_std().unwrap_or_default()),
                Err(error) => {
                    tracing::error!(%error, "{work} failed");
                    Some(pause)
                }
            };
            let due = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = wake.notified() => {}
                () = due => {}
            }
        }
    }
}
