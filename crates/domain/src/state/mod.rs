//! Thread state and history: reads from rendered records, updates through the graph.
//!
//! Source: reference/runs-and-threads.md, section 4; reference/langgraph-python-worker.md, section 6 (the live and the
//! record view of a checkpoint).

mod head;
mod update;
mod view;

use agent_server_storage::{
    Cost, Map, RawJson, Scope, ThreadId,
    checkpoints::Filter,
    threads::{Columns, Thread, ThreadStatus},
};
use serde_json::{Value, json};

use self::view::{View, assemble, empty_state};
use crate::{
    Caller, Domain, Error, Result,
    ports::{LiveState, Question},
    threads::not_found,
};

pub use update::StateUpdate;
pub(crate) use {
    head::{HeadView, head_view},
    update::{no_graph, save_update},
};

/// Which state of a thread is asked for.
#[derive(Clone, Debug, Default)]
pub struct StateAt {
    /// Namespace; `""` is the root graph.
    pub ns: String,
    /// Checkpoint; `None` is the latest.
    pub checkpoint_id: Option<String>,
    /// Whether states of subgraphs are nested into their tasks.
    pub subgraphs: bool,
}

/// What a read of a thread's state found without asking a worker.
enum Stored {
    /// The answer.
    Rendered(RawJson),
    /// The thread's graph must render it; the thread is given for its graph id.
    Ask(Box<Thread>),
}

impl Domain {
    /// The state of a thread.
    ///
    /// # Errors
    /// `NotFound` for the thread, or what the host says when it had to be asked.
    pub async fn thread_state(
        &self,
        caller: &Caller,
        id: ThreadId,
        at: StateAt,
    ) -> Result<RawJson> {
        let scope = caller.threads.clone();
        let wanted = at.clone();
        let stored = self
            .storage()
            .read(Cost::Point, move |tx| {
                let at = wanted;
                let latest_root = at.ns.is_empty() && at.checkpoint_id.is_none() && !at.subgraphs;
                if latest_root && let Some(live) = tx.get_live_state(&scope, id)? {
                    return Ok::<_, Error>(Stored::Rendered(live));
                }
                let thread =
                    tx.get_thread(&scope, id, Columns::Header)?.ok_or_else(|| not_found(id))?;
                let filter = Filter {
                    ns: at.ns.clone(),
                    id: at.checkpoint_id.clone(),
                    ..Default::default()
                };
                let Some(record) = tx.list_records(&scope, id, &filter, 1)?.into_iter().next()
                else {
                    let empty = empty_state(id, &at.ns, at.checkpoint_id.as_deref());
                    return Ok(Stored::Rendered(empty));
                };
                let busy = thread.status == ThreadStatus::Busy;
                let live = at.checkpoint_id.is_none();
                // The live view of a thread at rest may need the graph's reducers; that of a busy one is on the move
                // anyway, and its graph may be what is stuck.
                if at.subgraphs || (live && !busy) {
                    return Ok(Stored::Ask(Box::new(thread)));
                }
                let view = if live { View::Live } else { View::Record };
                Ok(match assemble(id, &record, view)? {
                    Some(state) => Stored::Rendered(state),
                    None => Stored::Ask(Box::new(thread)),
                })
            })
            .await?;
        match stored {
            Stored::Rendered(state) => Ok(state),
            Stored::Ask(thread) => self.ask_state(caller, &thread, at).await,
        }
    }

    /// Has the graph render a state, and keeps it if it is the live view of the root.
    async fn ask_state(&self, caller: &Caller, thread: &Thread, at: StateAt) -> Result<RawJson> {
        let id = thread.thread_id;
        let Some(graph_id) = graph_of(thread) else {
            return Ok(empty_state(id, &at.ns, at.checkpoint_id.as_deref()));
        };
        self.ready_graph(&graph_id)?;
        let mut configurable = Map::new();
        configurable.insert("thread_id".into(), json!(id.to_string()));
        configurable.insert("checkpoint_ns".into(), json!(at.ns));
        configurable.insert("graph_id".into(), json!(graph_id));
        if let Some(checkpoint) = &at.checkpoint_id {
            configurable.insert("checkpoint_id".into(), json!(checkpoint));
        }
        caller.show_user(&mut configurable);
        let config = RawJson::of(&json!({"configurable": configurable}));
        let question = Question::State { thread_id: id, config, subgraphs: at.subgraphs };
        let answer = self.host().ask(&graph_id, question).await?;
        let keep = at.ns.is_empty() && at.checkpoint_id.is_none() && !at.subgraphs;
        if keep && let Some(LiveState { checkpoint_id: Some(checkpoint), state, .. }) = answer.live
        {
            self.storage()
                .write(move |tx| {
                    // A run may have started meanwhile: only the state of the head may be kept.
                    let head = tx.head_checkpoint(&Scope::server(), id, "")?;
                    if head.as_deref() == Some(&checkpoint) && tx.inflight_runs(id)?.is_empty() {
                        tx.put_live_state(id, &checkpoint, &state)?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(answer.json)
    }

    /// Past states of a thread, newest first.
    ///
    /// # Errors
    /// `NotFound` for the thread, or what the host says when it had to be asked.
    pub async fn thread_history(
        &self,
        caller: &Caller,
        id: ThreadId,
        filter: Filter,
        limit: u32,
    ) -> Result<Vec<RawJson>> {
        let scope = caller.threads.clone();
        let ns = filter.ns.clone();
        let cost = if limit <= 20 { Cost::Point } else { Cost::Scan };
        let (thread, rendered) = self
            .storage()
            .read(cost, move |tx| {
                let thread =
                    tx.get_thread(&scope, id, Columns::Header)?.ok_or_else(|| not_found(id))?;
                let records = tx.list_records(&scope, id, &filter, limit)?;
                let rendered: Result<Vec<_>> = records
                    .iter()
                    .map(|record| Ok((record.id.clone(), assemble(id, record, View::Record)?)))
                    .collect();
                Ok::<_, Error>((thread, rendered?))
            })
            .await?;
        let mut states = Vec::with_capacity(rendered.len());
        for (checkpoint, state) in rendered {
            let at = || StateAt {
                ns: ns.clone(),
                checkpoint_id: Some(checkpoint.clone()),
                subgraphs: false,
            };
            states.push(match state {
                Some(state) => state,
                None => self.ask_state(caller, &thread, at()).await?,
            });
        }
        Ok(states)
    }
}

/// The graph that made the thread's checkpoints.
pub(crate) fn graph_of(thread: &Thread) -> Option<String> {
    thread.metadata.get("graph_id").and_then(Value::as_str).map(str::to_owned)
}
