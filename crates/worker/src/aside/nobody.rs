//! The sink of a pool that runs nothing.

use agent_server_domain::{
    Error,
    ports::{Event, Outcome, RunSink, StoreAnswer, StoreOp},
};
use agent_server_storage::{
    ThreadId,
    checkpoints::{CheckpointTuple, SaverOp},
    runs::Lease,
};
use async_trait::async_trait;

/// Hears nothing, because nothing is run, and has nothing to give.
pub(super) struct Nobody;

fn nothing_runs() -> Error {
    Error::Unavailable("nothing is run here".into())
}

#[async_trait]
impl RunSink for Nobody {
    fn event(&self, _lease: Lease, _event: Event) {}

    fn save(&self, _lease: Lease, _op: SaverOp) {}

    async fn flush(&self, _lease: Lease) -> Result<(), Error> {
        Err(nothing_runs())
    }

    async fn load(
        &self,
        _lease: Option<Lease>,
        _thread_id: ThreadId,
        _ns: String,
        _checkpoint_id: Option<String>,
    ) -> Result<Option<CheckpointTuple>, Error> {
        Err(nothing_runs())
    }

    async fn store(&self, _ops: Vec<StoreOp>) -> Result<Vec<StoreAnswer>, Error> {
        Err(nothing_runs())
    }

    async fn done(&self, _lease: Lease, _outcome: Outcome) {}

    fn slot_freed(&self) {}

    fn graphs_changed(&self) {}
}
