//! Assistants: create, get and patch.
//!
//! Beside them `defaults` makes those of the configuration, `versions` lists and restores, `search` finds and counts, `delete`
//! deletes with what hangs on it, `introspect` describes and draws their graphs.
//!
//! Source: reference/assistants-crons-store-system.md, section 1.

mod defaults;
mod delete;
mod introspect;
mod search;
mod versions;

use agent_server_storage::{AssistantId, Cost, Map, Scope, assistants::Assistant};
use serde_json::Value;

use crate::{Caller, Domain, Error, Result, ports::GraphInfo};

pub use defaults::default_assistant_id;
pub(crate) use introspect::Introspections;

const BOTH_GIVEN: &str = "Cannot specify both configurable and context. Prefer setting context alone. Context was \
                          introduced in LangGraph 0.6.0 and is the long term planned replacement for configurable.";

/// Body of a create.
#[derive(Clone, Debug, Default)]
pub struct NewAssistant {
    /// Chosen by the caller, else random.
    pub assistant_id: Option<AssistantId>,
    /// Graph; must be configured.
    pub graph_id: String,
    /// Config.
    pub config: Map,
    /// Context.
    pub context: Map,
    /// Metadata.
    pub metadata: Map,
    /// Name; absent or empty becomes `Untitled`.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Whether an existing assistant is returned instead of refused.
    pub do_nothing: bool,
}

/// Body of a patch; `None` is "not sent".
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// New graph.
    pub graph_id: Option<String>,
    /// New config; `{}` counts as not sent.
    pub config: Option<Map>,
    /// New context.
    pub context: Option<Map>,
    /// Merged shallowly.
    pub metadata: Option<Map>,
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
}

/// Whether the server made the assistant for a graph, as far as its metadata tell.
pub(crate) fn is_system(assistant: &Assistant) -> bool {
    assistant.metadata.get("created_by").and_then(Value::as_str) == Some("system")
}

/// Refuses a configurable together with a context.
pub(crate) fn refuse_both(configurable: Option<&Map>, context: Option<&Map>) -> Result<()> {
    let given = |map: Option<&Map>| map.is_some_and(|map| !map.is_empty());
    if given(configurable) && given(context) {
        return Err(Error::Refused(BOTH_GIVEN.into()));
    }
    Ok(())
}

/// `config.configurable`, if it is an object.
pub(crate) fn configurable(config: &Map) -> Option<&Map> {
    config.get("configurable").and_then(Value::as_object)
}

/// Lays `over` on `under`, key by key, not deeper.
pub(crate) fn merged(mut under: Map, over: &Map) -> Map {
    for (key, value) in over {
        under.insert(key.clone(), value.clone());
    }
    under
}

/// Derives config and context from each other once, so that they cannot be out of step (deliberate difference: upstream
/// loses or keeps stale halves in some combinations).
fn mirror(config: &mut Map, context: &mut Map, context_given: bool) {
    match configurable(config) {
        Some(given) if !given.is_empty() && !context_given => *context = given.clone(),
        _ if context_given && !context.is_empty() => {
            config.insert("configurable".into(), Value::Object(context.clone()));
        }
        _ => {}
    }
}

fn not_there(id: AssistantId) -> Error {
    Error::NotFound(format!("Assistant {id} not found"))
}

impl Domain {
    /// The configured graph, or the wire's 404 that lists those there are.
    fn known_graph(&self, graph_id: &str) -> Result<GraphInfo> {
        self.graph(graph_id).ok_or_else(|| {
            let mut names: Vec<String> =
                self.graphs().iter().map(|graph| format!("'{}'", graph.graph_id)).collect();
            names.sort();
            Error::NotFound(format!(
                "Graph '{graph_id}' not found. Expected one of: [{}]",
                names.join(", ")
            ))
        })
    }

    /// An id for an assistant, for who has to name it before it is created.
    pub fn new_assistant_id(&self) -> AssistantId {
        self.0.ids.random().into()
    }

    /// Creates an assistant.
    ///
    /// # Errors
    /// `NotFound` for an unknown graph, `Conflict` for an id that exists, `Refused` for configurable with context.
    pub async fn create_assistant(&self, caller: &Caller, new: NewAssistant) -> Result<Assistant> {
        self.known_graph(&new.graph_id)?;
        refuse_both(configurable(&new.config), Some(&new.context))?;
        let (mut config, mut context) = (new.config, new.context);
        let context_given = !context.is_empty();
        mirror(&mut config, &mut context, context_given);
        let now = self.now();
        let assistant = Assistant {
            assistant_id: new.assistant_id.unwrap_or_else(|| self.new_assistant_id()),
            graph_id: new.graph_id,
            config,
            context,
            metadata: new.metadata,
            name: new.name.filter(|name| !name.is_empty()).unwrap_or_else(|| "Untitled".into()),
            description: new.description,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let scope = caller.assistants.clone();
        self.storage()
            .write(move |tx| {
                let id = assistant.assistant_id;
                if new.do_nothing
                    && let Some(existing) = tx.get_assistant(&scope, id)?
                {
                    return Ok(existing);
                }
                match tx.insert_assistant(&assistant) {
                    Err(agent_server_storage::Error::Duplicate(_)) => {
                        Err(Error::Conflict(format!("Assistant {id} already exists")))
                    }
                    other => Ok(other.map(|()| assistant)?),
                }
            })
            .await
    }

    /// Whether an assistant is one that the server made for a graph: everybody may run those.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn is_system_assistant(&self, id: AssistantId) -> Result<bool> {
        if !self.is_default(id) {
            return Ok(false);
        }
        let found = self.storage().read(Cost::Point, move |tx| {
            tx.get_assistant(&Scope::server(), id).map_err(Error::from)
        });
        Ok(found.await?.is_some_and(|assistant| is_system(&assistant)))
    }

    /// Whether the id is that of a configured graph's default assistant.
    pub(crate) fn is_default(&self, id: AssistantId) -> bool {
        self.graphs().iter().any(|graph| default_assistant_id(&graph.graph_id) == id)
    }

    /// One assistant.
    ///
    /// # Errors
    /// `NotFound`, also when its graph is no longer configured.
    pub async fn get_assistant(&self, caller: &Caller, id: AssistantId) -> Result<Assistant> {
        let scope = caller.assistants.clone();
        let assistant = self
            .storage()
            .read(Cost::Point, move |tx| tx.get_assistant(&scope, id).map_err(Error::from))
            .await?
            .ok_or_else(|| Error::NotFound("Not Found".into()))?;
        if self.graph(&assistant.graph_id).is_none() {
            return Err(Error::NotFound(format!("assistant {id} not found")));
        }
        Ok(assistant)
    }

    /// Changes an assistant; every call makes a new version.
    ///
    /// # Errors
    /// `NotFound` for assistant or graph, `Refused` for configurable with context.
    pub async fn patch_assistant(
        &self,
        caller: &Caller,
        id: AssistantId,
        patch: Patch,
    ) -> Result<Assistant> {
        if let Some(graph_id) = &patch.graph_id {
            self.known_graph(graph_id)?;
        }
        refuse_both(patch.config.as_ref().and_then(configurable), patch.context.as_ref())?;
        let (scope, now) = (caller.assistants.clone(), self.now());
        self.storage()
            .write(move |tx| {
                let mut assistant = tx.get_assistant(&scope, id)?.ok_or_else(|| not_there(id))?;
                if let Some(config) = patch.config.filter(|config| !config.is_empty()) {
                    assistant.config = config;
                }
                let context_given = patch.context.is_some();
                if let Some(context) = patch.context {
                    assistant.context = context;
                }
                mirror(&mut assistant.config, &mut assistant.context, context_given);
                if let Some(metadata) = patch.metadata {
                    assistant.metadata = merged(assistant.metadata, &metadata);
                }
                if let Some(graph_id) = patch.graph_id {
                    assistant.graph_id = graph_id;
                }
                if let Some(name) = patch.name {
                    assistant.name = name;
                }
                if patch.description.is_some() {
                    assistant.description = patch.description;
                }
                assistant.version = tx.latest_assistant_version(id)? + 1;
                assistant.updated_at = now;
                tx.update_assistant(&scope, &assistant)?;
                Ok(assistant)
            })
            .await
    }
}
