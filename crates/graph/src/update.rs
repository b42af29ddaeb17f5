//! Updates from outside: as if a node had returned them.

use std::sync::Arc;

use serde_json::Value;

use crate::{END, Failure, Graph, Progress, START, Source, Target, executor::empty};

/// Writes `values` (object or null) as if `as_node` had returned them; nothing runs, the node's edges are followed. The
/// result is a new checkpoint upon `saved`.
///
/// # Errors
/// `values` is no object, the node is unknown, or it was not named and cannot be told.
pub fn update_state(
    graph: &Graph,
    saved: Option<Progress>,
    values: Value,
    as_node: Option<&str>,
) -> Result<Progress, Failure> {
    let writes = match values {
        Value::Null => Default::default(),
        Value::Object(values) => graph.settle(values, false),
        other => {
            return Err(Failure::new("InvalidUpdateError", format!("Expected dict, got {other}")));
        }
    };
    let fresh = saved.is_none();
    let base = saved.unwrap_or_else(|| empty(graph));
    let writers = match as_node {
        Some("__copy__") => {
            let targets = base.checkpoint.tasks.iter().map(|task| match &task.input {
                None => Target::Node(task.node.clone()),
                Some(input) => Target::Send { node: task.node.clone(), input: input.clone() },
            });
            let (values, writers) =
                (Arc::clone(&base.checkpoint.values), base.checkpoint.writers.clone());
            let mut copy = base.next(graph, Source::Fork, values, writers, targets.collect());
            copy.checkpoint.parent_id = base.checkpoint.parent_id;
            return Ok(copy);
        }
        Some(node)
            if node == START || node == "__input__" || node == END || graph.has_node(node) =>
        {
            vec![if node == "__input__" { START.to_owned() } else { node.to_owned() }]
        }
        Some(node) => {
            return Err(Failure::new("InvalidUpdateError", format!("Node {node} does not exist")));
        }
        None if fresh => vec![START.to_owned()],
        None => match (&base.checkpoint.writers[..], graph.only_node()) {
            (_, Some(node)) => vec![node.to_owned()],
            ([node], _) => vec![node.clone()],
            _ => {
                let text = "Ambiguous update, specify as_node";
                return Err(Failure::new("InvalidUpdateError", text));
            }
        },
    };
    let mut state =
        if as_node == Some(END) { base.live(graph).values } else { base.record(graph).values };
    graph.apply(Arc::make_mut(&mut state), &writes);
    let targets = graph.successors(&writers[0], &state);
    let mut next = base.next(graph, Source::Update, state, writers, targets);
    if fresh {
        next.checkpoint.parent_id = None;
    }
    Ok(next)
}
