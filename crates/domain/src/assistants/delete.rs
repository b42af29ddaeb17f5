//! Deleting assistants.
//!
//! Source: reference/assistants-crons-store-system.md, 1.8.

use agent_server_storage::{AssistantId, Cost, Map, Page, ReadTx, Scope, ThreadId, threads};
use serde_json::json;

use crate::{Caller, Domain, Error, Result};

impl Domain {
    /// Deletes an assistant with its versions; its runs in flight are cancelled first. With `delete_threads` also
    /// every thread that the assistant was last used on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_assistant(
        &self,
        caller: &Caller,
        id: AssistantId,
        delete_threads: bool,
    ) -> Result<()> {
        let (scope, thread_scope) = (caller.assistants.clone(), caller.threads.clone());
        let (inflight, threads) = self
            .storage()
            .read(Cost::Scan, move |tx| {
                if tx.get_assistant(&scope, id)?.is_none() {
                    return Err(Error::NotFound(format!("Assistant with ID {id} not found")));
                }
                let threads = match delete_threads {
                    true => threads_of(tx, &thread_scope, id)?,
                    false => vec![],
                };
                // Runs of others, on threads of theirs, are none of the caller's business.
                let mut inflight = vec![];
                for run in tx.inflight_runs_of_assistant(id)? {
                    inflight.extend(tx.get_run(&thread_scope, run.thread_id, run.run_id)?);
                }
                Ok((inflight, threads))
            })
            .await?;
        for run in inflight {
            self.interrupt(&run, "interrupt requested via DELETE /assistants/{assistant_id}")
                .await?;
        }
        for thread in threads {
            match self.delete_thread(caller, thread).await {
                // Somebody else was faster.
                Err(Error::NotFound(_)) => {}
                other => other?,
            }
        }
        let scope = caller.assistants.clone();
        self.storage()
            .write(move |tx| tx.delete_assistant(&scope, id).map_err(Error::from))
            .await?;
        Ok(())
    }
}

fn threads_of(tx: &dyn ReadTx, scope: &Scope, id: AssistantId) -> Result<Vec<ThreadId>> {
    let mut metadata = Map::new();
    metadata.insert("assistant_id".into(), json!(id.to_string()));
    let filter = threads::Filter { metadata: Some(metadata), ..Default::default() };
    let all = Page { limit: u32::MAX, offset: 0 };
    let threads =
        tx.search_threads(scope, &filter, Default::default(), all, threads::Columns::Header)?;
    Ok(threads.into_iter().map(|thread| thread.thread_id).collect())
}
