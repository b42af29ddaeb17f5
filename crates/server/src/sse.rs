//! The only place that frames events.
//!
//! Source: reference/streaming.md, sections 2, 3 and 9.

use std::{io, time::Duration};

use agent_server_api::without_nul;
use agent_server_domain::stream::{Listener, Logged};
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use tokio::time::{Instant, Interval, interval_at};
use tokio_util::sync::CancellationToken;

use crate::disconnect::OnDisconnect;

/// Both SSE comments and the line feeds of `wait` keep this cadence, which clients measure.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// Which events of a run a listener wants; empty means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(Vec<String>);

impl Filter {
    /// Reads the `stream_mode` parameter: repeated values, each a name or a JSON array of names.
    pub(crate) fn from_query(values: &[String]) -> Self {
        Self(crate::api::query_names(values))
    }

    /// Whether an event with this name passes: its whole name or its base is listed; any `messages…` event passes for
    /// either of the two messages modes.
    fn passes(&self, name: &str) -> bool {
        let base = name.split('|').next().unwrap_or(name);
        let messages = base.starts_with("messages");
        self.0.is_empty()
            || self.0.iter().any(|wanted| {
                wanted == name || wanted == base || (messages && wanted.starts_with("messages"))
            })
    }
}

/// A timer that ticks for the first time one period from now.
pub(crate) fn heartbeat() -> Interval {
    interval_at(Instant::now() + HEARTBEAT, HEARTBEAT)
}

/// Breaks off a body when the server stops: an orderly end would say that the run has ended. Clients come back for the rest.
pub(crate) fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")
}

/// Appends one event in the form of the wire: event, data, id, each line ended by CR LF.
fn frame(into: &mut BytesMut, logged: &Logged, with_id: bool) {
    into.reserve(logged.event.data.len() + logged.event.name.len() + 64);
    into.put_slice(b"event: ");
    // A line end inside a name would end the field.
    into.extend(logged.event.name.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    into.put_slice(b"\r\ndata: ");
    into.put_slice(&without_nul(logged.event.data.clone()));
    if with_id {
        into.put_slice(b"\r\nid: ");
        into.put_slice(logged.id.to_string().as_bytes());
    }
    into.put_slice(b"\r\n\r\n");
}

struct Source {
    listener: Option<Listener>,
    filter: Filter,
    heartbeat: Interval,
    stop: CancellationToken,
    batch: Vec<Logged>,
    on_disconnect: OnDisconnect,
}

impl Source {
    /// The next bytes; `None` at the end of the stream.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let Some(listener) = &mut self.listener else {
                self.on_disconnect.disarm();
                return None;
            };
            tokio::select! {
                biased;
                more = listener.next(&mut self.batch) => {
                    if !more {
                        self.listener = None;
                        continue;
                    }
                    let with_ids = listener.is_resumable();
                    let mut bytes = BytesMut::new();
                    for logged in self.batch.drain(..) {
                        if self.filter.passes(&logged.event.name) {
                            frame(&mut bytes, &logged, with_ids);
                        }
                    }
                    if !bytes.is_empty() {
                        return Some(Ok(bytes.freeze()));
                    }
                }
                _ = self.heartbeat.tick() => {
                    return Some(Ok(Bytes::from_static(b": heartbeat\r\n\r\n")));
                }
                () = self.stop.cancelled() => {
                    self.on_disconnect.disarm();
                    return Some(Err(broken_off()));
                }
            }
        }
    }
}

/// The events of a run as a response body. Ends with the run, breaks off with the server.
pub(crate) fn events(
    listener: Option<Listener>,
    filter: Filter,
    on_disconnect: OnDisconnect,
    stop: CancellationToken,
) -> Body {
    let source =
        Source { listener, filter, heartbeat: heartbeat(), stop, batch: vec![], on_disconnect };
    Body::from_stream(stream::unfold(source, |mut source| async move {
        let bytes = source.next().await?;
        Some((bytes, source))
    }))
}

#[cfg(test)]
mod tests {
    use agent_server_domain::{ports::Event, stream::EventId};

    use super::*;

    #[test]
    fn an_event_is_framed_as_the_wire_has_it() {
        let event = Event { name: "values".into(), data: Bytes::from_static(b"{\"a\":1}") };
        let logged = Logged { id: EventId { millis: 5, seq: 1 }, event };
        let mut bytes = BytesMut::new();
        frame(&mut bytes, &logged, false);
        frame(&mut bytes, &logged, true);
        let expected = "event: values\r\ndata: {\"a\":1}\r\n\r\nevent: values\r\ndata: {\"a\":1}\r\nid: 5-1\r\n\r\n";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_filter_matches_whole_names_bases_and_messages() {
        let filter = Filter(vec!["values".into(), "messages-tuple".into(), "updates|a:1".into()]);
        for (name, passes) in [
            ("values", true),
            ("values|child:1", true),
            ("messages/partial", true),
            ("updates|a:1", true),
            ("updates", false),
            ("metadata", false),
        ] {
            assert_eq!(filter.passes(name), passes, "{name}");
        }
        assert!(Filter::default().passes("metadata"));
    }
}
