//! Tag A2A. None of it is implemented yet, see [`not_implemented`].

use agent_server_api::*;

use super::{Api, Result};
use crate::not_implemented;

impl A2a for Api {
    async fn post_a2a(
        &self,
        cx: Context,
        _path: PostA2aPath,
        _headers: PostA2aHeaders,
        _body: bytes::Bytes,
    ) -> Result<PostA2aResponse> {
        Err(not_implemented::operation(&cx))
    }
}
