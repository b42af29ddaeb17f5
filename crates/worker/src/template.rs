//! A process that has loaded the graphs and forks workers, which share its memory and start at once.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    connection::{Receiver, Sender},
    pool::Inner,
    process::{self, Joined, NotJoined, Process},
    protocol::{self, FromWorker},
};

/// Whether workers are forked.
#[derive(Default)]
pub(crate) enum Forking {
    /// Not known yet.
    #[default]
    Unknown,
    /// From this process.
    From(Arc<Template>),
    /// What the graphs loaded does not survive a fork, or nobody wants it.
    Impossible,
}

/// The process that forks.
pub(crate) struct Template {
    sender: Sender,
    /// Exit codes of forked processes that nobody has asked for yet.
    exits: Mutex<HashMap<i32, i32>>,
    /// Told of every exit; closed when the template has ended.
    changes: watch::Receiver<()>,
}

impl Template {
    fn start(pool: &Arc<Inner>, joined: Joined) -> Arc<Self> {
        let Joined { process, sender, receiver, .. } = joined;
        let (told, changes) = watch::channel(());
        let template = Arc::new(Self { sender, exits: Mutex::default(), changes });
        pool.tasks.spawn(Arc::clone(&template).serve(Arc::clone(pool), process, receiver, told));
        template
    }

    async fn serve(
        self: Arc<Self>,
        pool: Arc<Inner>,
        mut process: Process,
        mut receiver: Receiver,
        told: watch::Sender<()>,
    ) {
        while let Some(Ok(Some(frame))) = pool.stopping.run_until_cancelled(receiver.next()).await {
            if let Ok(FromWorker::Exited { pid, code }) = protocol::decode(frame) {
                self.exits.lock().insert(pid, code);
                told.send_replace(());
            }
        }
        drop((told, receiver));
        let reason = process.explained("it ended".into()).await;
        if !pool.stopping.is_cancelled() {
            tracing::warn!("the process that forks workers: {reason}");
        }
    }

    /// Forks a process that connects to `socket`.
    pub(crate) fn fork(&self, socket: &str) {
        self.sender.send(protocol::fork(socket));
    }

    /// Kills a forked process.
    pub(crate) fn kill(&self, pid: i32) {
        self.sender.send(protocol::kill(pid));
    }

    /// Waits until a forked process has ended; `None` if that cannot be known any more.
    pub(crate) async fn exit_code(&self, pid: i32) -> Option<i32> {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            if let Some(code) = self.exits.lock().remove(&pid) {
                return Some(code);
            }
            changes.changed().await.ok()?;
        }
    }

    /// Returns when the template has ended.
    pub(crate) async fn ended(&self) {
        let mut changes = self.changes.clone();
        while changes.changed().await.is_ok() {}
    }

    fn is_alive(&self) -> bool {
        self.changes.has_changed().is_ok()
    }
}

/// Times that a process may be killed before it is ready until its graphs are suspected.
const KILLS: u32 = 5;

/// Gets a worker process in the cheapest way there is. A process that is killed meanwhile is replaced: the graphs are
/// given up only if they cannot be loaded.
pub(crate) async fn worker(pool: &Arc<Inner>, index: usize, life: u32) -> Result<Joined, String> {
    for kills in 1.. {
        match join(pool, &format!("{index}.{life}.{kills}"), index).await {
            Ok(joined) => return Ok(joined),
            Err(NotJoined { reason, was_killed: true }) if kills < KILLS => {
                tracing::warn!(worker = index, "a worker did not come to work: {reason}");
            }
            Err(NotJoined { reason, .. }) => return Err(reason),
        }
    }
    unreachable!("the last kill returns")
}

async fn join(pool: &Arc<Inner>, name: &str, index: usize) -> Result<Joined, NotJoined> {
    let template = {
        // Held while the template loads: the others wait for it.
        let mut forking = pool.forking.lock().await;
        if matches!(&*forking, Forking::From(template) if !template.is_alive()) {
            *forking = Forking::Unknown;
        }
        match &*forking {
            Forking::From(template) => Some(Arc::clone(template)),
            Forking::Impossible => None,
            Forking::Unknown => {
                let joined = process::spawn(pool, &format!("{name}t"), index, true).await?;
                if !joined.hello.can_fork {
                    tracing::debug!(
                        "loading the graphs left threads or connections: workers are not forked"
                    );
                    *forking = Forking::Impossible;
                    return Ok(joined);
                }
                let template = Template::start(pool, joined);
                *forking = Forking::From(Arc::clone(&template));
                Some(template)
            }
        }
    };
    match template {
        Some(template) => process::fork(pool, name, index, template).await,
        None => process::spawn(pool, name, index, false).await,
    }
}
