//! State updates: the graph makes checkpoints of them, as if a node had returned them.

use agent_server_storage::{
    Map, RawJson, Scope, ThreadId, Timestamp, WriteTx,
    threads::{Changes, ThreadStatus},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::graph_of;
use crate::{
    Caller, Domain, Error, Result,
    ports::{Answer, Question},
    threads::not_found,
};

const BUSY: &str = "Thread is busy with a running job. Cannot update state.";

/// Body of a state update.
#[derive(Clone, Debug)]
pub struct StateUpdate {
    /// Values, or `null`.
    pub values: RawJson,
    /// Node to write as.
    pub as_node: Option<String>,
    /// Members of the checkpoint to start from (`checkpoint_id`, `checkpoint_ns`, …).
    pub checkpoint: Map,
}

impl Domain {
    /// Applies an update as if a node had returned it. Returns the new config, `{"configurable": {…}}`.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while runs are in flight; `Refused` for a thread without graph or what the library refuses.
    pub async fn update_thread_state(
        &self,
        caller: &Caller,
        id: ThreadId,
        update: StateUpdate,
    ) -> Result<Map> {
        let thread = self.thread_header(&caller.threads, id).await?;
        if thread.status == ThreadStatus::Busy {
            return Err(Error::Conflict(BUSY.into()));
        }
        let graph_id = graph_of(&thread).ok_or_else(|| Error::Refused(no_graph(id)))?;
        self.ready_graph(&graph_id)?;
        let mut configurable = match thread.config.get("configurable") {
            Some(Value::Object(map)) => map.clone(),
            _ => Map::new(),
        };
        configurable.insert("checkpoint_ns".into(), json!(""));
        for (key, value) in &update.checkpoint {
            configurable.insert(key.clone(), value.clone());
        }
        configurable.insert("thread_id".into(), json!(id.to_string()));
        configurable.insert("graph_id".into(), json!(graph_id));
        caller.show_user(&mut configurable);
        let config = RawJson::of(&json!({"configurable": configurable}));
        let question = Question::UpdateState {
            thread_id: id,
            config,
            values: update.values,
            as_node: update.as_node,
        };
        let answer = self.host().ask(&graph_id, question).await?;
        let now = self.now();
        let place = answer.json.clone();
        self.storage()
            .write(move |tx| {
                if !tx.inflight_runs(id)?.is_empty() {
                    return Err(Error::Conflict(BUSY.into()));
                }
                save_update(tx, id, &answer, now)
            })
            .await?;
        self.tell_state(caller, id).await;
        #[derive(Deserialize)]
        struct Config {
            configurable: Map,
        }
        let config: Config = place.parse().map_err(|error| {
            Error::Internal(format!("a worker answered an update with an odd config: {error}"))
        })?;
        Ok(config.configurable)
    }
}

/// `values` of a rendered state.
fn values_of(state: &RawJson) -> Result<Option<RawJson>> {
    #[derive(Deserialize)]
    struct Values {
        values: RawJson,
    }
    let parsed: Values = state
        .parse()
        .map_err(|error| Error::Internal(format!("a worker rendered an odd state: {error}")))?;
    Ok(Some(parsed.values))
}

/// Saves what a graph made of an update, and shows it on the thread.
pub(crate) fn save_update(
    tx: &dyn WriteTx,
    id: ThreadId,
    answer: &Answer,
    now: Timestamp,
) -> Result<()> {
    tx.save(id, &answer.ops)?;
    let mut changes = Changes {
        updated_at: Some(now),
        state_updated_at: Some(now),
        error: Some(Some(RawJson::null())),
        ..Default::default()
    };
    if let Some(live) = &answer.live {
        if let Some(checkpoint) = &live.checkpoint_id {
            tx.put_live_state(id, checkpoint, &live.state)?;
        }
        let status = if live.pending { ThreadStatus::Interrupted } else { ThreadStatus::Idle };
        changes.status = Some(status);
        changes.values = Some(values_of(&live.state)?);
        changes.interrupts = Some(Some(live.interrupts.clone()));
    }
    if !tx.update_thread(&Scope::server(), id, &changes)? {
        return Err(not_found(id));
    }
    Ok(())
}

/// Why a thread's state cannot be updated.
pub(crate) fn no_graph(id: ThreadId) -> String {
    format!(
        "Thread '{id}' has no assigned graph ID. This usually occurs when no runs have been made on this particular thread. \
         This operation requires a graph ID. Please ensure a run has been made for the thread or manually update the thread \
         metadata (by setting the 'graph_id' field) before running this operation."
    )
}
