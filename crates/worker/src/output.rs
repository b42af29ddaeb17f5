//! What processes print: to the log, line by line, and the last of it kept to explain their end.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Lines kept.
const TAIL: usize = 8;
/// A longer line is cut in pieces. The runner's are shorter: 8000 characters, of which each may take six bytes.
const LINE: u64 = 128 << 10;

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

/// What of a line is known beside its text. The runner writes it as JSON behind [`MARK`].
#[derive(Debug, Default, Deserialize)]
struct Entry {
    text: String,
    /// Of a log record; what is printed has none.
    level: Option<String>,
    logger: Option<String>,
    run_id: Option<String>,
    thread_id: Option<String>,
    assistant_id: Option<String>,
    graph_id: Option<String>,
    attempt: Option<u32>,
}

/// What lines begin with of which more is known.
const MARK: char = '\u{1f}';

impl Entry {
    fn of(line: &str) -> Self {
        let entry = line.strip_prefix(MARK).and_then(|json| serde_json::from_str(json).ok());
        entry.unwrap_or_else(|| Self { text: line.to_owned(), ..Self::default() })
    }

    /// Writes it to the log.
    fn log(&self, worker: usize) {
        let Self { text, level, logger, run_id, thread_id, assistant_id, graph_id, attempt } = self;
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    target: "worker",
                    logger = logger.as_deref(),
                    worker,
                    run_id = run_id.as_deref(),
                    thread_id = thread_id.as_deref(),
                    assistant_id = assistant_id.as_deref(),
                    graph_id = graph_id.as_deref(),
                    attempt,
                    "{text}"
                )
            };
        }
        match level.as_deref() {
            Some("error") => log!(error),
            Some("warn") => log!(warn),
            Some("debug") => log!(debug),
            _ => log!(info),
        }
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
        let entry = Entry::of(String::from_utf8_lossy(&line).trim_end());
        entry.log(worker);
        for line in entry.text.lines() {
            tail.push(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_mark_say_whose_they_are() {
        let entry = Entry::of("\u{1f}{\"text\": \"a\\nb\", \"run_id\": \"r\", \"attempt\": 2}");
        let known = (entry.text.as_str(), entry.run_id.as_deref(), entry.attempt);
        assert_eq!(known, ("a\nb", Some("r"), Some(2)));
        for plain in ["plain", "\u{1f}no entry", "{\"text\": 1}", ""] {
            let entry = Entry::of(plain);
            assert_eq!((entry.text.as_str(), entry.run_id), (plain, None));
        }
    }
}
