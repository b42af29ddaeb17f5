//! The life of worker processes: start, handshake, service, end, and again.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::UnixListener,
    process::Child,
};

use crate::{
    connection::{self, Receiver, Sender},
    pool::Inner,
    protocol::{self, FromWorker, Hello, Init},
    python,
    worker::Worker,
};

/// How long an interpreter may take to start, without the graphs.
const START: Duration = Duration::from_secs(60);
/// A worker that lived this long is started again at once.
const HEALTHY: Duration = Duration::from_secs(10);
/// First and longest pause before a worker that fails is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How long a process may take to end by itself once its connection is closed.
const LAST: Duration = Duration::from_secs(2);
/// Lines of output kept to explain why a process ended.
const TAIL: usize = 8;
/// Longest line of output that is kept whole.
const LINE: u64 = 8 << 10;

/// Starts the pool's workers.
pub(crate) fn start(pool: &Arc<Inner>) {
    for index in 0..pool.options.workers.max(1) {
        let pool = Arc::clone(pool);
        pool.tasks.clone().spawn(async move { keep_alive(&pool, index).await });
    }
}

/// How the life of a process ended.
enum End {
    /// It was given up; another takes its place while it winds down.
    Retired,
    /// It ended, or could not be started.
    Died(String),
    /// The server stops.
    Stopped,
}

async fn keep_alive(pool: &Arc<Inner>, index: usize) {
    let mut pause = PAUSE.0;
    for life in 0.. {
        if pool.stopping.is_cancelled() {
            return;
        }
        let start = Instant::now();
        match live(pool, index, life).await {
            End::Retired | End::Stopped => {}
            End::Died(reason) => {
                tracing::error!(worker = index, "worker ended: {reason}");
                if start.elapsed() >= HEALTHY {
                    pause = PAUSE.0;
                }
                pool.stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

async fn live(pool: &Arc<Inner>, index: usize, life: u32) -> End {
    let mut process = match Process::start(pool, index, life) {
        Ok(process) => process,
        Err(reason) => {
            pool.failed(&reason);
            return End::Died(reason);
        }
    };
    let joined = pool.stopping.run_until_cancelled(process.handshake(pool)).await;
    let (sender, receiver, hello) = match joined {
        None => return End::Stopped,
        Some(Ok(joined)) => joined,
        Some(Err(reason)) => {
            let reason = process.explained(reason).await;
            pool.failed(&reason);
            return End::Died(reason);
        }
    };
    tracing::info!(
        worker = index,
        pid = process.child.id(),
        python = hello.python,
        langgraph = hello.langgraph,
        "worker is ready"
    );
    let worker = Arc::new(Worker::new(
        index,
        sender,
        Arc::clone(&pool.sink),
        pool.tasks.clone(),
        pool.stopping.clone(),
        pool.options.grace,
    ));
    pool.joined(Arc::clone(&worker), &hello);
    let served = pool.tasks.spawn(Arc::clone(&worker).serve(receiver));
    tokio::select! {
        ended = served => {
            pool.left(&worker);
            let reason = ended.unwrap_or_else(|error| error.to_string());
            let reason = process.explained(reason).await;
            if pool.stopping.is_cancelled() { End::Stopped } else { End::Died(reason) }
        }
        () = worker.retired.cancelled() => {
            let pool = Arc::clone(pool);
            pool.tasks.clone().spawn(async move {
                tokio::select! {
                    () = pool.stopping.cancelled() => {}
                    _ = tokio::time::timeout(pool.options.drain, worker.until_idle()) => {}
                }
                let _ = process.child.kill().await;
                pool.left(&worker);
            });
            End::Retired
        }
    }
}

/// A process and what it said last.
struct Process {
    index: usize,
    child: Child,
    listener: UnixListener,
    tail: Arc<Tail>,
}

impl Process {
    fn start(pool: &Inner, index: usize, life: u32) -> Result<Self, String> {
        let socket = pool.dir.socket(&format!("{index}.{life}"));
        let listener = UnixListener::bind(&socket).map_err(|error| {
            format!("the socket '{}' cannot be made: {error}", socket.display())
        })?;
        let mut child = python::spawn(&pool.options, &pool.dir, &socket)?;
        let tail = Arc::new(Tail::default());
        if let Some(out) = child.stdout.take() {
            pool.tasks.spawn(log_lines(out, index, Arc::clone(&tail)));
        }
        if let Some(err) = child.stderr.take() {
            pool.tasks.spawn(log_lines(err, index, Arc::clone(&tail)));
        }
        Ok(Self { index, child, listener, tail })
    }

    /// Lets the process connect, tells it what to load, and waits until it has.
    async fn handshake(&mut self, pool: &Inner) -> Result<(Sender, Receiver, Hello), String> {
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(START, self.listener.accept()) => accepted,
            _ = self.child.wait() => return Err("it ended before it connected".into()),
        };
        let (stream, _) = accepted
            .map_err(|_| format!("it did not connect within {START:?}"))?
            .map_err(|error| format!("its connection failed: {error}"))?;
        let (sender, mut receiver) = connection::open(stream, &pool.tasks, pool.stopping.clone());
        let frame = next(&mut receiver).await?;
        let join = protocol::join(&frame).map_err(|error| error.to_string())?;
        if join.protocol != protocol::PROTOCOL {
            return Err(format!("it speaks protocol {}", join.protocol));
        }
        sender.send(init(pool));
        let frame = next(&mut receiver).await?;
        match protocol::decode(frame) {
            Ok(FromWorker::Hello(Hello { error: Some(error), .. })) => Err(error),
            Ok(FromWorker::Hello(hello)) => Ok((sender, receiver, hello)),
            Ok(_) => Err("it did not say hello".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends the process if it has not ended, and adds to the reason how it did and what it said last.
    async fn explained(&mut self, reason: String) -> String {
        let ended = tokio::time::timeout(LAST, self.child.wait()).await;
        let status = match ended {
            Ok(Ok(status)) if !status.success() => format!(" ({status})"),
            Ok(_) => String::new(),
            Err(_) => {
                let _ = self.child.kill().await;
                String::new()
            }
        };
        let tail = self.tail.text();
        tracing::debug!(worker = self.index, "process ended");
        if status.is_empty() || tail.is_empty() {
            format!("{reason}{status}")
        } else {
            format!("{reason}{status}: {tail}")
        }
    }
}

async fn next(receiver: &mut Receiver) -> Result<protocol::Frame, String> {
    match receiver.next().await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err("it ended while it loaded the graphs".into()),
        Err(error) => Err(format!("its connection failed: {error}")),
    }
}

fn init(pool: &Inner) -> Vec<u8> {
    let options = &pool.options;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let import_dirs: Vec<_> = options.import_dirs.iter().map(|dir| text(dir)).collect();
    protocol::init(&Init {
        root: &text(&options.root),
        python_path: options.python_path.as_deref(),
        import_dirs: &import_dirs,
        graphs: options.graphs.iter().map(|spec| (&*spec.graph_id, &*spec.path)).collect(),
        facts: options.facts.iter().map(|(name, value)| (&**name, &**value)).collect(),
    })
}

/// The last lines of a process's output.
#[derive(Default)]
struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock();
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        Vec::from(self.0.lock().clone()).join("\n")
    }
}

/// Writes what a process prints to the log, line by line, until it closes the stream.
async fn log_lines(stream: impl AsyncRead + Unpin, worker: usize, tail: Arc<Tail>) {
    use tokio::io::AsyncReadExt;

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
