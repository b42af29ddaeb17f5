//! `agent-server validate`: what a server would say about a langgraph.json, without starting one.

use std::path::Path;

use crate::{banner::say, config::langgraph_json, env::Env, refusal::Result};

/// Checks a file and says what it serves.
///
/// Errors: what a server would refuse.
pub(crate) fn run(file: &Path) -> Result<()> {
    let project = langgraph_json::load(file, &Env::of_process())?;
    for warning in &project.warnings {
        eprintln!("warning: {warning}");
    }
    let ids: Vec<_> = project.graphs.iter().map(|graph| graph.id.as_str()).collect();
    let graphs = if ids.len() == 1 { "graph" } else { "graphs" };
    say(format!("{}: valid, {} {graphs}: {}\n", file.display(), ids.len(), ids.join(", ")));
    Ok(())
}
