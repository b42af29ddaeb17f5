//! Tag Store. None of it is implemented yet, see [`not_implemented`].

use agent_server_api::{types, *};

use super::{Api, Result};
use crate::not_implemented;

impl Store for Api {
    async fn put_item(
        &self,
        cx: Context,
        _body: Body<types::StorePutRequest>,
    ) -> Result<PutItemResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn delete_item(
        &self,
        cx: Context,
        _body: Body<types::StoreDeleteRequest>,
    ) -> Result<DeleteItemResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn get_item(&self, cx: Context, _query: GetItemQuery) -> Result<GetItemResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn search_items(
        &self,
        cx: Context,
        _body: Body<types::StoreSearchRequest>,
    ) -> Result<SearchItemsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn list_namespaces(
        &self,
        cx: Context,
        _body: Body<types::StoreListNamespacesRequest>,
    ) -> Result<ListNamespacesResponse> {
        Err(not_implemented::operation(&cx))
    }
}
