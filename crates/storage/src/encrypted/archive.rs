//! Archives behind the cipher: entries go out decrypted and come in encrypted anew.
//!
//! What an entry was encrypted in goes with it, under the key of [`CONTEXT`]: in the metadata of a row, in the value of an item.
//! What belongs to a thread is encrypted in the context of that.

use std::ops::ControlFlow::Break;

use serde_json::Value;

use super::{
    assistants::Version,
    checkpoints::Metadata,
    context,
    fields::CONTEXT,
    view::{View, context_of},
    webhooks::Told,
};
use crate::{
    Map, RawJson, ReadTx, Result, WriteTx,
    archive::{self, Each, Entry, Selection},
    checkpoints::{NewCheckpoint, SaverOp},
    store::Item,
    webhooks::Delivery,
};

/// Takes out of an entry what it was encrypted in, where that means nothing.
pub fn forget_context(entry: &mut Entry) {
    if let Some(metadata) = metadata(entry) {
        metadata.shift_remove(CONTEXT);
    } else if let Entry::Item { item, .. } = entry
        && let Some(mut value) = value_with_context(item)
    {
        value.shift_remove(CONTEXT);
        item.value = RawJson::of(&value);
    }
}

impl<T: ReadTx + ?Sized> archive::Read for View<'_, T> {
    fn export(&self, selection: &Selection, each: &mut Each<'_>) -> Result<()> {
        let mut failed = None;
        self.tx.export(selection, &mut |entry| match self.opened_entry(entry) {
            Ok(entry) => each(entry),
            Err(error) => {
                failed = Some(error);
                Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn has_contexts(&self) -> bool {
        true
    }
}

impl<T: WriteTx + ?Sized> archive::Write for View<'_, T> {
    fn import(&self, entry: &Entry, replace: bool) -> Result<bool> {
        let own = self.own_context(entry)?;
        let sealed = self.sealed_entry(entry.clone(), &own)?;
        context::with_blobs(own, || self.tx.import(&sealed, replace))
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    fn opened_entry(&self, mut entry: Entry) -> Result<Entry> {
        let own = context_in(&mut entry).filter(|context| !context.is_empty());
        let mut entry = self.opened_fields(entry)?;
        let Some(own) = own else { return Ok(entry) };
        if let Some(metadata) = metadata(&mut entry) {
            metadata.insert(CONTEXT.into(), own.into());
        } else if let Entry::Item { item, .. } = &mut entry
            && let Ok(mut value) = item.value.parse::<Map>()
        {
            value.insert(CONTEXT.into(), own.into());
            item.value = RawJson::of(&value);
        }
        Ok(entry)
    }

    fn opened_fields(&self, entry: Entry) -> Result<Entry> {
        let one = "one row was asked for";
        Ok(match entry {
            Entry::Assistant(row) => Entry::Assistant(self.opened(vec![row])?.pop().expect(one)),
            Entry::Version(row) => {
                Entry::Version(self.opened(vec![Version(row)])?.pop().expect(one).0)
            }
            Entry::Thread { thread, settled } => {
                Entry::Thread { thread: self.opened(vec![thread])?.pop().expect(one), settled }
            }
            Entry::Saved(thread, SaverOp::Put(row)) => {
                let metadata = self.opened(vec![Metadata(row.metadata)])?.pop().expect(one).0;
                Entry::Saved(thread, SaverOp::Put(NewCheckpoint { metadata, ..row }))
            }
            Entry::Run(row) => Entry::Run(self.opened(vec![row])?.pop().expect(one)),
            Entry::Cron { cron, fired } => {
                Entry::Cron { cron: self.opened(vec![cron])?.pop().expect(one), fired }
            }
            Entry::Item { item, expires_at, vectors } => Entry::Item {
                item: self.opened(vec![item])?.pop().expect(one),
                expires_at,
                vectors,
            },
            Entry::Delivery { delivery, payload } => {
                let Delivery { metadata, .. } = delivery.clone();
                let told = Told { metadata, payload: Some(payload.clone()) };
                let told = self.opened(vec![told])?.pop().expect(one);
                let delivery = Delivery { metadata: told.metadata, ..delivery };
                Entry::Delivery { delivery, payload: told.payload.unwrap_or(payload) }
            }
            // The backend has decrypted them, or there is nothing of anybody's in them.
            same @ (Entry::Saved(..)
            | Entry::Before(_)
            | Entry::Live { .. }
            | Entry::Events { .. }
            | Entry::Key { .. }) => same,
        })
    }

    /// The context in which an entry is to be encrypted.
    fn own_context(&self, entry: &Entry) -> Result<Map> {
        let own = match context_in(&mut entry.clone()) {
            None if !entry.opens() => match entry.thread_id() {
                Some(thread) => self.context_of_thread(thread)?,
                None => None,
            },
            own => own,
        };
        // Not that of another row which happened to be read before.
        Ok(own.unwrap_or_default())
    }

    fn sealed_entry(&self, entry: Entry, own: &Map) -> Result<Entry> {
        let own = Some(own.clone());
        Ok(match entry {
            Entry::Assistant(row) => Entry::Assistant(self.sealed(row, own)?),
            Entry::Version(row) => Entry::Version(self.sealed(row, own)?),
            Entry::Thread { thread, settled } => {
                Entry::Thread { thread: self.sealed(thread, own)?, settled }
            }
            Entry::Saved(thread, SaverOp::Put(row)) => {
                let Metadata(metadata) = self.sealed(Metadata(row.metadata), own)?;
                Entry::Saved(thread, SaverOp::Put(NewCheckpoint { metadata, ..row }))
            }
            Entry::Run(row) => Entry::Run(self.sealed(row, own)?),
            Entry::Cron { cron, fired } => Entry::Cron { cron: self.sealed(cron, own)?, fired },
            Entry::Item { item, expires_at, vectors } => {
                Entry::Item { item: self.sealed(item, own)?, expires_at, vectors }
            }
            Entry::Delivery { delivery, payload } => {
                let Delivery { metadata, .. } = delivery.clone();
                let told = self.sealed(Told { metadata, payload: Some(payload.clone()) }, own)?;
                let delivery = Delivery { metadata: told.metadata, ..delivery };
                Entry::Delivery { delivery, payload: told.payload.unwrap_or(payload) }
            }
            same @ (Entry::Saved(..)
            | Entry::Before(_)
            | Entry::Live { .. }
            | Entry::Events { .. }
            | Entry::Key { .. }) => same,
        })
    }
}

/// The metadata of a row that has some.
fn metadata(entry: &mut Entry) -> Option<&mut Map> {
    match entry {
        Entry::Assistant(row) | Entry::Version(row) => Some(&mut row.metadata),
        Entry::Thread { thread, .. } => Some(&mut thread.metadata),
        Entry::Run(run) => Some(&mut run.metadata),
        Entry::Cron { cron, .. } => Some(&mut cron.metadata),
        Entry::Delivery { delivery, .. } => Some(&mut delivery.metadata),
        _ => None,
    }
}

/// The context that an entry names.
fn context_in(entry: &mut Entry) -> Option<Map> {
    if let Some(metadata) = metadata(entry) {
        return context_of(metadata);
    }
    let Entry::Item { item, .. } = entry else { return None };
    value_with_context(item)?.get(CONTEXT).and_then(Value::as_object).cloned()
}

/// The value of an item in which the key stands. Others are not parsed: they keep the bytes that they have.
fn value_with_context(item: &Item) -> Option<Map> {
    let value: Map = item.value.get().contains(CONTEXT).then(|| item.value.parse().ok())??;
    value.contains_key(CONTEXT).then_some(value)
}
