//! Frames between server and workers.
//!
//! ```text
//! u32 length | u8 kind | u32 header length | header: JSON | (u32 length | bytes)*
//! ```
//!
//! All numbers are little endian; the first length counts everything after itself. A header is small; everything that
//! belongs to users or to the library is a blob, so that it passes through without being parsed. Frames of a connection
//! are processed in the order in which they were sent. A *job* is a run or a question; its number is the server's and
//! goes with every frame about it. A *request* (`load`, `store`, `flush`) has an id and is answered by a `reply`.
//!
//! | kind | from | header | blobs |
//! |---|---|---|---|
//! | `join` 1 | worker | pid, protocol | |
//! | `hello` 2 | worker | pid, versions, error, graphs `[{graph_id, name, error}]`, can_fork, auth `{parameters, events}`, encryption `{hooks}` | |
//! | `event` 3 | worker | `[job, name]` | data |
//! | `put` 4 | worker | job, ns, id, parent, ts, step, source, refs `[[channel, version]]`, blobs `[[channel, version, type]]` | metadata, small part, one per blob |
//! | `writes` 5 | worker | job, ns, checkpoint, task, path, writes `[[idx, channel, type]]` | status, one per write |
//! | `base` 6 | worker | job, ns, checkpoint, next, tasks | values; none: those of the job's last root `values` event |
//! | `load` 7 | worker | job, id, thread, ns, checkpoint | |
//! | `store` 8 | worker | id, ops | |
//! | `flush` 9 | worker | job, id | |
//! | `done` 10 | worker | job, ending, error, message, threads, live `{checkpoint, pending, of_base}` | interrupts, state (`of_base`: without its values, which are those of the last root base) |
//! | `answer` 11 | worker | job, error `{kind, message}`, live | answer, then as `done` |
//! | `settled` 12 | worker | job | |
//! | `exited` 13 | template | pid, code (negative: signal) | |
//! | `started` 14 | worker | job, id: null, or that of a request where the order came late | |
//! | `pong` 15 | worker | | |
//! | `init` 32 | server | root, python_path, import_dirs, graphs, auth and encryption (`path:variable`), facts, store `{ttl, embed}`, template | |
//! | `run` 33 | server | job, sent (seconds since 1970), run_id, attempt, graph, temporary, head, tuple | kwargs, then the tuple's |
//! | `reply` 34 | server | id, error, tuple or answers | the tuple's, or one per item: its value |
//! | `cancel` 35 | server | job | |
//! | `ask` 36 | server | job, graph, kind, … | config, values; kind `embed`: the values to be embedded |
//! | `fork` 37 | server, to a template | path | |
//! | `kill` 38 | server, to a template | pid | |
//! | `yield` 39 | server | job | |
//! | `ping` 40 | server | | |
//! | `authenticate` 41 | server | job, method, path, query, headers `[[name, value]]` (bytes as Latin-1) | |
//! | `authorize` 42 | server | job, resource, action | user, value |
//! | `encrypt` 43 | server | job, parts `[{kind, model, field, context}]`; kind `json` or `blob` | one per part |
//! | `decrypt` 44 | server | as `encrypt` | one per part |
//! | `context` 45 | server | job | user, context |
//!
//! A *tuple* is `{ns, id, parent, blobs [[channel, version, type]], writes [[task, idx, channel, type]]}` with the blobs
//! metadata, small part, one per blob, one per write.
//!
//! `authenticate` and `authorize` are questions, and go to a process that has loaded the project's authentication instead of
//! its graphs. The JSON of their `answer` is `{"user": {identity, permissions, fields}}`, `{"filter", "value"}` (each may be
//! null) or `{"refusal": {status, detail, headers, cause}}`.
//!
//! `encrypt`, `decrypt` and `context` go to a process that has loaded the project's encryption. The JSON of their `answer` is
//! `{"parts": [{data, replacement}]}` (blobs in base64), `{"context"}` or `{"error", "trace"}`.

mod incoming;
mod outgoing;

use bytes::{Buf, Bytes, BytesMut};

pub(crate) use incoming::{
    AnswerError, Asked, FromWorker, Handlers, Hello, Join, Live, decode, join,
};
pub(crate) use outgoing::{
    Init, ask, authenticate, authorize, cancel, context, crypt, embed, fork, init, kill, let_go,
    ping, refusal, run, stored, tuple_reply,
};

/// Both sides must have the same.
pub(crate) const PROTOCOL: u32 = 1;

/// A longer frame is a mistake, not a frame.
const MAX_LENGTH: usize = 1 << 30;

/// The kinds of frames, see the table above.
pub(crate) mod kind {
    pub(crate) const JOIN: u8 = 1;
    pub(crate) const HELLO: u8 = 2;
    pub(crate) const EVENT: u8 = 3;
    pub(crate) const PUT: u8 = 4;
    pub(crate) const WRITES: u8 = 5;
    pub(crate) const BASE: u8 = 6;
    pub(crate) const LOAD: u8 = 7;
    pub(crate) const STORE: u8 = 8;
    pub(crate) const FLUSH: u8 = 9;
    pub(crate) const DONE: u8 = 10;
    pub(crate) const ANSWER: u8 = 11;
    pub(crate) const SETTLED: u8 = 12;
    pub(crate) const EXITED: u8 = 13;
    pub(crate) const STARTED: u8 = 14;
    pub(crate) const PONG: u8 = 15;
    pub(crate) const INIT: u8 = 32;
    pub(crate) const RUN: u8 = 33;
    pub(crate) const REPLY: u8 = 34;
    pub(crate) const CANCEL: u8 = 35;
    pub(crate) const ASK: u8 = 36;
    pub(crate) const FORK: u8 = 37;
    pub(crate) const KILL: u8 = 38;
    pub(crate) const YIELD: u8 = 39;
    pub(crate) const PING: u8 = 40;
    pub(crate) const AUTHENTICATE: u8 = 41;
    pub(crate) const AUTHORIZE: u8 = 42;
    pub(crate) const ENCRYPT: u8 = 43;
    pub(crate) const DECRYPT: u8 = 44;
    pub(crate) const CONTEXT: u8 = 45;
}

/// What is wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bytes are no frame.
    #[error("a frame is damaged: {0}")]
    Damaged(&'static str),
    /// The header is not what its kind says.
    #[error("a frame of kind {kind} has a bad header: {source}")]
    Header {
        /// Kind of the frame.
        kind: u8,
        /// What serde says.
        source: serde_json::Error,
    },
}

/// A frame taken apart.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) header: Bytes,
    pub(crate) blobs: Vec<Bytes>,
}

impl Frame {
    /// Takes the next whole frame off `buffer`; `None` if it is not there yet.
    pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Self>, Error> {
        let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_LENGTH {
            return Err(Error::Damaged("its length is impossible"));
        }
        if buffer.len() < 4 + length {
            buffer.reserve(4 + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(4);
        let mut body = buffer.split_to(length).freeze();
        if body.len() < 5 {
            return Err(Error::Damaged("it is too short"));
        }
        let kind = body.get_u8();
        let header = take(&mut body)?;
        let mut blobs = Vec::new();
        while body.has_remaining() {
            blobs.push(take(&mut body)?);
        }
        Ok(Some(Self { kind, header, blobs }))
    }
}

/// Takes a length and so many bytes.
fn take(body: &mut Bytes) -> Result<Bytes, Error> {
    let length = body.try_get_u32_le().map_err(|_| Error::Damaged("a length is missing"))? as usize;
    if length > body.len() {
        return Err(Error::Damaged("a part is longer than the frame"));
    }
    Ok(body.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_when_it_is_whole() {
        let whole = outgoing::cancel(7);
        let mut buffer = BytesMut::new();
        for byte in &whole[..whole.len() - 1] {
            buffer.extend_from_slice(&[*byte]);
            assert!(Frame::next(&mut buffer).expect("no damage").is_none());
        }
        buffer.extend_from_slice(&whole[whole.len() - 1..]);
        let frame = Frame::next(&mut buffer).expect("no damage").expect("a frame");
        assert_eq!((frame.kind, &frame.header[..]), (kind::CANCEL, &br#"{"job":7}"#[..]));
        assert!(frame.blobs.is_empty() && buffer.is_empty());
    }

    #[test]
    fn a_part_longer_than_its_frame_is_damage() {
        let mut buffer = BytesMut::from(&[6, 0, 0, 0, kind::EVENT, 200, 0, 0, 0, 1][..]);
        assert!(Frame::next(&mut buffer).is_err());
    }
}
