//! What a reader of events has to know of the run that sends them.

use agent_server_storage::{Cost, RunId, Scope, ThreadId, runs::RunStatus};
use serde::Deserialize;

use crate::{Domain, Error, Result, runs::kwargs::in_configurable};

/// A run that sends events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The graph that it runs.
    pub graph_id: String,
    /// Whether a command of the event protocol started it.
    pub speaks_protocol: bool,
    /// What has become of it by now.
    pub status: RunStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configurable {
    graph_id: String,
    #[serde(rename = "__event_streaming_v2")]
    speaks_protocol: serde_json::Value,
}

impl Domain {
    /// The run that sent events which the caller was given; `None` if it was deleted.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn sender(&self, thread: ThreadId, run: RunId) -> Result<Option<Sender>> {
        // Whoever was given events of the run may know this much of it.
        let read = move |tx: &dyn agent_server_storage::ReadTx| {
            tx.get_run(&Scope::server(), thread, run).map_err(Error::from)
        };
        let run = self.storage().read(Cost::Point, move |tx| read(tx)).await?;
        Ok(run.map(|run| {
            let Configurable { graph_id, speaks_protocol } =
                in_configurable(&run.kwargs).unwrap_or_default();
            let speaks_protocol = speaks_protocol == serde_json::Value::Bool(true);
            Sender { graph_id, speaks_protocol, status: run.status }
        }))
    }

    /// Whether a run may still send something.
    pub fn is_sending(&self, run: RunId) -> bool {
        self.0.streams.find(run).is_some()
    }
}
