//! The only place that frames events.
//!
//! Source: reference/streaming.md, sections 2, 3 and 9.

use std::{fmt::Display, io, time::Duration};

use agent_server_api::without_nul;
use agent_server_domain::{
    ports::Event,
    stream::{Listener, Logged},
};
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{future::BoxFuture, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, interval_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    disconnect::OnDisconnect,
    metrics::{self, Slow},
};

/// Both SSE comments and the line feeds of `wait` keep this cadence, which clients measure.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// Name of the event that shows a thread's new state to its followers.
const STATE_UPDATE: &str = "state_update";

/// Events that a follower of a thread can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadMode {
    /// Those of runs, with the modes that each was created with.
    RunModes,
    /// Start and end of runs.
    Lifecycle,
    /// The state after each change by request.
    StateUpdate,
}

impl ThreadMode {
    /// The mode with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "run_modes" => Some(Self::RunModes),
            "lifecycle" => Some(Self::Lifecycle),
            STATE_UPDATE => Some(Self::StateUpdate),
            _ => None,
        }
    }

    fn passes(self, name: &str) -> bool {
        match self {
            Self::RunModes => name != STATE_UPDATE,
            Self::Lifecycle => name == "metadata",
            Self::StateUpdate => name == STATE_UPDATE,
        }
    }
}

/// Which events a listener wants.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// Those of a run with these names; empty means all.
    Run(Vec<String>),
    /// Those of a thread that any of these modes has.
    Thread(Vec<ThreadMode>),
}

impl Default for Filter {
    fn default() -> Self {
        Self::Run(vec![])
    }
}

impl Filter {
    /// Reads the `stream_mode` parameter: repeated values, each a name or a JSON array of names.
    pub(crate) fn from_query(values: &[String]) -> Self {
        Self::Run(crate::api::query_names(values))
    }

    /// Whether an event with this name passes. Of a run: its whole name or its base is listed; any `messages…` event passes
    /// for either of the two messages modes.
    fn passes(&self, name: &str) -> bool {
        let names = match self {
            Self::Run(names) => names,
            Self::Thread(modes) => return modes.iter().any(|mode| mode.passes(name)),
        };
        let base = name.split('|').next().unwrap_or(name);
        let messages = base.starts_with("messages");
        names.is_empty()
            || names.iter().any(|wanted| {
                wanted == name || wanted == base || (messages && wanted.starts_with("messages"))
            })
    }
}

/// A timer that ticks for the first time one period from now.
pub(crate) fn heartbeat() -> Interval {
    interval_at(Instant::now() + HEARTBEAT, HEARTBEAT)
}

/// Breaks off a body when the server stops: an orderly end would say that the run has ended. Clients come back for the rest,
/// to the address in the head of the answer; while the body is not ready, the connection sends what it holds, the head above all.
pub(crate) async fn broken_off() -> io::Error {
    tokio::task::yield_now().await;
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")
}

/// Appends one event in the form of the wire: event, data, id, each line ended by CR LF.
pub(crate) fn frame(into: &mut BytesMut, name: &str, data: Bytes, id: Option<&dyn Display>) {
    into.reserve(data.len() + name.len() + 64);
    into.put_slice(b"event: ");
    // A line end inside a name would end the field.
    into.extend(name.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    into.put_slice(b"\r\ndata: ");
    into.put_slice(&without_nul(data));
    if let Some(id) = id {
        into.put_slice(b"\r\nid: ");
        into.put_slice(id.to_string().as_bytes());
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
    /// The next bytes; `None` at the end of the stream. An error breaks the connection off, so that the client does not
    /// take it for the end and comes back.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(listener) = &mut self.listener else {
                self.on_disconnect.disarm();
                return Ok(None);
            };
            tokio::select! {
                // Clients measure the beat: events do not put it off.
                biased;
                _ = self.heartbeat.tick() => {
                    return Ok(Some(Bytes::from_static(b": heartbeat\r\n\r\n")));
                }
                more = listener.next(&mut self.batch) => {
                    let more = match more {
                        Ok(more) => more,
                        Err(error) if listener.is_behind() => {
                            metrics::count_cut_off(Slow::Behind);
                            tracing::warn!("a client is cut off: {error}");
                            return Err(io::Error::other(error));
                        }
                        Err(error) => {
                            tracing::error!(%error, "stored events could not be read");
                            return Err(io::Error::other(error));
                        }
                    };
                    if !more {
                        self.listener = None;
                        continue;
                    }
                    let with_ids = listener.has_ids();
                    let mut bytes = BytesMut::new();
                    for logged in self.batch.drain(..) {
                        if self.filter.passes(&logged.event.name) {
                            let id: &dyn Display = &logged.id;
                            let Event { name, data } = logged.event;
                            frame(&mut bytes, &name, data, with_ids.then_some(id));
                        }
                    }
                    if !bytes.is_empty() {
                        return Ok(Some(bytes.freeze()));
                    }
                }
                () = self.stop.cancelled() => {
                    self.on_disconnect.disarm();
                    return Err(broken_off().await);
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
    let listener = listener.map(Listener::unbroken);
    let source =
        Source { listener, filter, heartbeat: heartbeat(), stop, batch: vec![], on_disconnect };
    Body::from_stream(stream::try_unfold(source, |mut source| async move {
        Ok::<_, io::Error>(source.next().await?.map(|bytes| (bytes, source)))
    }))
}

/// Where framed events come from, one piece after the other.
pub(crate) trait Frames: Send + 'static {
    /// The next piece; `None` at the end. Nothing is lost when the future is dropped.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}

/// Frames as a response body, which breaks off with the server.
pub(crate) fn frames(frames: impl Frames, stop: CancellationToken) -> Body {
    let source = (frames, heartbeat(), stop);
    Body::from_stream(stream::try_unfold(source, |(mut frames, mut heartbeat, stop)| async move {
        let bytes = tokio::select! {
            biased;
            _ = heartbeat.tick() => Some(Bytes::from_static(b": heartbeat\r\n\r\n")),
            more = frames.next() => more?,
            () = stop.cancelled() => return Err(broken_off().await),
        };
        Ok(bytes.map(|bytes| (bytes, (frames, heartbeat, stop))))
    }))
}

/// Where a producer puts the messages of a stream: JSON texts.
pub(crate) type Messages = mpsc::UnboundedSender<Bytes>;

/// One message of a protocol that knows no events. Some of its clients take rare separators for line ends.
fn message(json: Bytes) -> Bytes {
    let mut json = without_nul(json);
    for (separator, escaped) in
        [("\u{85}", "\\u0085"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")]
    {
        if let Ok(text) = std::str::from_utf8(&json)
            && text.contains(separator)
        {
            json = text.replace(separator, escaped).into();
        }
    }
    [b"event: message\r\ndata: ", &json[..], b"\r\n\r\n"].concat().into()
}

struct Producing {
    producer: Option<BoxFuture<'static, ()>>,
    messages: mpsc::UnboundedReceiver<Bytes>,
    heartbeat: Interval,
    stop: CancellationToken,
    on_disconnect: OnDisconnect,
}

impl Producing {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            // What was produced goes out before the end is looked at.
            if let Ok(json) = self.messages.try_recv() {
                return Ok(Some(message(json)));
            }
            let Some(producer) = &mut self.producer else {
                self.on_disconnect.disarm();
                return Ok(None);
            };
            tokio::select! {
                biased;
                _ = self.heartbeat.tick() => {
                    return Ok(Some(Bytes::from_static(b": heartbeat\r\n\r\n")));
                }
                Some(json) = self.messages.recv() => return Ok(Some(message(json))),
                () = producer => self.producer = None,
                () = self.stop.cancelled() => {
                    self.on_disconnect.disarm();
                    return Err(broken_off().await);
                }
            }
        }
    }
}

/// Messages as a response body. The producer goes on only while somebody reads, and its end is that of the stream.
pub(crate) fn messages<F>(
    produce: impl FnOnce(Messages) -> F,
    on_disconnect: OnDisconnect,
    stop: CancellationToken,
) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, messages) = mpsc::unbounded_channel();
    let producer: BoxFuture<'static, ()> = Box::pin(produce(sender));
    let producer = Some(producer);
    let producing = Producing { producer, messages, heartbeat: heartbeat(), stop, on_disconnect };
    Body::from_stream(stream::try_unfold(producing, |mut producing| async move {
        Ok::<_, io::Error>(producing.next().await?.map(|bytes| (bytes, producing)))
    }))
}

#[cfg(test)]
mod tests {
    use agent_server_domain::stream::EventId;

    use super::*;

    #[test]
    fn an_event_is_framed_as_the_wire_has_it() {
        let data = Bytes::from_static(b"{\"a\":1}");
        let mut bytes = BytesMut::new();
        frame(&mut bytes, "values", data.clone(), None);
        frame(&mut bytes, "values", data, Some(&EventId { millis: 5, seq: 1 }));
        let expected = "event: values\r\ndata: {\"a\":1}\r\n\r\nevent: values\r\ndata: {\"a\":1}\r\nid: 5-1\r\n\r\n";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_filter_matches_whole_names_bases_and_messages() {
        let filter =
            Filter::Run(vec!["values".into(), "messages-tuple".into(), "updates|a:1".into()]);
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

    #[test]
    fn modes_of_a_thread_add_up() {
        use ThreadMode::{Lifecycle, RunModes, StateUpdate};
        let passing = |modes: &[ThreadMode]| {
            let filter = Filter::Thread(modes.to_vec());
            ["metadata", "values|child:1", "error", "state_update"].map(|name| filter.passes(name))
        };
        assert_eq!(passing(&[RunModes]), [true, true, true, false]);
        assert_eq!(passing(&[Lifecycle]), [true, false, false, false]);
        assert_eq!(passing(&[StateUpdate]), [false, false, false, true]);
        assert_eq!(passing(&[RunModes, StateUpdate]), [true; 4]);
        assert_eq!(ThreadMode::parse("values"), None);
    }
}
