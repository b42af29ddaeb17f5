//! Events of a stream: one server-sent event each, its name taken apart.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use sse_stream::{Sse, SseByteStream};

use crate::{Client, Error, call::Call, wire::RawJson};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind: a stream mode (`values`, `updates`, `messages/partial`, …), `metadata`, `error` or `end`.
    pub name: String,
    /// The nested graph that it comes from, outermost first; empty for the outermost graph itself.
    pub namespace: Vec<String>,
    /// Position in the stream, for streams that can be continued.
    pub id: Option<String>,
    /// Content, depending on the name.
    pub data: RawJson,
}

impl Event {
    /// `None` where there is neither a name nor data, which is no event.
    fn new(sse: Sse) -> Result<Option<Self>, Error> {
        if sse.event.is_none() && sse.data.is_none() {
            return Ok(None);
        }
        let full_name = sse.event.unwrap_or_else(|| "message".to_owned());
        let mut parts = full_name.split('|').map(str::to_owned);
        let name = parts.next().unwrap_or_default();
        let data = match sse.data {
            Some(text) if !text.is_empty() => RawJson::from_string(text)
                .map_err(|error| Error::decode(format!("event {full_name}: {error}"), ""))?,
            _ => RawJson::null(),
        };
        Ok(Some(Self { name, namespace: parts.collect(), id: sse.id, data }))
    }

    /// Whether this event reports that the run failed.
    pub fn is_error(&self) -> bool {
        self.name == "error"
    }

    /// Whether nothing follows this event.
    pub(crate) fn is_end(&self) -> bool {
        self.name == "end"
    }
}

/// The events of one connection: ends with it, and does not continue elsewhere.
///
/// [`RunStream`](crate::RunStream) does continue.
pub struct EventStream(SseByteStream<BoxStream<'static, reqwest::Result<Bytes>>>);

impl EventStream {
    /// Makes the call and returns its events.
    pub(crate) async fn open(client: &Client, call: Call) -> Result<Self, Error> {
        Ok(Self::new(call.send(client).await?.bytes_stream()))
    }

    /// Reads a body of server-sent events.
    pub(crate) fn new(body: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static) -> Self {
        Self(SseByteStream::new(body.boxed()))
    }
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(block) = futures::ready!(self.0.poll_next_unpin(context)) else {
                return Poll::Ready(None);
            };
            if let Some(event) = block.map_err(broken).and_then(Event::new).transpose() {
                return Poll::Ready(Some(event));
            }
        }
    }
}

fn broken(error: sse_stream::Error) -> Error {
    match error {
        sse_stream::Error::Body(source) => match source.downcast::<reqwest::Error>() {
            Ok(error) => Error::Transport(*error),
            Err(other) => Error::decode(other, ""),
        },
        other => Error::decode(other, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(chunks: &[&str]) -> Vec<Result<Event, Error>> {
        let chunks: Vec<_> =
            chunks.iter().map(|chunk| Ok(Bytes::from((*chunk).to_owned()))).collect();
        EventStream::new(futures::stream::iter(chunks)).collect().await
    }

    #[tokio::test]
    async fn names_are_taken_apart_and_data_kept_as_text() {
        let events = read(&[
            ": heartbeat\r\n\r\nevent: metadata\r\ndata: {\"run_id\":",
            "\"r\"}\r\nid: 5-0\r\n\r\nevent: messages/partial|a:1|b:2\r\ndata: [ 1.0 ]\r\n\r\n",
            "data: {\ndata: \"x\": 1}\n\n",
            "event: end\n\n",
        ])
        .await;
        let shown: Vec<_> = events
            .iter()
            .map(|event| {
                let event = event.as_ref().expect("an event");
                (
                    event.name.as_str(),
                    event.namespace.join(","),
                    event.id.as_deref(),
                    event.data.get(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("metadata", String::new(), Some("5-0"), r#"{"run_id":"r"}"#),
                ("messages/partial", "a:1,b:2".to_owned(), None, "[ 1.0 ]"),
                ("message", String::new(), None, "{\n\"x\": 1}"),
                ("end", String::new(), None, "null"),
            ]
        );
    }

    #[tokio::test]
    async fn blocks_without_content_are_no_events() {
        assert!(read(&["id: 7\n\n", "retry: 10\n\n", ": only a comment\n\n"]).await.is_empty());
    }

    #[tokio::test]
    async fn data_that_is_no_json_is_reported() {
        let events = read(&["event: values\ndata: nope\n\n", "event: end\n\n"]).await;
        assert!(
            matches!(&events[0], Err(Error::Decode { reason, .. }) if reason.starts_with("event values"))
        );
        assert_eq!(events.len(), 2);
    }
}
