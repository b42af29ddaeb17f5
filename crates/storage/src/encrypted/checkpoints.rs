//! Checkpoints behind the cipher: their metadata. What they hold is the backend's to encrypt, after it has found what is new
//! in it; it is told the context.

use serde_json::Value;

use super::{
    fields::{CHECKPOINT, Model},
    replaced::Stored,
    view::{Sealable, Taken, View, put_json},
};
use crate::{
    RawJson, ReadTx, Result, RunId, Scope, ThreadId, WriteTx,
    checkpoints::{
        CheckpointTuple, Filter, NewCheckpoint, Read, Record, SaverOp, ThreadUsage, Write,
    },
};

const ALL: &Scope = &Scope::server();

/// The metadata of a checkpoint. Nobody asks to have it stored anew: others read it from copies.
pub(super) struct Metadata(pub(super) RawJson);

impl Sealable for Metadata {
    const MODEL: Model = CHECKPOINT;

    fn take(&mut self, stored: bool) -> Result<Value> {
        Ok(Taken::default().json("metadata", Some(&self.0), stored)?.value())
    }

    fn put(&mut self, mut fields: Value) {
        put_json(&mut fields, "metadata", &mut self.0);
    }

    fn stored(&self, _: Value) -> Option<Stored> {
        None
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_checkpoint(
        &self,
        scope: &Scope,
        thread: ThreadId,
        ns: &str,
        id: Option<&str>,
    ) -> Result<Option<CheckpointTuple>> {
        if !self.sees(scope, thread)? {
            return Ok(None);
        }
        let Some(mut tuple) = self.tx.get_checkpoint(ALL, thread, ns, id)? else { return Ok(None) };
        if let Some(Metadata(metadata)) = self.opened_one(Some(Metadata(tuple.metadata.clone())))? {
            tuple.metadata = metadata;
        }
        Ok(Some(tuple))
    }

    fn head_checkpoint(&self, scope: &Scope, thread: ThreadId, ns: &str) -> Result<Option<String>> {
        match self.sees(scope, thread)? {
            true => self.tx.head_checkpoint(ALL, thread, ns),
            false => Ok(None),
        }
    }

    fn list_records(
        &self,
        scope: &Scope,
        thread: ThreadId,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Record>> {
        if !self.sees(scope, thread)? {
            return Ok(vec![]);
        }
        let metadata = self.needle(&CHECKPOINT, "metadata", filter.metadata.as_ref())?;
        let filter = Filter { metadata, ..filter.clone() };
        let mut records = self.tx.list_records(ALL, thread, &filter, limit)?;
        let metadata = records.iter().map(|record| Metadata(record.metadata.clone())).collect();
        for (record, Metadata(metadata)) in records.iter_mut().zip(self.opened(metadata)?) {
            record.metadata = metadata;
        }
        Ok(records)
    }

    fn get_live_state(&self, scope: &Scope, thread: ThreadId) -> Result<Option<RawJson>> {
        match self.sees(scope, thread)? {
            true => self.tx.get_live_state(ALL, thread),
            false => Ok(None),
        }
    }

    fn checkpoint_usage(&self, scope: &Scope, thread: ThreadId) -> Result<Option<ThreadUsage>> {
        match self.sees(scope, thread)? {
            true => self.tx.checkpoint_usage(ALL, thread),
            false => Ok(None),
        }
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn save(&self, thread: ThreadId, ops: &[SaverOp]) -> Result<()> {
        let own = self.context_of_thread(thread)?;
        let sealed: Result<Vec<SaverOp>> = ops
            .iter()
            .map(|op| match op {
                SaverOp::Put(checkpoint) => {
                    let metadata = Metadata(checkpoint.metadata.clone());
                    let Metadata(metadata) = self.sealed(metadata, own.clone())?;
                    Ok(SaverOp::Put(NewCheckpoint { metadata, ..checkpoint.clone() }))
                }
                other => Ok(other.clone()),
            })
            .collect();
        let sealed = sealed?;
        self.with_blobs(own, || self.tx.save(thread, &sealed))
    }

    fn keep_before(&self, thread: ThreadId, run: RunId, ops: &[SaverOp]) -> Result<()> {
        self.tx.keep_before(thread, run, ops)
    }

    fn put_live_state(&self, thread: ThreadId, id: &str, state: &RawJson) -> Result<()> {
        let own = self.context_of_thread(thread)?;
        self.with_blobs(own, || self.tx.put_live_state(thread, id, state))
    }

    fn delete_checkpoints_of_run(&self, thread: ThreadId, run: RunId) -> Result<()> {
        let own = self.context_of_thread(thread)?;
        self.with_blobs(own, || self.tx.delete_checkpoints_of_run(thread, run))
    }

    fn copy_checkpoints(&self, from: ThreadId, to: ThreadId) -> Result<()> {
        let own = self.context_of_thread(to)?;
        self.with_blobs(own, || self.tx.copy_checkpoints(from, to))
    }

    fn prune_checkpoints(&self, thread: ThreadId) -> Result<bool> {
        let own = self.context_of_thread(thread)?;
        self.with_blobs(own, || self.tx.prune_checkpoints(thread))
    }
}
