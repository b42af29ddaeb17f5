//! What graphs say about themselves: schemas, drawings, nested graphs.
//!
//! A graph that is always the same is asked once; code that changes means a new process of the server. Graphs that a factory
//! makes may differ from call to call and are asked each time.
//!
//! Source: reference/assistants-crons-store-system.md, 1.9 to 1.11.

use std::collections::{BTreeMap, HashMap};

use agent_server_storage::{AssistantId, RawJson, assistants::Assistant};
use parking_lot::Mutex;
use serde_json::Value;
use uuid::Uuid;

use super::{configurable, default_assistant_id};
use crate::{
    Caller, Domain, Error, Result,
    ports::{Question, Xray},
};

/// Most answers that are kept: the depths of drawings are up to clients.
const MOST: usize = 1024;

/// What was asked about a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Schemas,
    Drawing(Xray),
    Subgraphs { recurse: bool },
}

/// Answers that hold as long as the graphs are the same.
#[derive(Default)]
pub(crate) struct Introspections(Mutex<HashMap<(String, Asked), RawJson>>);

impl Introspections {
    fn find(&self, graph_id: &str, asked: Asked) -> Option<RawJson> {
        self.0.lock().get(&(graph_id.to_owned(), asked)).cloned()
    }

    fn keep(&self, graph_id: &str, asked: Asked, answer: &RawJson) {
        let mut known = self.0.lock();
        if known.len() < MOST {
            known.insert((graph_id.to_owned(), asked), answer.clone());
        }
    }

    /// Forgets everything: the graphs are others now.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Domain {
    /// JSON schemas of the assistant's graph: graph id and the object that [`Question::Schemas`] describes.
    ///
    /// # Errors
    /// `NotFound`, or what the host says.
    pub async fn assistant_schemas(
        &self,
        caller: &Caller,
        id: AssistantId,
    ) -> Result<(String, RawJson)> {
        let assistant = self.get_assistant(caller, id).await?;
        let answer = self.introspect(caller, &assistant, Asked::Schemas).await?;
        Ok((assistant.graph_id, answer))
    }

    /// The graphs nested in an assistant's graph: namespace and schemas. With a namespace only that one, if it is there; those
    /// below the first level are there with `recurse`.
    ///
    /// # Errors
    /// `NotFound`, or what the host says.
    pub async fn assistant_subgraphs(
        &self,
        caller: &Caller,
        id: AssistantId,
        namespace: Option<&str>,
        recurse: bool,
    ) -> Result<BTreeMap<String, RawJson>> {
        let assistant = self.get_assistant(caller, id).await?;
        let answer = self.introspect(caller, &assistant, Asked::Subgraphs { recurse }).await?;
        let mut all: BTreeMap<String, RawJson> = answer.parse().map_err(|error| {
            Error::Internal(format!("a worker answered odd subgraphs: {error}"))
        })?;
        if let Some(namespace) = namespace {
            all.retain(|name, _| name == namespace);
        }
        Ok(all)
    }

    /// The assistant whose graph is to be drawn; `text` may be a graph id.
    ///
    /// # Errors
    /// `Invalid` for text that is neither.
    pub fn drawn_assistant(&self, text: &str) -> Result<AssistantId> {
        if self.graph(text).is_some() {
            return Ok(default_assistant_id(text));
        }
        Uuid::try_parse(text)
            .map(Into::into)
            .map_err(|_| Error::Invalid("Invalid assistant ID: must be a UUID".into()))
    }

    /// The drawable graph of an assistant.
    ///
    /// # Errors
    /// `NotFound`, or what the host says.
    pub async fn assistant_drawing(
        &self,
        caller: &Caller,
        id: AssistantId,
        xray: Xray,
    ) -> Result<RawJson> {
        let assistant = self.get_assistant(caller, id).await?;
        self.introspect(caller, &assistant, Asked::Drawing(xray)).await
    }

    /// The answer of the assistant's graph, known or asked for.
    async fn introspect(
        &self,
        caller: &Caller,
        assistant: &Assistant,
        asked: Asked,
    ) -> Result<RawJson> {
        let graph_id = &assistant.graph_id;
        self.ready_graph(graph_id)?;
        if let Some(known) = self.0.introspections.find(graph_id, asked) {
            return Ok(known);
        }
        let config = config_for(caller, assistant);
        let question = match asked {
            Asked::Schemas => Question::Schemas { config },
            Asked::Drawing(xray) => Question::Drawing { config, xray },
            Asked::Subgraphs { recurse } => Question::Subgraphs { config, recurse },
        };
        let answer = self.host().ask(graph_id, question).await?;
        if answer.lasting {
            self.0.introspections.keep(graph_id, asked, &answer.json);
        }
        Ok(answer.json)
    }
}

/// The assistant's config with the user in it, for a factory that makes graphs for its users.
fn config_for(caller: &Caller, assistant: &Assistant) -> RawJson {
    let mut config = assistant.config.clone();
    if caller.user.is_some() {
        let mut configurable = configurable(&config).cloned().unwrap_or_default();
        caller.show_user(&mut configurable);
        config.insert("configurable".into(), Value::Object(configurable));
    }
    RawJson::of(&config)
}
