//! Copies of threads: everything that was saved, in one transaction, without looking into it.

use agent_server_storage::{
    Scope, ThreadId,
    threads::{Changes, Columns, Thread, ThreadStatus},
};

use super::fresh_thread;
use crate::{
    Caller, Domain, Error, Result,
    state::{HeadView, StateAt, head_view},
};

impl Domain {
    /// An id for a copy, for who has to name it before it is made.
    pub fn new_copy_id(&self) -> ThreadId {
        self.0.ids.random().into()
    }

    /// Makes a thread with the same metadata, state and history, and without the runs.
    ///
    /// # Errors
    /// `Conflict` if there is no such thread (the wire's word for it).
    pub async fn copy_thread(
        &self,
        caller: &Caller,
        id: ThreadId,
        copy_id: ThreadId,
    ) -> Result<Thread> {
        let (scope, now, ttl) = (caller.threads.clone(), self.now(), self.0.options.thread_ttl);
        let (mut copy, is_shown) = self
            .storage()
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
                let head = head_view(tx, id)?;
                let is_shown =
                    head.is_some() || tx.head_checkpoint(&Scope::server(), id, "")?.is_none();
                head.into_iter().for_each(|head| show(&mut copy, head));
                tx.insert_thread(&copy)?;
                tx.copy_checkpoints(id, copy_id)?;
                Ok::<_, Error>((copy, is_shown))
            })
            .await?;
        if !is_shown {
            self.show_head(caller, &mut copy).await?;
        }
        Ok(copy)
    }

    /// Has a head rendered that a run in flight has saved and not rendered yet, and shows it on the row.
    async fn show_head(&self, caller: &Caller, copy: &mut Thread) -> Result<()> {
        let id = copy.thread_id;
        if let Err(error) = self.thread_state(caller, id, StateAt::default()).await {
            tracing::warn!(%error, thread_id = %id, "the state of a copied thread cannot be shown");
            return Ok(());
        }
        let shown = self.storage().write(move |tx| {
            let Some(head) = head_view(tx, id)? else { return Ok::<_, Error>(None) };
            tx.update_thread(&Scope::server(), id, &changes(&head))?;
            Ok(Some(head))
        });
        shown.await?.into_iter().for_each(|head| show(copy, head));
        Ok(())
    }
}

fn status(head: &HeadView) -> ThreadStatus {
    if head.pending { ThreadStatus::Interrupted } else { ThreadStatus::Idle }
}

fn show(copy: &mut Thread, head: HeadView) {
    copy.status = status(&head);
    copy.values = Some(head.values);
    copy.interrupts = Some(head.interrupts);
}

fn changes(head: &HeadView) -> Changes {
    Changes {
        status: Some(status(head)),
        values: Some(Some(head.values.clone())),
        interrupts: Some(Some(head.interrupts.clone())),
        ..Default::default()
    }
}
