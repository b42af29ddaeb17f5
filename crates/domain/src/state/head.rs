//! What a thread's row shows of its newest root checkpoint.

use std::collections::BTreeMap;

use agent_server_storage::{RawJson, ReadTx, Scope, ThreadId, checkpoints::Filter};
use serde::Deserialize;

use super::view::{View, assemble};
use crate::{Error, Result};

/// What a thread's row shows of its newest root checkpoint.
pub(crate) struct HeadView {
    pub(crate) values: RawJson,
    /// Object task id → interrupts.
    pub(crate) interrupts: RawJson,
    /// Whether tasks remain.
    pub(crate) pending: bool,
}

/// The view of the thread's head; `None` without checkpoints, and when no worker has rendered the newest.
pub(crate) fn head_view(tx: &dyn ReadTx, id: ThreadId) -> Result<Option<HeadView>> {
    #[derive(Deserialize)]
    struct Shown {
        values: RawJson,
        next: Vec<RawJson>,
        tasks: Vec<ShownTask>,
    }
    #[derive(Deserialize)]
    struct ShownTask {
        id: String,
        interrupts: Vec<RawJson>,
    }
    let state = match tx.get_live_state(&Scope::server(), id)? {
        Some(live) => Some(live),
        None => {
            let records = tx.list_records(&Scope::server(), id, &Filter::default(), 1)?;
            let record = records.first();
            record.map(|record| assemble(id, record, View::Live)).transpose()?.flatten()
        }
    };
    let Some(state) = state else { return Ok(None) };
    let shown: Shown = state
        .parse()
        .map_err(|error| Error::Internal(format!("the state of thread {id} is odd: {error}")))?;
    // Sorted by id, which is as good as any order.
    let interrupts: BTreeMap<_, _> = shown
        .tasks
        .into_iter()
        .filter(|task| !task.interrupts.is_empty())
        .map(|task| (task.id, task.interrupts))
        .collect();
    let (values, pending) = (shown.values, !shown.next.is_empty());
    Ok(Some(HeadView { values, interrupts: RawJson::of(&interrupts), pending }))
}
