//! Parts of the API that a project switches off: their routes are not there, and answer like any other unknown path.
//!
//! Source: reference/configuration.md, 2.7.

use agent_server_api::{OPERATIONS, Operation};
use serde_json::Value;

/// What is switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disabled {
    /// Assistants (upstream's `http.disable_assistants`).
    pub assistants: bool,
    /// Threads and their states (`http.disable_threads`). Runs of threads stay, and may create the threads they name.
    pub threads: bool,
    /// Runs and crons, and the event streaming of threads (`http.disable_runs`).
    pub runs: bool,
    /// The store (`http.disable_store`). Graphs keep theirs.
    pub store: bool,
    /// Tools of the Model Context Protocol (`http.disable_mcp`).
    pub mcp: bool,
    /// Agents of the Agent2Agent protocol (`http.disable_a2a`).
    pub a2a: bool,
    /// The event streaming of threads (`http.disable_event_streaming`, `FF_V2_EVENT_STREAMING`).
    pub event_streaming: bool,
    /// What tells of the server itself (`http.disable_meta`): only `/ok` stays, and says no more than that.
    pub meta: bool,
}

/// Where the health check is that stays.
const OK: &str = "/ok";

impl Disabled {
    /// Names of the operations that are not served.
    pub(crate) fn operations(self) -> Vec<&'static str> {
        let hidden = OPERATIONS.iter().filter(|operation| self.hides(operation));
        hidden.map(|operation| operation.name).collect()
    }

    /// Whether the events of threads can be streamed, also over a WebSocket.
    pub(crate) fn streams_events(self) -> bool {
        !self.runs && !self.event_streaming
    }

    fn hides(self, operation: &Operation) -> bool {
        match operation.tag {
            "Assistants" => self.assistants,
            "Threads" => self.threads,
            "Thread Runs" | "Stateless Runs" | "Crons" => self.runs,
            "Streaming" => !self.streams_events(),
            "Store" => self.store,
            "MCP" => self.mcp,
            "A2A" => self.a2a,
            "System" => self.meta && operation.path != OK,
            _ => false,
        }
    }

    /// Takes the protocols that are off out of the document. It keeps the other parts, as upstream's does.
    pub(crate) fn describe(self, document: &mut Value) {
        for (off, tag) in [(self.mcp, "MCP"), (self.a2a, "A2A")] {
            if !off {
                continue;
            }
            for operation in OPERATIONS.iter().filter(|operation| operation.tag == tag) {
                if let Some(paths) = document["paths"].as_object_mut() {
                    paths.shift_remove(operation.path);
                }
            }
            if let Some(tags) = document["tags"].as_array_mut() {
                tags.retain(|known| known["name"] != tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_hide_the_operations_of_their_part() {
        let all = OPERATIONS.iter().map(|operation| operation.name);
        let count = |disabled: Disabled| disabled.operations().len();
        assert_eq!(count(Disabled::default()), 0);
        let meta = Disabled { meta: true, ..Disabled::default() }.operations();
        let left = all.clone().filter(|name| !meta.contains(name));
        assert!(left.clone().any(|name| name == "health_check"));
        assert!(!left.clone().any(|name| name == "health_check_root" || name == "server_info"));
        let threads = Disabled { threads: true, ..Disabled::default() }.operations();
        assert!(threads.contains(&"get_thread") && threads.contains(&"join_thread_stream"));
        assert!(!threads.contains(&"create_run") && !threads.contains(&"stream_thread_events"));
        let runs = Disabled { runs: true, ..Disabled::default() }.operations();
        for name in ["create_run", "get_cron", "cancel_runs", "stream_thread_events"] {
            assert!(runs.contains(&name), "{name}");
        }
        assert!(!runs.contains(&"join_thread_stream"));
    }

    #[test]
    fn the_document_leaves_protocols_out_that_are_off() {
        let mut document = agent_server_api::parse_document();
        Disabled { mcp: true, runs: true, ..Disabled::default() }.describe(&mut document);
        let paths = document["paths"].as_object().unwrap();
        assert!(!paths.contains_key("/mcp/") && paths.contains_key("/a2a/{assistant_id}"));
        assert!(paths.contains_key("/runs"));
    }
}
