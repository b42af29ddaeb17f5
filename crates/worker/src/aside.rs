//! A Python process beside the workers, which answers questions with an object of the project: its authentication, its
//! encryption.
//!
//! A process of its own, because every request waits for it: a graph that blocks its worker or takes it down must not stop
//! everybody. A handler that hangs is given up after a while, and the process with it if it does not let go.

mod nobody;

use std::{io, sync::Arc, time::Duration};

use agent_server_domain::{
    Error,
    ports::{Answer, GraphHost as _},
};
use tokio::sync::oneshot;

use crate::{Options, Pool, protocol::Handlers, worker::Worker};

/// How long a handler that was told to stop gets to do so.
const LETTING_GO: Duration = Duration::from_secs(1);
/// How long the other questions of a process that is given up get to be answered.
const DRAIN: Duration = Duration::from_secs(5);

/// The process.
pub(crate) struct Aside {
    pool: Pool,
    /// What it does, for the log.
    name: &'static str,
    /// How long a handler may take.
    limit: Duration,
}

impl Aside {
    /// Starts the process. Returns at once.
    pub(crate) fn start(name: &'static str, options: Options, limit: Duration) -> io::Result<Self> {
        let options = Options { graphs: vec![], workers: 1, drain: DRAIN, ..options };
        let pool = Pool::start(options, Arc::new(nobody::Nobody))?;
        Ok(Self { pool, name, limit })
    }

    /// The handlers, waited for while they are being loaded. Errors: why they cannot be.
    pub(crate) async fn handlers(&self) -> Result<Arc<Handlers>, String> {
        self.pool.0.handlers().await
    }

    /// Asks the process. Errors: why nobody answers.
    pub(crate) async fn ask(
        &self,
        frame: impl Fn(u64) -> Vec<u8>,
    ) -> Result<Result<Answer, Error>, String> {
        // Once more if the process died: it may have died of another's question.
        for _ in 0..2 {
            let worker = tokio::time::timeout(self.limit, self.pool.0.any_worker()).await;
            let worker = worker.ok().flatten().ok_or("there is no process to ask")?;
            let (job, mut answer) = worker.ask(&frame);
            match tokio::time::timeout(self.limit, &mut answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => {}
                Err(_) => {
                    if let Some(job) = job {
                        self.pool.0.tasks.spawn(give_up(self.name, worker, job, answer));
                    }
                    return Err(format!("a handler took longer than {:?}", self.limit));
                }
            }
        }
        Err("the process of the handlers died twice while it was asked".into())
    }

    /// Ends the process.
    pub(crate) async fn shutdown(&self) {
        self.pool.shutdown().await;
    }
}

/// Makes a handler stop, or ends the process that it keeps from working.
async fn give_up(
    name: &str,
    worker: Arc<Worker>,
    job: u64,
    answer: oneshot::Receiver<Result<Answer, Error>>,
) {
    worker.drop_question(job);
    let stopped = tokio::time::timeout(LETTING_GO, answer).await;
    // What is unavailable is a thread that goes on.
    let is_free = matches!(stopped, Ok(Ok(Ok(_) | Err(Error::Refused(_)))));
    if !is_free {
        tracing::warn!("a handler of the {name} cannot be stopped; its process is replaced");
        worker.give_up();
    }
}
