//! Keeping the events of resumable runs, joining, and forgetting.

use std::{sync::Arc, time::Duration};

use agent_server_storage::{
    RunId, ThreadId, Timestamp,
    threads::{Ttl, TtlStrategy},
};
use chrono::TimeDelta;
use serde_json::json;

use super::{From, Listener, Log, listener::Archive, parse_id};
use crate::{Caller, Domain, Error, Result, ports::Event, state::StateAt};

/// Longest time between the end of the time that events are kept and their removal.
const SWEEP: Duration = Duration::from_secs(60);

impl Domain {
    /// Listens to a run that has a log.
    pub(crate) fn listen_to(&self, log: Arc<Log>, from: From) -> Listener {
        let archive = log.is_resumable().then(|| self.archive());
        self.listener(log, from, archive)
    }

    fn listener(&self, log: Arc<Log>, from: From, archive: Option<Archive>) -> Listener {
        Listener::new(log, from, archive, Arc::clone(&self.0.clock))
    }

    /// What an ended resumable run has sent after an event.
    pub(crate) fn replay(&self, thread: ThreadId, run: RunId, from: From) -> Listener {
        self.listener(Arc::new(Log::over(thread, run)), from, Some(self.archive()))
    }

    /// Follows a thread: the events of all its runs, those to come included, from now on or after `last_event_id` where
    /// they are kept.
    ///
    /// # Errors
    /// `Invalid` for an id that is none, `NotFound`.
    pub async fn join_thread(
        &self,
        caller: &Caller,
        thread: ThreadId,
        last_event_id: Option<&str>,
    ) -> Result<Listener> {
        let refused =
            || Error::Invalid("Invalid last-event-id: must be a valid Redis stream ID".into());
        let after = last_event_id.map(|text| parse_id(text).ok_or_else(refused)).transpose()?;
        self.thread_header(&caller.threads, thread).await?;
        let log = self.0.streams.open_thread(thread);
        if after.is_some() {
            self.save_thread(thread).await?;
        }
        let from = after.map_or(From::Now, From::After);
        Ok(self.listener(log, from, Some(self.archive())))
    }

    /// Follows what is kept of a thread: the stored events of all its runs, from the first on, and those to come as soon as
    /// they are stored. What was given is there again for whoever comes later, whatever happens to the server. Of a thread
    /// that is not there, or that the caller may not read, nothing is given until it is and he may.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn follow_kept(&self, caller: &Caller, thread: ThreadId) -> Result<Listener> {
        let log = self.0.streams.open_kept(thread);
        self.save_thread(thread).await?;
        let listener = self.listener(log, From::Start, Some(self.archive()));
        Ok(listener.for_reader(caller.threads.clone()))
    }

    /// Saves what the thread's resumable runs have sent, so that whoever begins to follow it reads in storage what came before;
    /// with all that their attempts have gathered: nobody is to see a question of a checkpoint that is lost in a crash.
    async fn save_thread(&self, thread: ThreadId) -> Result<()> {
        for log in self.0.streams.of_thread(thread).iter().filter(|log| log.is_resumable()) {
            match log.run_id() {
                Some(run) if self.save_attempt(run).await => {}
                _ => self.save_events(log).await?,
            }
        }
        Ok(())
    }

    /// Saves the events of a run that has no attempt: what one has gathered belongs with them.
    async fn save_events(&self, log: &Log) -> Result<()> {
        let _order = log.saving().await;
        let events = log.unsaved();
        let (run_id, count) = (log.run_id(), events.len());
        let Some(run_id) = run_id.filter(|_| count > 0) else { return Ok(()) };
        self.storage().write(move |tx| tx.append_events(run_id, &events)).await?;
        self.0.streams.saved(log, count, self.now());
        Ok(())
    }

    /// Ends the stream of a run that is over: `done` to those who follow the thread, then nothing more.
    pub(crate) fn close_stream(&self, run_id: RunId, thread_id: ThreadId) {
        self.0.streams.push_done(run_id, thread_id, self.now());
        self.end_log(run_id);
    }

    /// Closes the log of a run and drops it as soon as everything it has is stored.
    pub(crate) fn end_log(&self, run_id: RunId) {
        self.0.apart.forget(run_id);
        self.0.nested.forget(run_id);
        let Some(log) = self.0.streams.close(run_id) else { return };
        if !log.is_resumable() {
            self.0.streams.forget(run_id);
            return;
        }
        *self.0.last_kept.lock() = Some(self.now());
        let domain = self.clone();
        self.0.tasks.spawn(async move {
            if let Err(error) = domain.save_events(&log).await {
                tracing::warn!(%error, %run_id, "the last events of a run cannot be replayed");
            }
            domain.0.streams.forget(run_id);
        });
    }

    /// Tells those who follow the thread that its state was changed by request.
    pub(crate) async fn tell_state(&self, caller: &Caller, thread: ThreadId) {
        if !self.0.streams.is_followed(thread) {
            return;
        }
        match self.thread_state(caller, thread, StateAt::default()).await {
            Ok(state) => {
                let id = json!(thread.to_string());
                let data = format!(r#"{{"state":{},"thread_id":{id}}}"#, state.get());
                let event = Event { name: "state_update".into(), data: data.into() };
                self.0.streams.push_thread(thread, self.now(), event);
            }
            Err(error) => {
                tracing::warn!(%error, %thread, "the new state of a thread cannot be shown to its followers");
            }
        }
    }

    fn archive(&self) -> Archive {
        Archive { storage: Arc::clone(&self.0.storage), kept_since: self.kept_since(self.now()) }
    }

    /// Lifetime of a thread that is only kept for the events of its run.
    pub(crate) fn replay_ttl(&self) -> Ttl {
        let micros = i64::try_from(self.0.options.replay_seconds).unwrap_or(i64::MAX);
        let micros = micros.saturating_mul(1_000_000).clamp(1, Ttl::MAX_MICROS);
        Ttl { strategy: TtlStrategy::Delete, micros }
    }

    /// Runs that ended before are forgotten.
    fn kept_since(&self, now: Timestamp) -> Timestamp {
        let keep = i64::try_from(self.0.options.replay_seconds).unwrap_or(i64::MAX);
        TimeDelta::try_seconds(keep)
            .and_then(|keep| now.checked_sub_signed(keep))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Goes on after the ids of an earlier process, and removes events whose time is over until shutdown.
    pub(crate) async fn keep_events(&self) -> Result<()> {
        let last = self
            .storage()
            .read(agent_server_storage::Cost::Scan, |tx| tx.last_event_id().map_err(Error::from))
            .await?;
        self.0.streams.go_on_after(last);
        *self.0.last_kept.lock() = Some(self.now());
        let domain = self.clone();
        let pause = Duration::from_secs(self.0.options.replay_seconds.max(1)).min(SWEEP);
        self.0.tasks.spawn(async move {
            loop {
                domain.sweep_events().await;
                tokio::select! {
                    () = domain.0.shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        Ok(())
    }

    /// Removes events whose time is over, if there can be any.
    async fn sweep_events(&self) {
        let Some(last) = *self.0.last_kept.lock() else { return };
        let ended_before = self.kept_since(self.now());
        let swept = self.storage().write(move |tx| tx.sweep_events(ended_before)).await;
        if let Err(error) = swept {
            let error: agent_server_storage::Error = error;
            tracing::warn!(%error, "events of ended runs cannot be removed now");
            return;
        }
        let mut last_kept = self.0.last_kept.lock();
        if last < ended_before && *last_kept == Some(last) {
            *last_kept = None;
        }
    }
}
