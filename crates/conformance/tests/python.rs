//! The server of this workspace with the Python project in `tests/project`.

use std::process::ExitCode;

use agent_server_conformance::{TestGraphs, run_test};

fn main() -> ExitCode {
    run_test(TestGraphs::Python)
}
