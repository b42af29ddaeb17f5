//! Tag Streaming. None of it is implemented yet, see [`not_implemented`].

use agent_server_api::*;

use super::{Api, Result};
use crate::not_implemented;

impl Streaming for Api {
    async fn stream_thread_events(
        &self,
        cx: Context,
        _path: StreamThreadEventsPath,
        _body: bytes::Bytes,
    ) -> Result<StreamThreadEventsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn send_thread_command(
        &self,
        cx: Context,
        _path: SendThreadCommandPath,
        _body: bytes::Bytes,
    ) -> Result<SendThreadCommandResponse> {
        Err(not_implemented::operation(&cx))
    }
}
