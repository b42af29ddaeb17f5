//! Waiting for a run that has asked a question to come to its end.

use std::time::Duration;

use agent_server_storage::{Page, ThreadId, runs::RunStatus};
use tokio::time::timeout;

use crate::{Caller, Domain, Result, stream::From};

/// How long a run that has asked something may take to end: others of its tasks may still be at work.
const PATIENCE: Duration = Duration::from_secs(5);

impl Domain {
    /// Waits while a run of the thread has asked a question and has not ended: the thread shows what it waits for only
    /// from its end on, but whoever reads its events knows before. Nothing else is waited for.
    ///
    /// # Errors
    /// `NotFound` for the thread.
    pub async fn settle_question(&self, caller: &Caller, thread: ThreadId) -> Result<()> {
        let page = Page { limit: 1, offset: 0 };
        let running = self.list_runs(caller, thread, Some(RunStatus::Running), page).await?;
        for run in running {
            let Some(log) = self.0.streams.find(run.run_id).filter(|log| log.asks()) else {
                continue;
            };
            let mut listener = self.listen_to(log, From::Now);
            let ended = timeout(PATIENCE, async {
                while listener.next(&mut vec![]).await? {}
                Ok::<_, crate::Error>(())
            });
            ended.await.unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}
