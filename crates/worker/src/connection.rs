//! A connection to a worker: frames in, frames out.

use std::io;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::protocol::Frame;

/// Space that a read asks for; a burst of small frames is read at once.
const READ_SIZE: usize = 64 << 10;
/// Most frames that are put together to one write.
const BATCH: usize = 64;

/// Sends frames without waiting; they leave in order. The connection is closed when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Sender(mpsc::UnboundedSender<Vec<u8>>);

impl Sender {
    /// Sends a frame. What is sent to a dead worker is lost; its end is noticed by the reader.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let _ = self.0.send(frame);
    }
}

/// Receives frames.
pub(crate) struct Receiver {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Receiver {
    /// The next frame; `None` when the worker has closed the connection.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = Frame::next(&mut self.buffer).map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_SIZE);
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Splits a stream into its two directions. Nothing is written once `stop` is cancelled.
pub(crate) fn open(
    stream: UnixStream,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> (Sender, Receiver) {
    let (read, write) = stream.into_split();
    let (sender, frames) = mpsc::unbounded_channel();
    tasks.spawn(async move { stop.run_until_cancelled(write_frames(write, frames)).await });
    (Sender(sender), Receiver { half: read, buffer: BytesMut::new() })
}

async fn write_frames(mut half: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        if frames.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let written = match &batch[..] {
            [one] => half.write_all(one).await,
            many => half.write_all(&many.concat()).await,
        };
        if written.is_err() {
            return;
        }
    }
}
