//! Tag Assistants.

use std::collections::BTreeMap;

use agent_server_api::{types, *};
use agent_server_domain::{
    assistants::{NewAssistant, Patch},
    ports::Xray,
    storage::{
        RawJson,
        assistants::{Assistant, Filter, SortBy},
    },
};

use super::{Api, Result, body_id, caller, context, page, pagination};
use crate::{convert, error::invalid};

impl Assistants for Api {
    async fn create_assistant(
        &self,
        cx: Context,
        body: Body<types::AssistantCreate>,
    ) -> Result<CreateAssistantResponse> {
        let body = body.value;
        let id = body.assistant_id.as_deref().map(|id| body_id(id, "assistant")).transpose()?;
        let new = NewAssistant {
            assistant_id: id.map(Into::into),
            graph_id: body.graph_id,
            config: body.config.unwrap_or_default(),
            context: context(body.context)?.unwrap_or_default(),
            metadata: body.metadata.unwrap_or_default(),
            name: body.name,
            description: body.description,
            do_nothing: body.if_exists == Some(types::IfExists::DoNothing),
        };
        let assistant = self.domain.create_assistant(&caller(&cx), new).await?;
        Ok(CreateAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn get_assistant(
        &self,
        cx: Context,
        path: GetAssistantPath,
    ) -> Result<GetAssistantResponse> {
        let assistant = self.domain.get_assistant(&caller(&cx), path.assistant_id.into()).await?;
        Ok(GetAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn patch_assistant(
        &self,
        cx: Context,
        path: PatchAssistantPath,
        body: Body<types::AssistantPatch>,
    ) -> Result<PatchAssistantResponse> {
        let body = body.value;
        let patch = Patch {
            graph_id: body.graph_id,
            config: body.config,
            context: context(body.context)?,
            metadata: body.metadata,
            name: body.name,
            description: body.description,
        };
        let id = path.assistant_id.into();
        let assistant = self.domain.patch_assistant(&caller(&cx), id, patch).await?;
        Ok(PatchAssistantResponse::Ok(assistant_of(&assistant).into()))
    }

    async fn delete_assistant(
        &self,
        cx: Context,
        path: DeleteAssistantPath,
        query: DeleteAssistantQuery,
    ) -> Result<DeleteAssistantResponse> {
        let delete_threads = query.delete_threads.unwrap_or(false);
        let id = path.assistant_id.into();
        self.domain.delete_assistant(&caller(&cx), id, delete_threads).await?;
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
        let found = self.domain.search_assistants(&caller(&cx), filter, sort, page).await?;
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
        let count = self.domain.count_assistants(&caller(&cx), filter).await?;
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
        let drawing = self.domain.assistant_drawing(&caller(&cx), &path.assistant_id, xray).await?;
        Ok(GetAssistantGraphResponse::Ok(Reply::rendered(drawing.get().to_owned())))
    }

    async fn get_assistant_schemas(
        &self,
        cx: Context,
        path: GetAssistantSchemasPath,
    ) -> Result<GetAssistantSchemasResponse> {
        let id = path.assistant_id.into();
        let (graph_id, schemas) = self.domain.assistant_schemas(&caller(&cx), id).await?;
        let schemas = schemas_of(&schemas)?;
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
        path: GetAssistantSubgraphsPath,
        query: GetAssistantSubgraphsQuery,
    ) -> Result<GetAssistantSubgraphsResponse> {
        let (id, recurse) = (path.assistant_id.into(), query.recurse.unwrap_or(false));
        let found = self.domain.assistant_subgraphs(&caller(&cx), id, None, recurse).await?;
        Ok(GetAssistantSubgraphsResponse::Ok(subgraphs_of(found)?.into()))
    }

    async fn get_assistant_subgraphs_by_namespace(
        &self,
        cx: Context,
        path: GetAssistantSubgraphsByNamespacePath,
        query: GetAssistantSubgraphsByNamespaceQuery,
    ) -> Result<GetAssistantSubgraphsByNamespaceResponse> {
        let (id, recurse) = (path.assistant_id.into(), query.recurse.unwrap_or(false));
        let namespace = Some(path.namespace.as_str());
        let found = self.domain.assistant_subgraphs(&caller(&cx), id, namespace, recurse).await?;
        Ok(GetAssistantSubgraphsByNamespaceResponse::Ok(subgraphs_of(found)?.into()))
    }

    async fn get_assistant_versions(
        &self,
        cx: Context,
        path: GetAssistantVersionsPath,
        body: Body<types::AssistantVersionsSearchRequest>,
    ) -> Result<GetAssistantVersionsResponse> {
        let (id, body) = (path.assistant_id.into(), body.value);
        let page = page(body.limit, body.offset);
        let found = self.domain.assistant_versions(&caller(&cx), id, body.metadata, page).await?;
        let versions: Vec<_> = found.into_iter().map(version_of).collect();
        Ok(GetAssistantVersionsResponse::Ok(Reply::new(&versions)))
    }

    async fn set_latest_assistant_version(
        &self,
        cx: Context,
        path: SetLatestAssistantVersionPath,
        body: Body<types::AssistantVersionChange>,
    ) -> Result<SetLatestAssistantVersionResponse> {
        let id = path.assistant_id.into();
        let restored = self.domain.set_latest_version(&caller(&cx), id, body.value.version).await?;
        Ok(SetLatestAssistantVersionResponse::Ok(assistant_of(&restored).into()))
    }
}

/// The schemas of a graph as a worker answers them.
fn schemas_of(json: &RawJson) -> Result<types::GraphSchemaNoId> {
    json.parse().map_err(|error| {
        let cause = format!("a worker answered odd schemas: {error}");
        agent_server_domain::Error::Internal(cause).into()
    })
}

fn subgraphs_of(found: BTreeMap<String, RawJson>) -> Result<types::Subgraphs> {
    let schemas = found.into_iter().map(|(name, json)| Ok((name, schemas_of(&json)?)));
    Ok(types::Subgraphs(schemas.collect::<Result<_>>()?))
}

/// A version on the wire.
fn version_of(version: Assistant) -> types::AssistantVersion {
    types::AssistantVersion {
        assistant_id: version.assistant_id.0,
        graph_id: version.graph_id,
        config: version.config,
        context: version.context,
        metadata: version.metadata,
        name: version.name,
        created_at: convert::time(version.created_at),
        version: i64::from(version.version),
        description: version.description,
    }
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
