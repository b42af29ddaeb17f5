//! Tag Assistants.

use agent_server_api::{types, *};
use agent_server_domain::{
    Caller,
    assistants::{NewAssistant, Patch},
    auth::Event,
    ports::Xray,
    storage::{
        AssistantId, Page,
        assistants::{Assistant, Filter, SortBy},
    },
};
use serde_json::json;

use super::{Access, Api, Result, allowed, body_id, context, page, pagination};
use crate::{convert, error::invalid, not_implemented};

impl Assistants for Api {
    async fn create_assistant(
        &self,
        cx: Context,
        body: Body<types::AssistantCreate>,
    ) -> Result<CreateAssistantResponse> {
        let body = body.value;
        let id = body.assistant_id.as_deref().map(|id| body_id(id, "assistant")).transpose()?;
        let id = id.map_or_else(|| self.domain.new_assistant_id(), Into::into);
        let mut new = NewAssistant {
            assistant_id: Some(id),
            graph_id: body.graph_id,
            config: body.config.unwrap_or_default(),
            context: context(body.context)?.unwrap_or_default(),
            metadata: body.metadata.unwrap_or_default(),
            name: body.name,
            description: body.description,
            do_nothing: body.if_exists == Some(types::IfExists::DoNothing),
        };
        let mut access = Access::of(&cx);
        let value = || {
            json!({
                "assistant_id": id, "graph_id": new.graph_id, "config": new.config,
                "context": new.context, "metadata": new.metadata, "name": new.name,
            })
        };
        let mut changed = access.ask(Event::ASSISTANTS_CREATE, value).await?;
        new.config = changed.member("config", new.config)?;
        new.context = changed.member("context", new.context)?;
        new.metadata = changed.member("metadata", new.metadata)?;
        new.name = changed.member("name", new.name)?;
        let assistant = self.domain.create_assistant(&access.into_caller(), new).await?;
        Ok(CreateAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn get_assistant(
        &self,
        cx: Context,
        path: GetAssistantPath,
    ) -> Result<GetAssistantResponse> {
        let id = path.assistant_id.into();
        let caller = may_read(&cx, id).await?;
        let assistant = self.domain.get_assistant(&caller, id).await?;
        Ok(GetAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn patch_assistant(
        &self,
        cx: Context,
        path: PatchAssistantPath,
        body: Body<types::AssistantPatch>,
    ) -> Result<PatchAssistantResponse> {
        let body = body.value;
        let mut patch = Patch {
            graph_id: body.graph_id,
            config: body.config,
            context: context(body.context)?,
            metadata: body.metadata,
            name: body.name,
            description: body.description,
        };
        let id: AssistantId = path.assistant_id.into();
        let mut access = Access::of(&cx);
        let value = || {
            json!({
                "assistant_id": id, "graph_id": patch.graph_id, "config": patch.config,
                "context": patch.context, "metadata": patch.metadata, "name": patch.name,
            })
        };
        let mut changed = access.ask(Event::ASSISTANTS_UPDATE, value).await?;
        patch.config = changed.member("config", patch.config)?;
        patch.context = changed.member("context", patch.context)?;
        patch.metadata = changed.member("metadata", patch.metadata)?;
        patch.name = changed.member("name", patch.name)?;
        let assistant = self.domain.patch_assistant(&access.into_caller(), id, patch).await?;
        Ok(PatchAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn delete_assistant(
        &self,
        cx: Context,
        path: DeleteAssistantPath,
        query: DeleteAssistantQuery,
    ) -> Result<DeleteAssistantResponse> {
        let delete_threads = query.delete_threads.unwrap_or(false);
        let id: AssistantId = path.assistant_id.into();
        let mut access = Access::of(&cx);
        access.ask(Event::ASSISTANTS_DELETE, || json!({"assistant_id": id})).await?;
        // Its runs in flight are stopped, and with `delete_threads` threads go away.
        let stopped = || {
            let metadata = json!({"run_ids": null, "status": null});
            json!({"thread_id": null, "action": "interrupt", "metadata": metadata})
        };
        access.ask(Event::THREADS_UPDATE, stopped).await?;
        if delete_threads {
            access.ask(Event::THREADS_DELETE, || json!({"thread_id": null})).await?;
        }
        self.domain.delete_assistant(&access.into_caller(), id, delete_threads).await?;
        Ok(DeleteAssistantResponse::NoContent)
    }

    async fn search_assistants(
        &self,
        cx: Context,
        body: Body<types::AssistantSearchRequest>,
    ) -> Result<SearchAssistantsResponse> {
        let body = body.value;
        let filter = Filter {
            metadata: body.metadata,
            graph_id: body.graph_id,
            name: body.name,
            known_graphs: None,
        };
        let sort_by = match body.sort_by {
            None | Some(types::AssistantSortBy::CreatedAt) => SortBy::CreatedAt,
            Some(types::AssistantSortBy::AssistantId) => SortBy::AssistantId,
            Some(types::AssistantSortBy::UpdatedAt) => SortBy::UpdatedAt,
            Some(types::AssistantSortBy::Name) => SortBy::Name,
            Some(types::AssistantSortBy::GraphId) => SortBy::GraphId,
        };
        let sort = (sort_by, convert::sort_order(body.sort_order));
        let page = page(body.limit, body.offset);
        let select = body.select.unwrap_or_default();
        let caller = may_search(&cx, &filter, page).await?;
        let found = self.domain.search_assistants(&caller, filter, sort, page).await?;
        let assistants: Vec<_> =
            found.items.iter().map(|assistant| assistant_partial(assistant, &select)).collect();
        let mut reply = Reply::new(&assistants);
        for (name, value) in pagination(page, assistants.len(), found.more) {
            reply = reply.with_header(name, value);
        }
        Ok(SearchAssistantsResponse::Ok(reply))
    }

    async fn count_assistants(
        &self,
        cx: Context,
        body: Body<types::AssistantCountRequest>,
    ) -> Result<CountAssistantsResponse> {
        let body = body.value;
        let filter = Filter {
            metadata: body.metadata,
            graph_id: body.graph_id,
            name: body.name,
            known_graphs: None,
        };
        let caller = may_search(&cx, &filter, Page { limit: 0, offset: 0 }).await?;
        let count = self.domain.count_assistants(&caller, filter).await?;
        Ok(CountAssistantsResponse::Ok(Reply::new(&types::CountResponse(
            i64::try_from(count).unwrap_or(i64::MAX),
        ))))
    }

    async fn get_assistant_graph(
        &self,
        cx: Context,
        path: GetAssistantGraphPath,
        query: GetAssistantGraphQuery,
    ) -> Result<GetAssistantGraphResponse> {
        let xray = xray(query.xray.as_deref())?;
        let id = self.domain.drawn_assistant(&path.assistant_id)?;
        let caller = may_read(&cx, id).await?;
        let drawing = self.domain.assistant_drawing(&caller, id, xray).await?;
        Ok(GetAssistantGraphResponse::Ok(Reply::rendered(drawing.get().to_owned())))
    }

    async fn get_assistant_schemas(
        &self,
        cx: Context,
        path: GetAssistantSchemasPath,
    ) -> Result<GetAssistantSchemasResponse> {
        let id = path.assistant_id.into();
        let caller = may_read(&cx, id).await?;
        let (graph_id, schemas) = self.domain.assistant_schemas(&caller, id).await?;
        #[derive(serde::Deserialize)]
        struct Schemas {
            input_schema: agent_server_client::wire::RawJson,
            output_schema: agent_server_client::wire::RawJson,
            state_schema: agent_server_client::wire::RawJson,
            config_schema: agent_server_client::wire::RawJson,
            context_schema: agent_server_client::wire::RawJson,
        }
        let schemas: Schemas = schemas.parse().map_err(|error| {
            agent_server_domain::Error::Internal(format!("a worker answered odd schemas: {error}"))
        })?;
        let answer = types::GraphSchema {
            graph_id,
            input_schema: schemas.input_schema,
            output_schema: schemas.output_schema,
            state_schema: schemas.state_schema,
            config_schema: schemas.config_schema,
            context_schema: schemas.context_schema,
        };
        Ok(GetAssistantSchemasResponse::Ok(answer.into()))
    }

    async fn get_assistant_subgraphs(
        &self,
        cx: Context,
        _path: GetAssistantSubgraphsPath,
        _query: GetAssistantSubgraphsQuery,
    ) -> Result<GetAssistantSubgraphsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn get_assistant_subgraphs_by_namespace(
        &self,
        cx: Context,
        _path: GetAssistantSubgraphsByNamespacePath,
        _query: GetAssistantSubgraphsByNamespaceQuery,
    ) -> Result<GetAssistantSubgraphsByNamespaceResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn get_assistant_versions(
        &self,
        cx: Context,
        _path: GetAssistantVersionsPath,
        _body: Body<types::AssistantVersionsSearchRequest>,
    ) -> Result<GetAssistantVersionsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn set_latest_assistant_version(
        &self,
        cx: Context,
        _path: SetLatestAssistantVersionPath,
        _body: Body<types::AssistantVersionChange>,
    ) -> Result<SetLatestAssistantVersionResponse> {
        Err(not_implemented::operation(&cx))
    }
}

async fn may_read(cx: &Context, id: AssistantId) -> Result<Caller> {
    allowed(cx, Event::ASSISTANTS_READ, || json!({"assistant_id": id})).await
}

async fn may_search(cx: &Context, filter: &Filter, page: Page) -> Result<Caller> {
    let value = || {
        json!({
            "graph_id": filter.graph_id, "metadata": filter.metadata,
            "limit": page.limit, "offset": page.offset,
        })
    };
    allowed(cx, Event::ASSISTANTS_SEARCH, value).await
}

/// `true`, `false` or a positive depth; absent or empty is `false`.
fn xray(text: Option<&str>) -> Result<Xray> {
    match text {
        None | Some("" | "false" | "False") => Ok(Xray::All(false)),
        Some("true" | "True") => Ok(Xray::All(true)),
        Some(depth) => match depth.parse() {
            Ok(depth) if depth > 0 => Ok(Xray::Depth(depth)),
            _ => Err(invalid("Invalid xray value")),
        },
    }
}

/// An assistant on the wire.
fn assistant_of(assistant: &Assistant) -> types::Assistant {
    types::Assistant {
        assistant_id: assistant.assistant_id.0,
        graph_id: assistant.graph_id.clone(),
        config: assistant.config.clone(),
        context: assistant.context.clone(),
        metadata: assistant.metadata.clone(),
        name: assistant.name.clone(),
        created_at: convert::time(assistant.created_at),
        updated_at: convert::time(assistant.updated_at),
        version: i64::from(assistant.version),
        description: assistant.description.clone(),
    }
}

/// An assistant narrowed to some of its fields; all of them for an empty selection.
fn assistant_partial(
    assistant: &Assistant,
    select: &[types::AssistantSelect],
) -> types::AssistantPartial {
    use types::AssistantSelect as S;
    let all = assistant_of(assistant);
    let keep = |field: S| select.is_empty() || select.contains(&field);
    types::AssistantPartial {
        assistant_id: keep(S::AssistantId).then_some(all.assistant_id),
        graph_id: keep(S::GraphId).then_some(all.graph_id),
        config: keep(S::Config).then_some(all.config),
        context: keep(S::Context).then_some(all.context),
        metadata: keep(S::Metadata).then_some(all.metadata),
        name: keep(S::Name).then_some(all.name),
        created_at: keep(S::CreatedAt).then_some(all.created_at),
        updated_at: keep(S::UpdatedAt).then_some(all.updated_at),
        version: keep(S::Version).then_some(all.version),
        description: match (keep(S::Description), all.description) {
            (false, _) => None,
            (true, text) => Some(text),
        },
    }
}
