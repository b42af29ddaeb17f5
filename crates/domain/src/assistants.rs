//! Assistants: create, get, patch, delete, search, count; schemas and drawings of their graphs.
//!
//! Source: reference/assistants-crons-store-system.md, section 1.

use agent_server_storage::{
    AssistantId, Cost, Map, Page, RawJson, Scope, SortOrder,
    assistants::{Assistant, Filter, SortBy},
    threads,
};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::{
    Caller, Domain, Error, Found, Result,
    ports::{GraphInfo, Question, Xray},
};

/// Namespace of the ids of default assistants. Not one of RFC 4122's, and shared by every server of this API.
const DEFAULT_ASSISTANTS: Uuid = uuid!("6ba7b821-9dad-11d1-80b4-00c04fd430c8");

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

/// The id of a graph's default assistant.
pub fn default_assistant_id(graph_id: &str) -> AssistantId {
    Uuid::new_v5(&DEFAULT_ASSISTANTS, graph_id.as_bytes()).into()
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
    /// Makes the default assistant of every graph, and follows names and descriptions of the configuration.
    pub(crate) async fn register_graphs(&self) -> Result<()> {
        let now = self.now();
        let graphs = self.graphs();
        self.storage()
            .write(move |tx| {
                for graph in graphs.iter() {
                    let id = default_assistant_id(&graph.graph_id);
                    let name = graph.name.clone().unwrap_or_else(|| graph.graph_id.clone());
                    let Some(mut known) = tx.get_assistant(&Scope::server(), id)? else {
                        tx.insert_assistant(&default_assistant(graph, id, name, now))?;
                        continue;
                    };
                    // Until a worker has loaded the graph its name is not known: leave what an earlier start found.
                    let renamed = graph.name.is_some() && known.name != name;
                    if !renamed && known.description == graph.description {
                        continue;
                    }
                    // The first naming of a new assistant is part of making it, not a change of it.
                    let fresh = known.version == 1 && known.name == known.graph_id;
                    if !fresh {
                        known.version = tx.latest_assistant_version(id)? + 1;
                    }
                    if renamed {
                        known.name = name;
                    }
                    known.description.clone_from(&graph.description);
                    known.updated_at = now;
                    tx.update_assistant(&Scope::server(), &known)?;
                }
                Ok(())
            })
            .await
    }

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

    /// Deletes an assistant with its versions; its runs in flight are cancelled first. With `delete_threads` also
    /// every thread that the assistant was last used on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_assistant(
        &self,
        caller: &Caller,
        id: AssistantId,
        delete_threads: bool,
    ) -> Result<()> {
        let (scope, thread_scope) = (caller.assistants.clone(), caller.threads.clone());
        let (inflight, threads) = self
            .storage()
            .read(Cost::Scan, move |tx| {
                if tx.get_assistant(&scope, id)?.is_none() {
                    return Err(Error::NotFound(format!("Assistant with ID {id} not found")));
                }
                let threads = match delete_threads {
                    true => threads_of(tx, &thread_scope, id)?,
                    false => vec![],
                };
                // Runs of others, on threads of theirs, are none of the caller's business.
                let mut inflight = vec![];
                for run in tx.inflight_runs_of_assistant(id)? {
                    inflight.extend(tx.get_run(&thread_scope, run.thread_id, run.run_id)?);
                }
                Ok((inflight, threads))
            })
            .await?;
        for run in inflight {
            self.interrupt(&run, "interrupt requested via DELETE /assistants/{assistant_id}")
                .await?;
        }
        for thread in threads {
            self.delete_thread(caller, thread).await?;
        }
        let scope = caller.assistants.clone();
        self.storage()
            .write(move |tx| tx.delete_assistant(&scope, id).map_err(Error::from))
            .await?;
        Ok(())
    }

    /// Searches assistants of configured graphs.
    ///
    /// # Errors
    /// `NotFound` for a filter on an unknown graph.
    pub async fn search_assistants(
        &self,
        caller: &Caller,
        filter: Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Found<Assistant>> {
        let filter = self.of_known_graphs(filter)?;
        let scope = caller.assistants.clone();
        let wanted = Page { limit: page.limit + 1, ..page };
        let items = self
            .storage()
            .read(Cost::Scan, move |tx| {
                tx.search_assistants(&scope, &filter, sort, wanted).map_err(Error::from)
            })
            .await?;
        Ok(Found::from_lookahead(items, page.limit))
    }

    /// Counts assistants of configured graphs.
    ///
    /// # Errors
    /// As [`Domain::search_assistants`].
    pub async fn count_assistants(&self, caller: &Caller, filter: Filter) -> Result<u64> {
        let filter = self.of_known_graphs(filter)?;
        let scope = caller.assistants.clone();
        self.storage()
            .read(Cost::Scan, move |tx| tx.count_assistants(&scope, &filter).map_err(Error::from))
            .await
    }

    fn of_known_graphs(&self, mut filter: Filter) -> Result<Filter> {
        if let Some(graph_id) = &filter.graph_id {
            self.known_graph(graph_id)?;
        }
        filter.known_graphs =
            Some(self.graphs().iter().map(|graph| graph.graph_id.clone()).collect());
        Ok(filter)
    }

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
        self.ready_graph(&assistant.graph_id)?;
        let question = Question::Schemas { config: config_for(caller, &assistant) };
        let answer = self.host().ask(&assistant.graph_id, question).await?;
        Ok((assistant.graph_id, answer.json))
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
        self.ready_graph(&assistant.graph_id)?;
        let question = Question::Drawing { config: config_for(caller, &assistant), xray };
        Ok(self.host().ask(&assistant.graph_id, question).await?.json)
    }
}

/// The assistant's config with the user in it.
fn config_for(caller: &Caller, assistant: &Assistant) -> RawJson {
    let mut config = assistant.config.clone();
    if caller.user.is_some() {
        let mut configurable = configurable(&config).cloned().unwrap_or_default();
        caller.show_user(&mut configurable);
        config.insert("configurable".into(), Value::Object(configurable));
    }
    RawJson::of(&config)
}

fn default_assistant(
    graph: &GraphInfo,
    assistant_id: AssistantId,
    name: String,
    now: agent_server_storage::Timestamp,
) -> Assistant {
    let mut metadata = Map::new();
    metadata.insert("created_by".into(), json!("system"));
    Assistant {
        assistant_id,
        graph_id: graph.graph_id.clone(),
        config: Map::new(),
        context: Map::new(),
        metadata,
        name,
        description: graph.description.clone(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn threads_of(
    tx: &dyn agent_server_storage::ReadTx,
    scope: &Scope,
    id: AssistantId,
) -> Result<Vec<agent_server_storage::ThreadId>> {
    let mut metadata = Map::new();
    metadata.insert("assistant_id".into(), json!(id.to_string()));
    let filter = threads::Filter { metadata: Some(metadata), ..Default::default() };
    let all = Page { limit: u32::MAX, offset: 0 };
    let threads =
        tx.search_threads(scope, &filter, Default::default(), all, threads::Columns::Header)?;
    Ok(threads.into_iter().map(|thread| thread.thread_id).collect())
}

#[cfg(test)]
mod tests {
    use super::default_assistant_id;

    #[test]
    fn default_assistants_have_the_ids_that_every_server_gives_them() {
        for (graph, id) in [
            ("compiled", "df325086-6933-5800-b18b-c2e97669bcee"),
            ("builder", "c86dc0c9-b354-5301-863a-6ea4b028c069"),
            ("func", "9f75b0e3-74d3-5735-954a-eebdfe409d8d"),
            ("g", "58115337-bb06-5d3b-8f97-3b6b7b8db508"),
        ] {
            assert_eq!(default_assistant_id(graph).to_string(), id, "{graph}");
        }
    }
}
