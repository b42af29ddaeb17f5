//! Updates of a thread's state from outside, one checkpoint each.

use std::sync::Arc;

use agent_server_domain::{Error, ports::Answer};
use agent_server_graph::{Graph, update_state};
use agent_server_storage::{RawJson, ThreadId, checkpoints::SaverOp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    NativeHost, Place, damaged,
    render::{self, Shown},
};

/// Values, and the node that they are written as.
pub(super) type Update = (Value, Option<String>);

/// The updates of supersteps. A Rust graph takes one per superstep, and no commands.
pub(super) fn single_updates(supersteps: &RawJson) -> Result<Vec<Update>, Error> {
    #[derive(Deserialize)]
    struct Superstep {
        updates: Vec<Member>,
    }
    #[derive(Deserialize)]
    struct Member {
        #[serde(default)]
        values: Value,
        #[serde(default)]
        command: Value,
        as_node: String,
    }
    let supersteps: Vec<Superstep> = supersteps.parse().map_err(damaged)?;
    supersteps
        .into_iter()
        .map(|superstep| {
            let [update]: [Member; 1] = superstep.updates.try_into().map_err(|_| {
                Error::Refused("A Rust graph takes exactly one update per superstep".into())
            })?;
            if !update.command.is_null() {
                return Err(Error::Refused("A Rust graph takes no commands in supersteps".into()));
            }
            Ok((update.values, Some(update.as_node)))
        })
        .collect()
}

impl NativeHost {
    /// Makes the updates one upon the other; nothing is saved yet.
    pub(super) async fn update(
        &self,
        graph: &Arc<Graph>,
        thread_id: ThreadId,
        config: &RawJson,
        updates: Vec<Update>,
    ) -> Result<Answer, Error> {
        let at = Place::of(config)?;
        let mut saved = at.load(&*self.0.sink, thread_id).await?.map(|(progress, _)| progress);
        let mut metadata = RawJson::null();
        let mut ops = vec![];
        for (values, as_node) in updates {
            let progress = update_state(graph, saved, values, as_node.as_deref())
                .map_err(|failure| Error::Refused(failure.message))?;
            metadata = render::metadata(at.metadata(), &progress.checkpoint);
            let parent_id = progress.checkpoint.parent_id.clone();
            ops.push(SaverOp::Put(render::put(&progress.checkpoint, &metadata, parent_id, None)?));
            ops.push(SaverOp::Base(render::base(graph, &progress)));
            saved = Some(progress);
        }
        let progress = saved.ok_or_else(|| Error::Refused("No updates provided".into()))?;
        let parent_id = progress.checkpoint.parent_id.as_deref();
        let shown = Shown { graph, thread_id, progress: &progress, metadata: &metadata, parent_id };
        let json = RawJson::of(&json!({"configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": "",
            "checkpoint_id": progress.checkpoint.id,
        }}));
        Ok(Answer { json, live: Some(shown.live()), ops, lasting: false })
    }
}
