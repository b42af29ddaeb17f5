//! The assistants that every graph of the configuration has.
//!
//! Source: reference/assistants-crons-store-system.md, 1.2.

use agent_server_storage::{AssistantId, Map, Scope, Timestamp, assistants::Assistant};
use serde_json::json;
use uuid::{Uuid, uuid};

use crate::{
    Domain, Result,
    ports::{GraphInfo, GraphStatus},
};

/// Namespace of the ids of default assistants. Not one of RFC 4122's, and shared by every server of this API.
const DEFAULT_ASSISTANTS: Uuid = uuid!("6ba7b821-9dad-11d1-80b4-00c04fd430c8");

/// The id of a graph's default assistant.
pub fn default_assistant_id(graph_id: &str) -> AssistantId {
    Uuid::new_v5(&DEFAULT_ASSISTANTS, graph_id.as_bytes()).into()
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
                    // Until the graph is loaded its name is not known: leave what an earlier start found. A change of both name
                    // and description is one change.
                    if graph.status == GraphStatus::Loading {
                        continue;
                    }
                    let renamed = graph.status == GraphStatus::Ready && known.name != name;
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
}

fn default_assistant(
    graph: &GraphInfo,
    assistant_id: AssistantId,
    name: String,
    now: Timestamp,
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
