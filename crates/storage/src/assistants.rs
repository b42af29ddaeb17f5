//! Assistants: configured, versioned instances of a graph.

use crate::{AssistantId, Map, Page, Result, Scope, SortOrder, Timestamp};

/// One assistant, showing its active version.
#[derive(Clone, Debug, PartialEq)]
pub struct Assistant {
    /// Key.
    pub assistant_id: AssistantId,
    /// Name of the graph in the configuration.
    pub graph_id: String,
    /// Runnable config.
    pub config: Map,
    /// Static run context.
    pub context: Map,
    /// Metadata, also what a [`Scope`] looks at.
    pub metadata: Map,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Active version, from 1.
    pub version: u32,
    /// When the assistant was made.
    pub created_at: Timestamp,
    /// Last change of any kind.
    pub updated_at: Timestamp,
}

/// What [`Read::search_assistants`] and [`Read::count_assistants`] look for; all given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Containment in the metadata.
    pub metadata: Option<Map>,
    /// Exact graph.
    pub graph_id: Option<String>,
    /// Case-insensitive part of the name.
    pub name: Option<String>,
    /// Only these graphs exist; assistants of others are hidden. `None`: no restriction.
    pub known_graphs: Option<Vec<String>>,
}

/// Column of a sort. Text compares case-insensitively.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The key.
    AssistantId,
    /// Creation, the default.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Display name.
    Name,
    /// Graph.
    GraphId,
}

/// Reads of assistants.
pub trait Read {
    /// One assistant, if it is there and visible.
    fn get_assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>>;

    /// Assistants in order; ties are broken by id in the same direction.
    fn search_assistants(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Assistant>>;

    /// Number of matching assistants.
    fn count_assistants(&self, scope: &Scope, filter: &Filter) -> Result<u64>;

    /// Stored versions of an assistant, newest first, whose metadata contain `metadata`. `created_at` is when the version was
    /// made, and so is `updated_at`.
    fn list_assistant_versions(
        &self,
        id: AssistantId,
        metadata: Option<&Map>,
        page: Page,
    ) -> Result<Vec<Assistant>>;

    /// One stored version, as [`Self::list_assistant_versions`] shows it.
    fn get_assistant_version(&self, id: AssistantId, version: u32) -> Result<Option<Assistant>>;

    /// Highest version ever given to the assistant, 0 if there is none.
    fn latest_assistant_version(&self, id: AssistantId) -> Result<u32>;
}

/// Changes of assistants.
pub trait Write {
    /// Adds an assistant and its first version. `Duplicate` if the id exists, visible or not.
    fn insert_assistant(&self, assistant: &Assistant) -> Result<()>;

    /// Replaces the row and records `assistant.version` as a version (a version that exists is overwritten); whether it
    /// was there and visible.
    fn update_assistant(&self, scope: &Scope, assistant: &Assistant) -> Result<bool>;

    /// Replaces metadata, config and context by the same in another form; records no version and changes nothing else.
    fn rewrite_assistant(&self, assistant: &Assistant) -> Result<()>;

    /// The same, of the version that the row shows.
    fn rewrite_assistant_version(&self, version: &Assistant) -> Result<()>;

    /// Sets `updated_at` and records no version.
    fn touch_assistant(&self, id: AssistantId, now: Timestamp) -> Result<()>;

    /// Removes the assistant and its versions; whether it was there and visible.
    fn delete_assistant(&self, scope: &Scope, id: AssistantId) -> Result<bool>;
}
