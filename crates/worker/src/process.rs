//! Worker processes: started or forked, until they have said hello, and their end.

use std::{path::Path, sync::Arc, time::Duration};

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

/// A process that has loaded the graphs.
pub(crate) struct Joined {
    pub(crate) process: Process,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    pub(crate) hello: Hello,
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
) -> Result<Joined, String> {
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
        Err(reason) => Err(process.explained(reason).await),
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
        facts: &options.facts,
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
) -> Result<Joined, String> {
    let socket = pool.dir.socket(name);
    let listener = listen(&socket)?;
    template.fork(&socket.to_string_lossy());
    let stream = tokio::select! {
        accepted = accept(&listener) => accepted?,
        () = template.ended() => return Err("the process that forks workers has ended".into()),
    };
    let (sender, mut receiver) = connection::open(stream, &pool.tasks, pool.stopping.clone());
    let Join { pid, .. } = join(&mut receiver).await?;
    let tail = Arc::new(Tail::default());
    let mut process = Process { handle: Handle::Forked { pid, template }, tail };
    let output = accept(&listener).await?;
    pool.tasks.spawn(output::log(output, worker, Arc::clone(&process.tail)));
    match hello(&mut receiver).await {
        Ok(hello) => Ok(Joined { process, sender, receiver, hello }),
        Err(reason) => Err(process.explained(reason).await),
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
        let status = match tokio::time::timeout(LAST, self.failure()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill().await;
                None
            }
        };
        match (status, self.tail.text()) {
            (None, _) => reason,
            (Some(status), tail) if tail.is_empty() => format!("{reason} ({status})"),
            (Some(status), tail) => format!("{reason} ({status}): {tail}"),
        }
    }

    /// Waits for the end. `None` if it was an orderly one.
    async fn failure(&mut self) -> Option<String> {
        match &mut self.handle {
            Handle::Child(child) => {
                let status = child.wait().await.ok()?;
                (!status.success()).then(|| status.to_string())
            }
            Handle::Forked { pid, template } => match template.exit_code(*pid).await? {
                0 => None,
                code @ 1.. => Some(format!("exit status: {code}")),
                signal => Some(format!("signal: {}", -signal)),
            },
        }
    }
}
