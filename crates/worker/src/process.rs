//! Worker processes: started or forked, until they have said hello, and their end.

use std::{os::unix::process::ExitStatusExt as _, path::Path, sync::Arc, time::Duration};

use tokio::{
    net::{UnixListener, UnixStream},
    process::Child,
};

use crate::{
    connection::{self, Receiver, Sender},
    output::{self, Tail},
    pool::Inner,
    protocol::{self, FromWorker, Hello, Init, Join},
    python,
    template::Template,
};

/// How long an interpreter may take to start, without the graphs.
const START: Duration = Duration::from_secs(60);
/// How long a process may take to end by itself once its connection is closed.
const LAST: Duration = Duration::from_secs(2);
/// Number of the signal that nobody sends to themselves: an operator does, or a machine short of memory.
const KILLED: i32 = 9;

/// A process that has loaded the graphs.
pub(crate) struct Joined {
    pub(crate) process: Process,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    pub(crate) hello: Hello,
}

/// Why there is no process that has loaded the graphs.
pub(crate) struct NotJoined {
    pub(crate) reason: String,
    /// Whether somebody killed it, or the process that should fork it: that says nothing about the graphs.
    pub(crate) was_killed: bool,
}

impl From<String> for NotJoined {
    fn from(reason: String) -> Self {
        Self { reason, was_killed: false }
    }
}

/// How a process ended that did not end well.
struct Failure {
    text: String,
    was_killed: bool,
}

/// A process, and what it said last.
pub(crate) struct Process {
    handle: Handle,
    tail: Arc<Tail>,
}

enum Handle {
    /// Started by this process.
    Child(Child),
    /// Forked by a template, which tells of its end.
    Forked { pid: i32, template: Arc<Template> },
}

/// Starts an interpreter and waits until it has loaded the graphs. `worker` is its place in the pool.
pub(crate) async fn spawn(
    pool: &Inner,
    name: &str,
    worker: usize,
    template: bool,
) -> Result<Joined, NotJoined> {
    let socket = pool.dir.socket(name);
    let listener = listen(&socket)?;
    let mut child = python::spawn(&pool.options, &pool.dir, &socket)?;
    let tail = Arc::new(Tail::default());
    if let Some(out) = child.stdout.take() {
        pool.tasks.spawn(output::log(out, worker, Arc::clone(&tail)));
    }
    if let Some(err) = child.stderr.take() {
        pool.tasks.spawn(output::log(err, worker, Arc::clone(&tail)));
    }
    let joined = load(pool, &listener, &mut child, template).await;
    let mut process = Process { handle: Handle::Child(child), tail };
    match joined {
        Ok((sender, receiver, hello)) => Ok(Joined { process, sender, receiver, hello }),
        Err(reason) => Err(process.not_joined(reason).await),
    }
}

async fn load(
    pool: &Inner,
    listener: &UnixListener,
    child: &mut Child,
    template: bool,
) -> Result<(Sender, Receiver, Hello), String> {
    let stream = tokio::select! {
        accepted = accept(listener) => accepted?,
        _ = child.wait() => return Err("it ended before it connected".into()),
    };
    let (sender, mut receiver) = connection::open(stream, &pool.tasks, pool.stopping.clone());
    join(&mut receiver).await?;
    let options = &pool.options;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let import_dirs: Vec<_> = options.import_dirs.iter().map(|dir| text(dir)).collect();
    sender.send(protocol::init(&Init {
        root: &text(&options.root),
        python_path: options.python_path.as_deref(),
        import_dirs: &import_dirs,
        graphs: options.graphs.iter().map(|spec| (&*spec.graph_id, &*spec.path)).collect(),
        auth: options.auth.as_deref(),
        encryption: options.encryption.as_deref(),
        facts: &options.facts,
        store: &options.store,
        template,
    }));
    let hello = hello(&mut receiver).await?;
    Ok((sender, receiver, hello))
}

/// Has a template fork a worker.
pub(crate) async fn fork(
    pool: &Inner,
    name: &str,
    worker: usize,
    template: Arc<Template>,
) -> Result<Joined, NotJoined> {
    let socket = pool.dir.socket(name);
    let listener = listen(&socket)?;
    template.fork(&socket.to_string_lossy());
    let stream = tokio::select! {
        accepted = accept(&listener) => accepted?,
        () = template.ended() => {
            let reason = "the process that forks workers has ended".into();
            return Err(NotJoined { reason, was_killed: true });
        }
    };
    let (sender, mut receiver) = connection::open(stream, &pool.tasks, pool.stopping.clone());
    let Join { pid, .. } = match join(&mut receiver).await {
        Ok(join) => join,
        // It has connected and not said who it is: somebody killed it in between.
        Err(reason) => return Err(NotJoined { reason, was_killed: true }),
    };
    let tail = Arc::new(Tail::default());
    let mut process = Process { handle: Handle::Forked { pid, template }, tail };
    let output = tokio::select! {
        accepted = accept(&listener) => accepted?,
        _ = process.failure() => {
            let reason = "it ended before it had output of its own".into();
            return Err(NotJoined { reason, was_killed: true });
        }
    };
    pool.tasks.spawn(output::log(output, worker, Arc::clone(&process.tail)));
    match hello(&mut receiver).await {
        Ok(hello) => Ok(Joined { process, sender, receiver, hello }),
        Err(reason) => Err(process.not_joined(reason).await),
    }
}

fn listen(socket: &Path) -> Result<UnixListener, String> {
    UnixListener::bind(socket)
        .map_err(|error| format!("the socket '{}' cannot be made: {error}", socket.display()))
}

async fn accept(listener: &UnixListener) -> Result<UnixStream, String> {
    let accepted = tokio::time::timeout(START, listener.accept()).await;
    let (stream, _) = accepted
        .map_err(|_| format!("it did not connect within {START:?}"))?
        .map_err(|error| format!("its connection failed: {error}"))?;
    Ok(stream)
}

async fn join(receiver: &mut Receiver) -> Result<Join, String> {
    let frame = next(receiver).await?;
    let join = protocol::join(&frame).map_err(|error| error.to_string())?;
    if join.protocol != protocol::PROTOCOL {
        return Err(format!("it speaks protocol {}", join.protocol));
    }
    Ok(join)
}

async fn hello(receiver: &mut Receiver) -> Result<Hello, String> {
    let frame = next(receiver).await?;
    match protocol::decode(frame) {
        Ok(FromWorker::Hello(Hello { error: Some(error), .. })) => Err(error),
        Ok(FromWorker::Hello(hello)) => Ok(hello),
        Ok(_) => Err("it did not say hello".into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn next(receiver: &mut Receiver) -> Result<protocol::Frame, String> {
    match receiver.next().await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err("it ended while it loaded the graphs".into()),
        Err(error) => Err(format!("its connection failed: {error}")),
    }
}

impl Process {
    /// Kills the process.
    pub(crate) async fn kill(&mut self) {
        match &mut self.handle {
            Handle::Child(child) => drop(child.kill().await),
            Handle::Forked { pid, template } => template.kill(*pid),
        }
    }

    /// Ends the process if it does not end by itself, and adds to the reason how it did and what it said last.
    pub(crate) async fn explained(&mut self, reason: String) -> String {
        self.not_joined(reason).await.reason
    }

    /// The same, for one that never came to serve.
    async fn not_joined(&mut self, reason: String) -> NotJoined {
        let status = match tokio::time::timeout(LAST, self.failure()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill().await;
                None
            }
        };
        let Some(Failure { text, was_killed }) = status else { return reason.into() };
        let tail = self.tail.text();
        let tail = if tail.is_empty() { tail } else { format!(": {tail}") };
        NotJoined { reason: format!("{reason} ({text}){tail}"), was_killed }
    }

    /// Waits for the end. `None` if it was an orderly one.
    async fn failure(&mut self) -> Option<Failure> {
        match &mut self.handle {
            Handle::Child(child) => {
                let status = child.wait().await.ok()?;
                let was_killed = status.signal() == Some(KILLED);
                (!status.success()).then(|| Failure { text: status.to_string(), was_killed })
            }
            Handle::Forked { pid, template } => {
                let code = template.exit_code(*pid).await?;
                let text = match code {
                    0 => return None,
                    1.. => format!("exit status: {code}"),
                    _ => format!("signal: {}", -code),
                };
                Some(Failure { text, was_killed: code == -KILLED })
            }
        }
    }
}
