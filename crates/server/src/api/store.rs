//! Tag Store: requests become operations of the store.

use agent_server_api::{types, *};
use agent_server_domain::{
    Error, Result as DomainResult,
    ports::{StoreAnswer, StoreIndex, StoreOp, StoreTtl},
    storage::store::{Item, NamespaceFilter, Pattern},
    store::check_labels,
};

use super::{Api, Result, caller, page};
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
        let op = StoreOp::Put {
            namespace: body.namespace,
            key: body.key,
            value: Some(convert::stored(body.value)),
            index: match body.index {
                None => StoreIndex::Configured,
                Some(types::StoreIndex::Boolean(_)) => StoreIndex::Nothing,
                Some(types::StoreIndex::Array(paths)) => StoreIndex::Paths(paths),
            },
            ttl: match body.ttl {
                None => StoreTtl::Configured,
                Some(None) => StoreTtl::Never,
                Some(Some(minutes)) => StoreTtl::Minutes(minutes),
            },
        };
        self.store(&cx, op).await?;
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
        let (index, ttl) = Default::default();
        self.store(&cx, StoreOp::Put { namespace, key: body.key, value: None, index, ttl }).await?;
        Ok(DeleteItemResponse::NoContent)
    }

    async fn get_item(&self, cx: Context, query: GetItemQuery) -> Result<GetItemResponse> {
        let Some(key) = query.key.filter(|key| !key.is_empty()) else {
            let error = types::ErrorMessage { error: "Key is required".into() };
            return Ok(GetItemResponse::BadRequest(error.into()));
        };
        let namespace: Vec<_> =
            query.namespace.unwrap_or_default().split('.').map(str::to_owned).collect();
        check_labels(&namespace)?;
        let op = StoreOp::Get { namespace, key, refresh: query.refresh_ttl };
        let StoreAnswer::Item(item) = self.store(&cx, op).await? else { return Err(odd()) };
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
        let op = StoreOp::Search {
            prefix,
            filter: body.filter,
            query: body.query,
            page: page(body.limit.filter(|limit| *limit != 0).or(Some(USUAL)), body.offset),
            refresh: body.refresh_ttl,
        };
        let StoreAnswer::Items(found) = self.store(&cx, op).await? else { return Err(odd()) };
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
        let filter = NamespaceFilter {
            prefix: body.prefix.map(pattern).transpose()?,
            suffix: body.suffix.map(pattern).transpose()?,
            max_depth: body.max_depth.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX)),
        };
        let page = page(body.limit.or(Some(USUAL_NAMESPACES)), body.offset);
        let op = StoreOp::ListNamespaces { filter, page };
        let StoreAnswer::Namespaces(namespaces) = self.store(&cx, op).await? else {
            return Err(odd());
        };
        Ok(ListNamespacesResponse::Ok(types::ListNamespaceResponse { namespaces }.into()))
    }
}

impl Api {
    /// Has an operation executed for whoever asks. The one way from a request to the store.
    async fn store(&self, cx: &Context, op: StoreOp) -> Result<StoreAnswer> {
        Ok(self.domain.store_op(&caller(cx).scope, op).await?)
    }
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
