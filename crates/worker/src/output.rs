//! What processes print: to the log, line by line, and the last of it kept to explain their end.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Lines kept.
const TAIL: usize = 8;
/// A longer line is cut in pieces.
const LINE: u64 = 8 << 10;

/// The last lines of a process's output.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock();
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines.
    pub(crate) fn text(&self) -> String {
        Vec::from(self.0.lock().clone()).join("\n")
    }
}

/// Logs a stream until it ends, under the place of its worker in the pool.
pub(crate) async fn log(stream: impl AsyncRead + Unpin, worker: usize, tail: Arc<Tail>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        tracing::info!(target: "worker", worker, "{text}");
        tail.push(text);
    }
}
