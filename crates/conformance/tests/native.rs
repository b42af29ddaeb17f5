//! The server of this workspace with its built-in graph.

use std::process::ExitCode;

use agent_server_conformance::{TestGraphs, run_test};

fn main() -> ExitCode {
    run_test(TestGraphs::Demo)
}
