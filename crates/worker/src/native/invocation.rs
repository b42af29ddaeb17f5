//! What a run was created with, as the executor wants it.
//!
//! Source: reference/runs-and-threads.md, section 6; reference/langgraph-python-worker.md, section 3.2.

use agent_server_domain::ports::RunOrder;
use agent_server_graph::{Command, Failure, Input, Invocation, Names, Target};
use agent_server_storage::Map;
use serde::Deserialize;
use serde_json::Value;

/// The members of a run's kwargs that a Rust graph needs.
#[derive(Deserialize)]
pub(super) struct Kwargs {
    #[serde(default)]
    input: Value,
    #[serde(default)]
    command: Option<Map>,
    #[serde(default)]
    pub(super) config: Map,
    #[serde(default)]
    context: Value,
    #[serde(default)]
    pub(super) stream_mode: Vec<String>,
    #[serde(default)]
    interrupt_before: Value,
    #[serde(default)]
    interrupt_after: Value,
    #[serde(default)]
    pub(super) durability: String,
}

impl Kwargs {
    pub(super) fn parse(order: &RunOrder) -> Result<Self, Failure> {
        order.kwargs.parse().map_err(|error| Failure::new("ValueError", error.to_string()))
    }

    pub(super) fn invocation(&self, order: &RunOrder) -> Result<Invocation, Failure> {
        let recursion_limit = match self.config.get("recursion_limit") {
            None | Some(Value::Null) => Invocation::default().recursion_limit,
            Some(limit) => limit
                .as_u64()
                .filter(|limit| *limit > 0)
                .ok_or_else(|| Failure::new("ValueError", "recursion_limit must be at least 1"))?,
        };
        let made_by_this_run = order.checkpoint.as_ref().is_some_and(|tuple| {
            let metadata: Map = tuple.metadata.parse().unwrap_or_default();
            metadata.get("run_id").and_then(Value::as_str) == Some(&order.lease.run_id.to_string())
        });
        let at = order.checkpoint.as_ref().map(|tuple| &tuple.id);
        Ok(Invocation {
            input: self.input()?,
            recursion_limit,
            interrupt_before: names(&self.interrupt_before),
            interrupt_after: names(&self.interrupt_after),
            retry: made_by_this_run,
            fork: at != order.head_id.as_ref(),
            config: self.config.clone(),
            context: self.context.clone(),
        })
    }

    fn input(&self) -> Result<Input, Failure> {
        let Some(command) = self.command.as_ref().filter(|command| !command.is_empty()) else {
            return Ok(match &self.input {
                Value::Null => Input::Continue,
                values => Input::Values(values.clone()),
            });
        };
        let given = |key: &str| command.get(key).filter(|value| !value.is_null());
        let command = Command {
            resume: given("resume").cloned(),
            update: given("update").map(update).transpose()?.unwrap_or_default(),
            goto: given("goto").map(targets).unwrap_or_default(),
        };
        if command.resume.is_none() && command.update.is_empty() && command.goto.is_empty() {
            // What the library means when it is sent nothing but nulls.
            return Err(Failure::new("EmptyInputError", "Received empty Command input"));
        }
        Ok(Input::Command(command))
    }
}

fn names(value: &Value) -> Names {
    match value {
        Value::String(all) if all == "*" => Names::All,
        Value::Array(names) => {
            Names::Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => Names::default(),
    }
}

/// An object, or a list of `[key, value]` pairs.
fn update(value: &Value) -> Result<Map, Failure> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.clone()));
    let pairs = match value {
        Value::Object(map) => Some(map.clone()),
        Value::Array(pairs) => pairs.iter().map(pair).collect(),
        _ => None,
    };
    pairs.ok_or_else(|| Failure::new("InvalidUpdateError", format!("Expected dict, got {value}")))
}

fn targets(value: &Value) -> Vec<Target> {
    match value {
        Value::Array(targets) => targets.iter().flat_map(self::targets).collect(),
        Value::String(node) => vec![Target::Node(node.clone())],
        Value::Object(send) => {
            match (send.get("node").and_then(Value::as_str), send.get("input")) {
                (Some(node), input) => {
                    let input = input.cloned().unwrap_or_default();
                    vec![Target::Send { node: node.into(), input }]
                }
                _ => vec![],
            }
        }
        _ => vec![],
    }
}
