//! Clearing up threads: for a client, or at the end of their lifetime.

use std::collections::HashSet;

use agent_server_storage::{
    Cost, Scope, ThreadId, WriteTx,
    checkpoints::ThreadUsage,
    runs::Run,
    threads::{Columns, TtlStrategy},
};

use super::not_found;
use crate::{Caller, Domain, Error, Result};

/// Threads cleared up in one transaction: others wait as long.
const BATCH: usize = 100;

/// Removes a thread in the caller's transaction: its runs in flight, which have to be told; `None` if it is not there.
pub(super) fn remove(tx: &dyn WriteTx, scope: &Scope, id: ThreadId) -> Result<Option<Vec<Run>>> {
    if tx.get_thread(scope, id, Columns::Header)?.is_none() {
        return Ok(None);
    }
    let inflight = tx.inflight_runs(id)?;
    tx.delete_thread(scope, id)?;
    Ok(Some(inflight))
}

/// Clears a thread up in the caller's transaction: its runs in flight, which have to be told; `None` if it was passed
/// over. That happens to threads that are not there, and with `KeepLatest` to those with runs in flight, which may have
/// started from any checkpoint, and to those whose older checkpoints are needed.
pub(super) fn clear(
    tx: &dyn WriteTx,
    scope: &Scope,
    id: ThreadId,
    strategy: TtlStrategy,
) -> Result<Option<Vec<Run>>> {
    match strategy {
        TtlStrategy::Delete => remove(tx, scope, id),
        TtlStrategy::KeepLatest => {
            let there = tx.get_thread(scope, id, Columns::Header)?.is_some();
            let cleared = there && tx.inflight_runs(id)?.is_empty() && tx.prune_checkpoints(id)?;
            Ok(cleared.then(Vec::new))
        }
    }
}

impl Domain {
    /// Clears threads up; the number of those that were. Ids without a thread are passed over.
    ///
    /// # Errors
    /// `NotFound` if the caller is restricted and may not see one of them: nothing was changed then. Storage failed:
    /// batches before the failure are cleared up.
    pub async fn prune_threads(
        &self,
        caller: &Caller,
        ids: Vec<ThreadId>,
        strategy: TtlStrategy,
    ) -> Result<u64> {
        let mut seen = HashSet::new();
        let ids: Vec<_> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        if !caller.threads.is_everything() {
            self.all_visible(caller, ids.clone()).await?;
        }
        let mut count = 0;
        for batch in ids.chunks(BATCH) {
            let (batch, scope) = (batch.to_vec(), caller.threads.clone());
            let cleared = self
                .storage()
                .write(move |tx| {
                    let mut cleared = vec![];
                    for id in batch {
                        cleared.extend(clear(tx, &scope, id, strategy)?);
                    }
                    Ok::<_, Error>(cleared)
                })
                .await?;
            count += cleared.len() as u64;
            for run in cleared.iter().flatten() {
                self.abandon(run);
            }
        }
        Ok(count)
    }

    async fn all_visible(&self, caller: &Caller, ids: Vec<ThreadId>) -> Result<()> {
        let scope = caller.threads.clone();
        let visible = self
            .storage()
            .read(Cost::Scan, move |tx| {
                for id in ids {
                    if tx.get_thread(&scope, id, Columns::Header)?.is_none() {
                        return Ok::<_, Error>(false);
                    }
                }
                Ok(true)
            })
            .await?;
        if visible {
            return Ok(());
        }
        Err(Error::NotFound("At least one thread not found or not authorized".into()))
    }

    /// What the checkpoints of a thread take.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn thread_storage(&self, caller: &Caller, id: ThreadId) -> Result<ThreadUsage> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Scan, move |tx| tx.checkpoint_usage(&scope, id).map_err(Error::from))
            .await?
            .ok_or_else(|| not_found(id))
    }
}
