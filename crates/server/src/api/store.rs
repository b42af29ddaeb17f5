//! Tag Store: requests become operations of the store.

use agent_server_api::{types, *};
use agent_server_domain::{
    Caller, Error, Result as DomainResult,
    auth::Event,
    ports::{StoreAnswer, StoreIndex, StoreOp, StoreTtl},
    storage::{
        Map, RawJson,
        store::{Item, NamespaceFilter, Pattern},
    },
    store::check_labels,
};

use serde_json::json;

use super::{Access, Api, Result, page};
use crate::convert;

/// Items per page of a search that asks for none.
const USUAL: i64 = 10;
/// Namespaces per page of a listing that does not say.
const USUAL_NAMESPACES: i64 = 100;

impl Store for Api {
    async fn put_item(
        &self,
        cx: Context,
        body: Body<types::StorePutRequest>,
    ) -> Result<PutItemResponse> {
        let body = body.value;
        check_labels(&body.namespace)?;
        let value = convert::stored(body.value);
        let ttl = match body.ttl {
            None => StoreTtl::Configured,
            Some(None) => StoreTtl::Never,
            Some(Some(minutes)) => StoreTtl::Minutes(minutes),
        };
        let mut access = Access::of(&cx);
        let shown = if access.is_decided() { Some(shown(&value)?) } else { None };
        let minutes = body.ttl.flatten();
        let event = || {
            json!({
                "namespace": body.namespace, "key": body.key, "value": shown, "index": body.index,
                "ttl": minutes,
            })
        };
        let mut changed = access.ask_unfiltered(Event::STORE_PUT, event).await?;
        let namespace = changed.member("namespace", body.namespace)?;
        check_labels(&namespace)?;
        let op = StoreOp::Put {
            namespace,
            key: changed.member("key", body.key)?,
            // What nobody changed stays as it was written.
            value: match changed.member("value", shown.clone())? {
                Some(map) if shown.as_ref() != Some(&map) => Some(raw(&map)?),
                _ => Some(value),
            },
            index: match changed.member("index", body.index)? {
                None => StoreIndex::Configured,
                Some(types::StoreIndex::Boolean(_)) => StoreIndex::Nothing,
                Some(types::StoreIndex::Array(paths)) => StoreIndex::Paths(paths),
            },
            ttl: match changed.member("ttl", minutes)? {
                Some(minutes) => StoreTtl::Minutes(minutes),
                None if minutes.is_some() => StoreTtl::Never,
                None => ttl,
            },
        };
        self.store(&access.into_caller(), op).await?;
        Ok(PutItemResponse::NoContent)
    }

    async fn delete_item(
        &self,
        cx: Context,
        body: Body<types::StoreDeleteRequest>,
    ) -> Result<DeleteItemResponse> {
        let body = body.value;
        let namespace = body.namespace.unwrap_or_default();
        check_labels(&namespace)?;
        let mut access = Access::of(&cx);
        let event = || json!({"namespace": namespace, "key": body.key});
        let mut changed = access.ask_unfiltered(Event::STORE_DELETE, event).await?;
        let namespace = changed.member("namespace", namespace)?;
        check_labels(&namespace)?;
        let key = changed.member("key", body.key)?;
        let (index, ttl) = Default::default();
        let op = StoreOp::Put { namespace, key, value: None, index, ttl };
        self.store(&access.into_caller(), op).await?;
        Ok(DeleteItemResponse::NoContent)
    }

    async fn get_item(&self, cx: Context, query: GetItemQuery) -> Result<GetItemResponse> {
        let namespace: Vec<_> =
            query.namespace.unwrap_or_default().split('.').map(str::to_owned).collect();
        check_labels(&namespace)?;
        let Some(key) = query.key.filter(|key| !key.is_empty()) else {
            let error = types::ErrorMessage { error: "Key is required".into() };
            return Ok(GetItemResponse::BadRequest(error.into()));
        };
        let mut access = Access::of(&cx);
        let event =
            || json!({"namespace": namespace, "key": key, "refresh_ttl": query.refresh_ttl});
        let mut changed = access.ask_unfiltered(Event::STORE_GET, event).await?;
        let namespace = changed.member("namespace", namespace)?;
        check_labels(&namespace)?;
        let op = StoreOp::Get {
            namespace,
            key: changed.member("key", key)?,
            refresh: changed.member("refresh_ttl", query.refresh_ttl)?,
        };
        let answer = self.store(&access.into_caller(), op).await?;
        let StoreAnswer::Item(item) = answer else { return Err(odd()) };
        Ok(GetItemResponse::Ok(types::GetItemResponse(item.map(item_of)).into()))
    }

    async fn search_items(
        &self,
        cx: Context,
        body: Body<types::StoreSearchRequest>,
    ) -> Result<SearchItemsResponse> {
        let body = body.value;
        let prefix = body.namespace_prefix.unwrap_or_default();
        check_labels(&prefix)?;
        let limit = body.limit.filter(|limit| *limit != 0).or(Some(USUAL));
        let offset = Some(body.offset.unwrap_or(0));
        let mut access = Access::of(&cx);
        let event = || {
            json!({
                "namespace": prefix, "filter": body.filter, "limit": limit, "offset": offset,
                "query": body.query, "refresh_ttl": body.refresh_ttl,
            })
        };
        let mut changed = access.ask(Event::STORE_SEARCH, event).await?;
        let prefix = changed.member("namespace", prefix)?;
        check_labels(&prefix)?;
        let limit = changed.member("limit", limit)?.filter(|limit| *limit != 0);
        let op = StoreOp::Search {
            prefix,
            filter: changed.member("filter", body.filter)?,
            query: changed.member("query", body.query)?,
            page: page(limit.or(Some(USUAL)), changed.member("offset", offset)?),
            refresh: changed.member("refresh_ttl", body.refresh_ttl)?,
        };
        let answer = self.store(&access.into_caller(), op).await?;
        let StoreAnswer::Items(found) = answer else { return Err(odd()) };
        let items = found
            .into_iter()
            .map(|found| {
                let (score, item) = (found.score, item_of(found.item));
                types::SearchItem {
                    namespace: item.namespace,
                    key: item.key,
                    value: item.value,
                    created_at: item.created_at,
                    updated_at: item.updated_at,
                    score,
                }
            })
            .collect();
        Ok(SearchItemsResponse::Ok(types::SearchItemsResponse { items }.into()))
    }

    async fn list_namespaces(
        &self,
        cx: Context,
        body: Body<types::StoreListNamespacesRequest>,
    ) -> Result<ListNamespacesResponse> {
        let body = body.value;
        for labels in [&body.prefix, &body.suffix].into_iter().flatten() {
            check_labels(labels)?;
        }
        let limit = body.limit.or(Some(USUAL_NAMESPACES));
        let offset = Some(body.offset.unwrap_or(0));
        let mut access = Access::of(&cx);
        let event = || {
            json!({
                "namespace": body.prefix, "suffix": body.suffix, "max_depth": body.max_depth,
                "limit": limit, "offset": offset,
            })
        };
        let mut changed = access.ask_unfiltered(Event::STORE_LIST_NAMESPACES, event).await?;
        let prefix: Option<Vec<_>> = changed.member("namespace", body.prefix)?;
        let suffix: Option<Vec<_>> = changed.member("suffix", body.suffix)?;
        let depth: Option<i64> = changed.member("max_depth", body.max_depth)?;
        let filter = NamespaceFilter {
            prefix: prefix.map(pattern).transpose()?,
            suffix: suffix.map(pattern).transpose()?,
            max_depth: depth.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX)),
        };
        let limit = changed.member("limit", limit)?.or(Some(USUAL_NAMESPACES));
        let page = page(limit, changed.member("offset", offset)?);
        let op = StoreOp::ListNamespaces { filter, page };
        let answer = self.store(&access.into_caller(), op).await?;
        let StoreAnswer::Namespaces(namespaces) = answer else { return Err(odd()) };
        Ok(ListNamespacesResponse::Ok(types::ListNamespaceResponse { namespaces }.into()))
    }
}

impl Api {
    /// Has an operation executed for whoever asks. The one way from a request to the store.
    async fn store(&self, caller: &Caller, op: StoreOp) -> Result<StoreAnswer> {
        Ok(self.domain.store_op(&caller.store, op).await?)
    }
}

/// A value for those who decide.
fn shown(value: &RawJson) -> DomainResult<Map> {
    serde_json::from_str(value.get()).map_err(|error| {
        Error::Invalid(format!("the value cannot be shown to the handler of store.put: {error}"))
    })
}

/// A value that those who decide have changed.
fn raw(value: &Map) -> DomainResult<RawJson> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::Internal(format!("a value cannot be written: {error}")))?;
    Ok(RawJson::trusted(text))
}

fn odd() -> crate::error::Error {
    Error::Internal("the store answered another operation".into()).into()
}

/// Labels to a pattern; `*` is any label.
fn pattern(labels: Vec<String>) -> DomainResult<Pattern> {
    check_labels(&labels)?;
    Ok(labels.into_iter().map(|label| (label != "*").then_some(label)).collect())
}

/// An item on the wire.
fn item_of(item: Item) -> types::Item {
    types::Item {
        namespace: item.namespace,
        key: item.key,
        value: convert::raw(&item.value),
        created_at: convert::time(item.created_at),
        updated_at: convert::time(item.updated_at),
    }
}
