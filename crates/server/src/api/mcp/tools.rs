//! Assistants as tools: names, descriptions, pages.

use std::{collections::HashMap, sync::Arc};

use agent_server_api::Context;
use agent_server_domain::{
    Caller,
    storage::{
        Page, RawJson, SortOrder,
        assistants::{Assistant, Filter, SortBy},
    },
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    super::{assistants, rpc::Outcome},
    Api, Request, schema,
};

/// Tools per page.
const PAGE: usize = 100;
/// Assistants that are read at a time.
const BATCH: u32 = 1000;
/// Longest name of a tool, characters.
const MAX_NAME: usize = 128;
/// Workers that are asked for schemas at a time.
const ASKED: usize = 8;

/// The name under which an assistant is called. One that keeps none of its characters is called by its id.
fn tool_name(assistant: &Assistant) -> String {
    let words = assistant.name.split_whitespace().collect::<Vec<_>>().join("_");
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name: String = words.chars().filter(allowed).take(MAX_NAME).collect();
    if name.is_empty() { assistant.assistant_id.to_string() } else { name }
}

/// Where a page begins. What is no cursor of ours is the beginning.
fn offset(cursor: Option<&Value>) -> usize {
    match cursor {
        Some(Value::String(text)) => text.trim().parse().unwrap_or(0),
        Some(Value::Number(number)) => {
            number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

impl Api {
    /// All assistants that are tools, newest first, with their names. Of several with one name the first is the tool, in
    /// lists as in calls. With the caller who may see them.
    async fn tools(&self, cx: &Context) -> Outcome<(Caller, Vec<(String, Assistant)>)> {
        let (mut tools, mut seen) = (vec![], std::collections::HashSet::new());
        let mut page = Page { limit: BATCH, offset: 0 };
        let caller = assistants::may_search(cx, &Filter::default(), page).await?;
        loop {
            let sort = (SortBy::default(), SortOrder::Desc);
            let found =
                self.domain.search_assistants(&caller, Filter::default(), sort, page).await?;
            for assistant in found.items {
                let name = tool_name(&assistant);
                if seen.insert(name.clone()) {
                    tools.push((name, assistant));
                }
            }
            if !found.more {
                return Ok((caller, tools));
            }
            page.offset += BATCH;
        }
    }

    /// The assistant behind a tool.
    pub(super) async fn tool(&self, cx: &Context, name: &str) -> Outcome<Option<Assistant>> {
        let (_, tools) = self.tools(cx).await?;
        Ok(tools.into_iter().find(|(known, _)| known == name).map(|(_, assistant)| assistant))
    }

    pub(super) async fn list_tools(&self, request: &Request<'_>) -> Outcome<Value> {
        let offset = offset(request.param("cursor").as_ref());
        let (caller, tools) = self.tools(request.cx).await?;
        let caller = &caller;
        let total = tools.len();
        // Assistants of one graph with one config take the same.
        let mut schemas: HashMap<String, Arc<OnceCell<Option<Value>>>> = HashMap::new();
        let page: Vec<_> = tools
            .into_iter()
            .skip(offset)
            .take(PAGE)
            .map(|(name, assistant)| {
                let key = format!("{} {}", assistant.graph_id, json!(assistant.config));
                (name, assistant, Arc::clone(schemas.entry(key).or_default()))
            })
            .collect();
        let end = offset.saturating_add(page.len());
        let tools: Vec<Value> = stream::iter(page)
            .map(|(name, assistant, schema)| async move {
                let id = assistant.assistant_id;
                let of_graph = || async {
                    let schemas = self.domain.assistant_schemas(caller, id).await;
                    schemas.ok().map(|(_, schemas)| input_schema(&schemas))
                };
                // A graph that cannot say what it takes is no tool.
                let schema = schema.get_or_init(of_graph).await.clone()?;
                Some(tool(&name, &assistant, schema))
            })
            .buffered(ASKED)
            .filter_map(|tool| async { tool })
            .collect()
            .await;
        let mut result = json!({ "tools": tools });
        if end < total {
            result["nextCursor"] = json!(end.to_string());
        }
        Ok(result)
    }
}

fn tool(name: &str, assistant: &Assistant, schema: Value) -> Value {
    let title = &assistant.name;
    let given = assistant.description.clone().filter(|text| !text.is_empty());
    let description = given.unwrap_or_else(|| format!("Tool based on the {title} assistant"));
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": false,
            "destructiveHint": false,
            "idempotentHint": false,
            "openWorldHint": true,
        },
    })
}

fn input_schema(schemas: &RawJson) -> Value {
    let schemas: Value = schemas.parse().unwrap_or_default();
    schema::simplified(schemas["input_schema"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        tool_name(&Assistant {
            assistant_id: uuid::Uuid::from_u128(7).into(),
            graph_id: "g".into(),
            config: Default::default(),
            context: Default::default(),
            metadata: Default::default(),
            name: name.into(),
            description: None,
            version: 1,
            created_at: Default::default(),
            updated_at: Default::default(),
        })
    }

    #[test]
    fn names_keep_what_clients_allow() {
        assert_eq!(named("  My  Täst Agent! v1.0 "), "My_Tst_Agent_v1.0");
        assert_eq!(named(&"x".repeat(300)).len(), MAX_NAME);
        assert_eq!(named("日本"), "00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn cursors_are_texts_or_numbers() {
        assert_eq!(offset(Some(&json!("100"))), 100);
        assert_eq!(offset(Some(&json!(100))), 100);
        for other in [json!("x"), json!(-1), json!([1]), json!(1.5)] {
            assert_eq!(offset(Some(&other)), 0, "{other}");
        }
    }
}
