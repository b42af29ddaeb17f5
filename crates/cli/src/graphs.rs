//! The hosts of a project's graphs, put together before any of them can execute anything.

use std::sync::Arc;

use agent_server_domain::ports::{GraphHost, GraphInfo, GraphStatus, RunSink};
use agent_server_worker::{Hosts, graph::demo, native::NativeHost};

use crate::{
    config::{
        project::{Graph, Project, Source},
        workers::Workers,
    },
    late::LateHost,
};

/// The hosts of a project's graphs.
pub(crate) struct GraphHosts {
    /// All of them as one.
    pub(crate) all: Arc<dyn GraphHost>,
    /// The one for graphs in Python, which has to be provided for.
    pub(crate) python: Arc<LateHost>,
}

impl GraphHosts {
    /// The hosts of a project: for graphs in Rust those that are compiled into this program, for all others a [`LateHost`].
    pub(crate) fn new(project: &Project, workers: &Workers, sink: &Arc<dyn RunSink>) -> Self {
        let (mut rust, mut others) = (Vec::new(), Vec::new());
        for graph in &project.graphs {
            match &graph.source {
                Source::Rust { name } if name == "demo" => {
                    rust.push((graph.id.clone(), demo::graph()));
                }
                _ => others.push(before_loading(graph)),
            }
        }
        let mut hosts: Vec<Arc<dyn GraphHost>> = Vec::new();
        // A single host is asked without detours, so one without graphs stays away.
        let listed = !others.is_empty();
        let python = Arc::new(LateHost::new(others, Arc::clone(sink)));
        if listed {
            hosts.push(Arc::clone(&python) as _);
        }
        if !rust.is_empty() {
            let slots = workers.processes * workers.jobs_per_worker;
            hosts.push(Arc::new(NativeHost::new(rust, slots as usize, Arc::clone(sink))));
        }
        let order = project.graphs.iter().map(|graph| graph.id.clone()).collect();
        Self { all: Arc::new(Hosts::new(hosts, order)), python }
    }
}

/// What is known of a graph before it is loaded.
fn before_loading(graph: &Graph) -> GraphInfo {
    let status = match &graph.source {
        Source::File { .. } | Source::Module { .. } => GraphStatus::Loading,
        Source::JavaScript { path } => {
            let path = path.display();
            GraphStatus::Failed(format!("{path}: graphs in JavaScript are not supported yet"))
        }
        Source::Rust { name } => {
            GraphStatus::Failed(format!("there is no Rust graph '{name}' in this program"))
        }
    };
    let (graph_id, description) = (graph.id.clone(), graph.description.clone());
    GraphInfo { graph_id, name: None, description, status }
}
