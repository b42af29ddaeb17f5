//! What server and application say to each other about one call.
//!
//! ```text
//! u32 length of the payload (little endian) | u8 kind | payload
//! ```
//!
//! | kind | from | payload |
//! |---|---|---|
//! | `s` | server | scope: JSON |
//! | `b`, `e` | server | a part of the body; the last one |
//! | `t`, `x` | server | a text or binary message of a WebSocket |
//! | `c` | server | its end: JSON `{code, reason}` |
//! | `S` | application | head of the answer: JSON `{status, headers [[name, value]]}` (bytes as Latin-1) |
//! | `B`, `E` | application | a part of the answer's body; its end |
//! | `A` | application | a WebSocket is accepted: JSON `{subprotocol, headers}` |
//! | `T`, `X`, `C` | application | as `t`, `x`, `c` |

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
};

/// A longer frame is a mistake, not a frame.
const MAX_LENGTH: usize = 1 << 30;

/// Writes a frame.
pub(super) async fn write(half: &mut OwnedWriteHalf, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = BytesMut::with_capacity(5 + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&[kind]);
    frame.extend_from_slice(payload);
    half.write_all(&frame).await
}

/// Reads frames.
pub(super) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Reader {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self { half, buffer: BytesMut::new() }
    }

    /// The next frame; `None` when the application has closed the connection. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u8, Bytes)>> {
        loop {
            if let Some(&[a, b, c, d, kind]) = self.buffer.first_chunk::<5>() {
                let length = u32::from_le_bytes([a, b, c, d]) as usize;
                if length > MAX_LENGTH {
                    return Err(io::Error::other("the length of a frame is impossible"));
                }
                if self.buffer.len() >= 5 + length {
                    let mut frame = self.buffer.split_to(5 + length);
                    return Ok(Some((kind, frame.split_off(5).freeze())));
                }
                self.buffer.reserve(5 + length - self.buffer.len());
            } else {
                self.buffer.reserve(8 << 10);
            }
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, mut write_half) = ours.into_split();
        let mut reader = Reader::new(theirs.into_split().0);
        let large = vec![7; 100_000];
        let sending = tokio::spawn(async move {
            write(&mut write_half, b'b', b"").await.unwrap();
            write(&mut write_half, b'e', &large).await.unwrap();
        });
        assert_eq!(reader.next().await.unwrap(), Some((b'b', Bytes::new())));
        let (kind, payload) = reader.next().await.unwrap().unwrap();
        assert_eq!((kind, payload.len()), (b'e', 100_000));
        sending.await.unwrap();
        assert_eq!(reader.next().await.unwrap(), None);
    }
}
