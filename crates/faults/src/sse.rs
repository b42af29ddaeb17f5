//! The events of a stream, as they come.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};

/// A place in the streams of a thread.
pub(crate) type Id = (u64, u64);

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: Option<Id>,
}

/// How reading went on.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Event),
    /// The stream has ended as it should: the run is over.
    End,
    /// The connection broke.
    Broken,
    /// Nothing came, not even a heartbeat.
    Silent,
}

/// Far more than the time between two heartbeats.
const SILENCE: Duration = Duration::from_secs(30);

/// A stream that is being read. Dropped, it is a client that left.
pub(crate) struct Reader {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let bytes = response.bytes_stream().map(|bytes| bytes.map(Vec::from)).boxed();
        Self { bytes, buffer: vec![] }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(event) = take(&mut self.buffer) {
                return Next::Event(event);
            }
            match tokio::time::timeout(SILENCE, self.bytes.next()).await {
                Err(_) => return Next::Silent,
                Ok(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
                // An end in the middle of an event is none.
                Ok(None) if self.buffer.is_empty() => return Next::End,
                Ok(_) => return Next::Broken,
            }
        }
    }
}

/// Reads `<ms>-<seq>`.
pub(crate) fn parse_id(text: &str) -> Option<Id> {
    let (millis, seq) = text.split_once('-')?;
    Some((millis.parse().ok()?, seq.parse().ok()?))
}

/// Takes the first whole event off the buffer; comments are skipped.
fn take(buffer: &mut Vec<u8>) -> Option<Event> {
    while let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
        let block: Vec<u8> = buffer.drain(..end + 4).collect();
        let mut event = Event { name: String::new(), data: String::new(), id: None };
        for line in String::from_utf8_lossy(&block[..end]).split("\r\n") {
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => data.clone_into(&mut event.data),
                Some(("id", id)) => event.id = parse_id(id),
                _ => {}
            }
        }
        if !event.name.is_empty() {
            return Some(event);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_events_are_taken_and_comments_skipped() {
        let mut buffer =
            b": heartbeat\r\n\r\nevent: a\r\ndata: [1]\r\nid: 7-0\r\n\r\nevent: b".to_vec();
        let event = Event { name: "a".into(), data: "[1]".into(), id: Some((7, 0)) };
        assert_eq!(take(&mut buffer), Some(event));
        assert_eq!(take(&mut buffer), None);
        assert_eq!(buffer, b"event: b");
    }
}
