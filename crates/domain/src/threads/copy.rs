//! Copies of threads: everything that was saved, in one transaction, without looking into it.

use agent_server_storage::{
    ThreadId,
    threads::{Columns, Thread, ThreadStatus},
};

use super::fresh_thread;
use crate::{Caller, Domain, Error, Result, state::head_view};

impl Domain {
    /// Makes a thread with the same metadata, state and history, and without the runs.
    ///
    /// # Errors
    /// `Conflict` if there is no such thread (the wire's word for it).
    pub async fn copy_thread(&self, caller: &Caller, id: ThreadId) -> Result<Thread> {
        let copy_id = ThreadId::from(self.0.ids.random());
        let (scope, now, ttl) = (caller.scope.clone(), self.now(), self.0.options.thread_ttl);
        self.storage()
            .write(move |tx| {
                let source = tx
                    .get_thread(&scope, id, Columns::Full)?
                    .ok_or_else(|| Error::Conflict("Conflict".into()))?;
                let mut copy = Thread {
                    values: source.values,
                    interrupts: source.interrupts,
                    ttl,
                    ..fresh_thread(copy_id, source.metadata, now)
                };
                // A run in flight may be further than the row, and its status is not the copy's.
                if let Some(head) = head_view(tx, id)? {
                    copy.values = Some(head.values);
                    copy.interrupts = Some(head.interrupts);
                    if head.pending {
                        copy.status = ThreadStatus::Interrupted;
                    }
                }
                tx.insert_thread(&copy)?;
                tx.copy_checkpoints(id, copy_id)?;
                Ok(copy)
            })
            .await
    }
}
