//! Tag MCP. None of it is implemented yet, see [`not_implemented`].

use agent_server_api::*;

use super::{Api, Result};
use crate::not_implemented;

impl Mcp for Api {
    async fn post_mcp(
        &self,
        cx: Context,
        _headers: PostMcpHeaders,
        _body: bytes::Bytes,
    ) -> Result<PostMcpResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn get_mcp(&self, cx: Context) -> Result<GetMcpResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn delete_mcp(&self, cx: Context) -> Result<DeleteMcpResponse> {
        Err(not_implemented::operation(&cx))
    }
}
