//! Tag Streaming: the event protocol of a thread, whose commands start runs and answer questions, and whose events are
//! those of all its runs in a form of their own.
//!
//! Events are a translation (`translate`) of what resumable runs have sent; nothing is stored beside that. A `feed` reads a
//! thread from the first event that is kept and goes on with what comes; `filter` chooses, `event` writes. `command` knows
//! the envelope of commands, `start` those that start runs. Over a WebSocket both go together: `socket` moves the frames,
//! `session` remembers what one connection subscribed to and saw.
//!
//! Source: reference/event-streaming-v2.md.

mod command;
mod event;
mod feed;
mod filter;
mod session;
mod socket;
mod start;
mod translate;

use std::io;

use agent_server_api::*;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};

use self::{
    command::{Command, NoCommand},
    feed::Feed,
    filter::Filter,
};
use super::{Api, Result, thread_runs::event_stream, threads::may_read};
use crate::{error::Error, sse};

pub(crate) use socket::{PATH as EVENT_SOCKET, websocket};

const INVALID_JSON: &str = "Invalid JSON body";

impl Streaming for Api {
    async fn stream_thread_events(
        &self,
        cx: Context,
        path: StreamThreadEventsPath,
        body: Bytes,
    ) -> Result<StreamThreadEventsResponse> {
        let refused = |detail: String| Error::from(Rejection::new(StatusCode::BAD_REQUEST, detail));
        let request: Value =
            serde_json::from_slice(&body).map_err(|_| refused(INVALID_JSON.into()))?;
        let filter = Filter::read(&request).map_err(|why| refused(why.detail()))?;
        // What may not be read is silent from the start, and so is what can be no thread.
        let body = match self.open_feed(&cx, &path.thread_id).await {
            Ok(Some(feed)) => sse::frames(Framed { feed, filter }, self.domain.stopping()),
            Ok(None) | Err(Error::Refused(_)) => axum::body::Body::empty(),
            Err(error) => return Err(error),
        };
        Ok(StreamThreadEventsResponse::EventStream(event_stream(body, [])))
    }

    async fn send_thread_command(
        &self,
        cx: Context,
        path: SendThreadCommandPath,
        body: Bytes,
    ) -> Result<SendThreadCommandResponse> {
        use SendThreadCommandResponse as Answer;
        let Command { id, method, params } = match Command::read(&body) {
            Ok(command) => command,
            Err(NoCommand::NotJson) => {
                let detail = json!({"detail": INVALID_JSON}).to_string();
                return Ok(Answer::BadRequest(Reply::rendered(detail)));
            }
            Err(malformed) => {
                return Ok(Answer::BadRequest(Reply::rendered(command::refusal(&malformed))));
            }
        };
        let outcome = match method.as_str() {
            "run.start" => self.run_start(&cx, &path.thread_id, &params).await,
            "input.respond" => match start::responses(&params) {
                Ok(answers) => self.input_respond(&cx, &path.thread_id, &params, answers).await,
                Err(failure) => Err(failure),
            },
            _ => session::without_connection(&self.domain, &method, &params),
        };
        Ok(Answer::Ok(Reply::rendered(command::answer(&id, &outcome, None))))
    }
}

impl Api {
    /// The events of a thread that may be read; `None` for text that is no thread's id.
    async fn open_feed(&self, cx: &Context, thread: &str) -> Result<Option<Feed>> {
        let Some(thread) = parse_uuid(thread) else { return Ok(None) };
        let caller = may_read(cx, thread.into()).await?;
        Ok(Some(Feed::open(self.domain.clone(), &caller, thread.into()).await?))
    }
}

/// Chosen events of a thread, framed.
struct Framed {
    feed: Feed,
    filter: Filter,
}

impl sse::Frames for Framed {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let events = self.feed.next().await.map_err(|error| {
                tracing::error!(%error, "the events of a thread could not be read");
                io::Error::other(error)
            })?;
            let Some(events) = events else { return Ok(None) };
            let mut bytes = BytesMut::new();
            for event in events {
                if self.filter.passes(&event) {
                    sse::frame(&mut bytes, event.method, event.to_json(), Some(&event.seq));
                }
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes.freeze()));
            }
        }
    }
}
