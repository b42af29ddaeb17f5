//! Judges a server from the command line; see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_server_conformance::run_program()
}
