//! Waiting for a run that has asked a question to come to its end.

use std::time::Duration;

use agent_server_storage::{Cost, ThreadId, runs::RunStatus, threads::Columns};
use tokio::time::timeout;

use super::result::interrupts;
use crate::{Caller, Domain, Error, Result, ports::Event, stream::Step, threads::not_found};

/// How long a run that has asked something may take to end: others of its tasks may still be at work, and one that a dead
/// server left behind waits for a worker first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the first event of a run is behind.
const START: &str = "-";

impl Domain {
    /// Waits while a run of the thread has asked a question and has not ended: the thread shows what it waits for only
    /// from its end on, but whoever reads its events knows before. Nothing else is waited for. Only runs whose events are
    /// stored are looked at: nobody else shows questions before.
    ///
    /// # Errors
    /// `NotFound` for the thread.
    pub async fn settle_question(&self, caller: &Caller, thread: ThreadId) -> Result<()> {
        let scope = caller.threads.clone();
        let run = self
            .storage()
            .read(Cost::Scan, move |tx| {
                if tx.get_thread(&scope, thread, Columns::Header)?.is_none() {
                    return Err(not_found(thread));
                }
                let runs = tx.inflight_runs(thread)?;
                let running = runs.iter().position(|run| run.status == RunStatus::Running);
                // Where none is running, the oldest may be one that an earlier process had begun.
                Ok(runs.into_iter().nth(running.unwrap_or(0)))
            })
            .await?;
        let Some(run) = run else { return Ok(()) };
        let Some(mut listener) = self.listen(run, Some(START)).await?.listener else {
            return Ok(());
        };
        let (mut has_asked, mut page) = (false, vec![]);
        while listener.look(&mut page).await? == Step::Given {
            has_asked |= page.drain(..).any(|logged| asks(&logged.event));
        }
        if !has_asked {
            return Ok(());
        }
        let ended = timeout(PATIENCE, async {
            while listener.next(&mut page).await? {
                page.clear();
            }
            Ok::<_, Error>(())
        });
        ended.await.unwrap_or(Ok(()))
    }
}

/// Whether an event asks a question.
fn asks(event: &Event) -> bool {
    (event.name.starts_with("values") || event.name.starts_with("updates"))
        && !interrupts(&event.data).is_empty()
}
