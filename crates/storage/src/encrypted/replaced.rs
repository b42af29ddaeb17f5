//! What was encrypted anew while it was read, for example because a key has changed: stored if nobody has changed the row since.

use crate::{
    Result, Scope, WriteTx,
    assistants::Assistant,
    crons::Cron,
    runs::Run,
    store::Item,
    threads::{Changes, Columns, Thread},
};

/// A row as it was found and as it is to be.
pub(super) struct Replaced {
    pub(super) before: Stored,
    pub(super) after: Stored,
}

/// A row as the backend stores it.
#[derive(Clone, PartialEq)]
pub(super) enum Stored {
    Thread(Box<Thread>),
    Run(Box<Run>),
    Assistant(Box<Assistant>),
    Version(Box<Assistant>),
    Cron(Box<Cron>),
    Item(Box<Item>),
}

/// Stores rows anew. What cannot be stored is left as it is, and is replaced by the next who reads it.
pub(super) fn write(tx: &dyn WriteTx, replaced: Vec<Replaced>) {
    for each in replaced {
        if let Err(error) = write_one(tx, &each) {
            tracing::warn!(%error, "what is encrypted anew could not be stored");
        }
    }
}

fn write_one(tx: &dyn WriteTx, Replaced { before, after }: &Replaced) -> Result<()> {
    let all = &Scope::server();
    match (before, after) {
        (Stored::Thread(before), Stored::Thread(after)) => {
            let now = tx.get_thread(all, before.thread_id, Columns::Full)?;
            let is_same =
                |now: &Thread| now.metadata == before.metadata && now.config == before.config;
            if !now.as_ref().is_some_and(is_same) {
                return Ok(());
            }
            let changes = Changes {
                metadata: Some(after.metadata.clone()),
                config: Some(after.config.clone()),
                // Fields that were not read are not written.
                values: after.values.clone().filter(|_| before.values != after.values).map(Some),
                interrupts: after
                    .interrupts
                    .clone()
                    .filter(|_| before.interrupts != after.interrupts)
                    .map(Some),
                error: after.error.clone().filter(|_| before.error != after.error).map(Some),
                ..Changes::default()
            };
            let untouched = now.is_some_and(|now| {
                (changes.values.is_none() || now.values == before.values)
                    && (changes.interrupts.is_none() || now.interrupts == before.interrupts)
                    && (changes.error.is_none() || now.error == before.error)
            });
            if untouched {
                tx.update_thread(all, before.thread_id, &changes)?;
            }
        }
        (Stored::Run(before), Stored::Run(after)) => {
            let now = tx.find_run(all, before.run_id)?;
            if now.is_some_and(|now| now.metadata == before.metadata && now.kwargs == before.kwargs)
            {
                tx.rewrite_run(after)?;
            }
        }
        (Stored::Assistant(before), Stored::Assistant(after)) => {
            let now = tx.get_assistant(all, before.assistant_id)?;
            if now.is_some_and(|now| now == **before) {
                tx.rewrite_assistant(after)?;
            }
        }
        (Stored::Version(before), Stored::Version(after)) => {
            let now = tx.get_assistant_version(before.assistant_id, before.version)?;
            if now.is_some_and(|now| now == **before) {
                tx.rewrite_assistant_version(after)?;
            }
        }
        (Stored::Cron(before), Stored::Cron(after)) => {
            let now = tx.get_cron(all, before.cron_id)?;
            if let Some(now) =
                now.filter(|now| now.metadata == before.metadata && now.payload == before.payload)
            {
                let (metadata, payload) = (after.metadata.clone(), after.payload.clone());
                tx.update_cron(all, &Cron { metadata, payload, ..now })?;
            }
        }
        (Stored::Item(before), Stored::Item(after)) => {
            tx.rewrite_item(&before.namespace, &before.key, &before.value, &after.value)?;
        }
        _ => {}
    }
    Ok(())
}
