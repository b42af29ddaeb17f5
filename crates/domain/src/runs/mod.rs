//! Runs: create, get, list, delete; how they are queued, executed, ended and cancelled.
//!
//! The life of a run, file by file: [`kwargs`] merges what it was asked for, `create` commits it as `plan` decides (with a key of
//! `once` only once, within the `limits`), `dispatch` gives it to a host, `sink` takes what comes back, `end` commits how it ended, `row` what the thread
//! shows then, `circumstances` names an attempt in the log and in traces, `apart` knows which attempts get a process of their own, `cancel` and `timeout` end it before its graph has
//! (`early`), `stop` lets it go when the server stops, [`result`] tells who waits.
//!
//! Source: reference/runs-and-threads.md, sections 5 to 12.

mod apart;
mod cancel;
mod circumstances;
mod create;
mod dispatch;
mod early;
mod end;
pub mod kwargs;
mod limits;
mod nested;
mod once;
pub(crate) mod origin;
mod plan;
mod question;
pub mod result;
mod row;
mod sink;
mod stop;
mod timeout;

use agent_server_storage::{
    Cost, Page, RunId, Scope, ThreadId,
    runs::{Run, RunStatus},
    threads::Columns,
};

use crate::{
    Caller, Domain, Error, Result,
    stream::{From, Listener, parse_id},
    threads::not_found,
};

pub(crate) use apart::Apart;
pub use cancel::{CancelAction, Selection};
pub use create::{Created, Target};
pub use limits::Limits;
pub(crate) use nested::Nested;
pub use nested::Within;
pub use once::Once;
pub(crate) use plan::runnable;
pub(crate) use sink::Buffers;
pub(crate) use sink::Sink;

/// A run and, if it is not over, its events from the place asked for.
pub struct Joined {
    /// The run as it is now.
    pub run: Run,
    /// Its events; `None` when it is over and none were asked for.
    pub listener: Option<Listener>,
}

impl std::convert::From<Created> for Joined {
    fn from(created: Created) -> Self {
        Self { run: created.run, listener: Some(created.listener) }
    }
}

impl Domain {
    /// One run of a thread.
    ///
    /// # Errors
    /// `NotFound` for thread or run.
    pub async fn get_run(&self, caller: &Caller, thread: ThreadId, id: RunId) -> Result<Run> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Point, move |tx| {
                if let Some(run) = tx.get_run(&scope, thread, id)? {
                    return Ok(run);
                }
                Err(match tx.get_thread(&scope, thread, Columns::Header)? {
                    Some(_) => Error::NotFound("Not Found".into()),
                    None => not_found(thread),
                })
            })
            .await
    }

    /// A run whose thread the caller does not know (stateless runs).
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_run(&self, caller: &Caller, id: RunId) -> Result<Run> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Point, move |tx| tx.find_run(&scope, id).map_err(Error::from))
            .await?
            .ok_or_else(|| Error::NotFound("Not Found".into()))
    }

    /// Runs of a thread, newest first.
    ///
    /// # Errors
    /// `NotFound` for the thread.
    pub async fn list_runs(
        &self,
        caller: &Caller,
        thread: ThreadId,
        status: Option<RunStatus>,
        page: Page,
    ) -> Result<Vec<Run>> {
        let scope = caller.threads.clone();
        self.storage()
            .read(Cost::Scan, move |tx| {
                if tx.get_thread(&scope, thread, Columns::Header)?.is_none() {
                    return Err(not_found(thread));
                }
                Ok(tx.list_runs(&scope, thread, status, page)?)
            })
            .await
    }

    /// Deletes a run with the checkpoints that it made. A run in flight loses its lease first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_run(&self, caller: &Caller, thread: ThreadId, id: RunId) -> Result<()> {
        let (scope, now) = (caller.threads.clone(), self.now());
        let run = self
            .storage()
            .write(move |tx| {
                let missing = || Error::NotFound("Run not found".into());
                let run = tx.get_run(&scope, thread, id)?.ok_or_else(missing)?;
                tx.delete_run(&scope, id)?;
                tx.delete_checkpoints_of_run(thread, id)?;
                row::recompute(tx, thread, now)?;
                Ok::<_, Error>(run)
            })
            .await?;
        if !run.status.is_terminal() {
            self.abandon(&run);
        }
        self.0.wake.notify_one();
        Ok(())
    }

    /// Joins a run: its events from now on, or after `last_event_id` where they are kept.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn join_run(
        &self,
        caller: &Caller,
        thread: ThreadId,
        id: RunId,
        last_event_id: Option<&str>,
    ) -> Result<Joined> {
        let run = self.get_run(caller, thread, id).await?;
        if let Some(depth) = self.0.nested.depth_within(caller.within)
            && !run.status.is_terminal()
        {
            self.0.nested.note(id, thread, depth);
            // Should it have ended meanwhile, the dispatcher finds that out, too.
            self.0.wake.notify_one();
        }
        self.listen(run, last_event_id).await
    }

    /// Listens to a run that was just read.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn listen(&self, run: Run, last_event_id: Option<&str>) -> Result<Joined> {
        let resumable = kwargs::is_resumable(&run.kwargs);
        // Text that is no id matches no event.
        let from = match last_event_id.filter(|_| resumable).map(parse_id) {
            Some(Some(id)) => From::After(id),
            _ => From::Now,
        };
        if let Some(log) = self.0.streams.find(run.run_id) {
            let listener = self.listen_to(log, from);
            return Ok(Joined { run, listener: Some(listener) });
        }
        if run.status.is_terminal() {
            return Ok(self.joined_late(run, from));
        }
        // In flight without a log: it was accepted by an earlier process. Make the log, then look again: had the run
        // ended in between, nobody would close what was just opened.
        let (thread, id) = (run.thread_id, run.run_id);
        let listener = self.listen_to(self.0.streams.open(id, thread, resumable), from);
        let again = self
            .storage()
            .read(Cost::Point, move |tx| {
                tx.get_run(&Scope::server(), thread, id).map_err(Error::from)
            })
            .await?;
        match again {
            Some(run) if !run.status.is_terminal() => Ok(Joined { run, listener: Some(listener) }),
            ended => {
                self.0.streams.discard(id);
                Ok(self.joined_late(ended.unwrap_or(run), from))
            }
        }
    }

    /// Joins a run that is over: what it has sent is in storage, if it is anywhere.
    fn joined_late(&self, run: Run, from: From) -> Joined {
        let listener =
            matches!(from, From::After(_)).then(|| self.replay(run.thread_id, run.run_id, from));
        Joined { run, listener }
    }
}

/// Whether the thread of a run goes away at its end. One whose events can be replayed stays as long as they do: it was made
/// with a lifetime.
fn vanishes(run: &Run) -> bool {
    run.temporary && !kwargs::is_resumable(&run.kwargs)
}
