//! What one connection has subscribed to and seen.
//!
//! Source: reference/event-streaming-v2.md, sections 6.6 and 6.7.

use std::collections::{BTreeMap, HashMap};

use agent_server_domain::Domain;
use serde_json::{Value, json};

use super::{
    command::{
        Failure, INVALID_ARGUMENT, NO_SUCH_INTERRUPT, NO_SUCH_RUN, NO_SUCH_SUBSCRIPTION, Outcome,
        Params,
    },
    event::{Namespace, ProtocolEvent},
    filter::{Filter, NoChannels},
    start::Response,
};

/// State of a connection.
#[derive(Default)]
pub(super) struct Session {
    subscriptions: HashMap<String, Filter>,
    /// Status and name of each graph of the newest run.
    graphs: BTreeMap<Namespace, (String, String)>,
    /// Where the questions that were asked come from.
    asked: HashMap<String, Namespace>,
    /// The place of the newest event that was sent.
    pub(super) delivered: u64,
}

impl Session {
    /// Takes note of an event; says whether it is to be sent.
    pub(super) fn see(&mut self, event: &ProtocolEvent) -> bool {
        if let Some((status, graph_name)) = event.lifecycle() {
            if event.namespace.is_empty() && status == "running" {
                self.graphs.clear();
            }
            self.graphs.insert(event.namespace.clone(), (status, graph_name));
        }
        if let Some(id) = event.interrupt_id() {
            self.asked.insert(id, event.namespace.clone());
        }
        let is_wanted = self.subscriptions.values().any(|filter| filter.passes(event));
        if is_wanted {
            self.delivered = event.seq;
        }
        is_wanted
    }

    /// Whether a run was seen.
    pub(super) fn has_run(&self) -> bool {
        !self.graphs.is_empty()
    }

    /// Adds a subscription, or replaces the one with this id.
    pub(super) fn subscribe(&mut self, id: String, filter: Filter) {
        self.subscriptions.insert(id, filter);
    }

    pub(super) fn unsubscribe(&mut self, params: &Params) -> Outcome {
        let id = subscription_id(params)?;
        self.subscriptions.remove(&id).ok_or_else(|| unknown_subscription(&id))?;
        Ok(json!({}))
    }

    /// The graphs of the newest run, each below the one that it is part of.
    pub(super) fn tree(&self) -> Outcome {
        match self.has_run() {
            true => Ok(json!({"tree": self.tree_at(&Namespace::new())})),
            false => Err(no_run()),
        }
    }

    fn tree_at(&self, namespace: &Namespace) -> Value {
        let mut node = json!({"namespace": namespace});
        if let Some((status, graph_name)) = self.graphs.get(namespace) {
            node["status"] = json!(status);
            node["graph_name"] = json!(graph_name);
        }
        // A graph whose parent is no graph of its own stands below the nearest that is.
        let is_child = |other: &&Namespace| {
            other.len() > namespace.len()
                && other.starts_with(namespace)
                && !(namespace.len() + 1..other.len())
                    .any(|len| self.graphs.contains_key(&other[..len]))
        };
        let children: Vec<_> =
            self.graphs.keys().filter(is_child).map(|child| self.tree_at(child)).collect();
        if !children.is_empty() {
            node["children"] = Value::Array(children);
        }
        node
    }

    /// Refuses answers to questions that come from somewhere else.
    pub(super) fn check_namespaces(&self, responses: &[Response]) -> Result<(), Failure> {
        let differs = |response: &Response| {
            self.asked.get(&response.interrupt_id).is_some_and(|known| *known != response.namespace)
        };
        match responses.iter().any(differs) {
            true => Err(Failure::new(
                NO_SUCH_INTERRUPT,
                "Interrupt namespace does not match the pending interrupt.",
            )),
            false => Ok(()),
        }
    }
}

/// Reads what is subscribed to.
pub(super) fn filter(method: &str, params: &Params) -> Result<Filter, Failure> {
    let filter = Filter::read(&params.to_value()).map_err(|why| match why {
        NoChannels::Missing => {
            Failure::argument(format!("{method} requires a non-empty channels array."))
        }
        NoChannels::Unknown(_) => {
            Failure::argument(format!("{method} received an unsupported channel."))
        }
    })?;
    // Where a subscription begins is the business of a reconnect alone.
    Ok(filter.behind(0))
}

/// Reads where a reconnect goes on.
pub(super) fn since(params: &Params) -> Result<u64, Failure> {
    params.value("since").as_u64().ok_or_else(|| {
        Failure::argument("subscription.reconnect requires a non-negative integer since.")
    })
}

/// The commands of a connection, over HTTP: there is nothing to subscribe to, and nothing was seen.
pub(super) fn without_connection(domain: &Domain, method: &str, params: &Params) -> Outcome {
    match method {
        "subscription.subscribe" => {
            filter(method, params)?;
            let id = domain.ids().random().to_string();
            Ok(json!({"subscription_id": id, "replayed_events": 0}))
        }
        "subscription.unsubscribe" => Session::default().unsubscribe(params),
        "subscription.reconnect" | "agent.getTree" => Err(no_run()),
        _ => Err(Failure::unknown(method)),
    }
}

/// No run was seen.
pub(super) fn no_run() -> Failure {
    Failure::new(NO_SUCH_RUN, "No run is bound to this connection.")
}

fn subscription_id(params: &Params) -> Result<String, Failure> {
    let id = params.value("subscription_id").as_str().map(str::to_owned);
    let text = "subscription.unsubscribe requires a subscription_id.";
    id.ok_or_else(|| Failure::new(INVALID_ARGUMENT, text))
}

fn unknown_subscription(id: &str) -> Failure {
    Failure::new(NO_SUCH_SUBSCRIPTION, format!("Unknown subscription: {id}"))
}
