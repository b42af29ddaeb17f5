//! How an attempt ends: one transaction for run, thread, checkpoints and live view; then the stream closes.

use std::sync::Arc;

use agent_server_storage::{
    RawJson, RunId, Scope, Timestamp, WriteTx,
    checkpoints::SaverOp,
    events::StoredEvent,
    runs::{Lease, RunStatus},
};
use serde_json::json;
use tracing::Instrument as _;

use super::{
    early::EarlyEnd,
    row::{self, Ended},
    sink::{Buffer, Gathered, Rendered},
    stop::uncounted,
};
use crate::{
    Domain, Error, Result,
    measure::{self, Repair},
    ports::{Ending, Event, LiveState, Outcome},
    state::{HeadView, head_view},
    stream::{self, Log, Logged},
    webhooks::Outbox,
};

/// What the end of an attempt means for the run.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Over, with this status; a failure has a class name and a message.
    Over(RunStatus, Option<(String, String)>),
    /// Another attempt follows.
    Again,
    /// The same, and this attempt does not count.
    TakenBack,
    /// Over, as somebody wished.
    Early(EarlyEnd),
}

impl Verdict {
    /// The run's last status; `None` if it goes on.
    fn status(&self) -> Option<RunStatus> {
        match self {
            Self::Over(status, _) => Some(*status),
            Self::Early(why) => Some(why.status),
            Self::Again | Self::TakenBack => None,
        }
    }

    fn is_over(&self) -> bool {
        self.status().is_some()
    }

    /// What the thread says of the run.
    fn error(&self) -> RawJson {
        match self {
            Self::Over(_, Some((error, message))) => error_json(error, message),
            Self::Early(why) => why.error_json(),
            _ => RawJson::null(),
        }
    }

    /// Whether the thread's status is `error` after it.
    fn is_failure(&self) -> bool {
        match self {
            Self::Over(_, failure) => failure.is_some(),
            Self::Early(why) => why.is_failure(),
            Self::Again | Self::TakenBack => false,
        }
    }
}

/// Decides what an ending means. Pure.
fn judge(ending: Ending, lease: Lease, max_attempts: u32, stopping: bool) -> Verdict {
    match ending {
        Ending::Success => Verdict::Over(RunStatus::Success, None),
        Ending::Error { error, message } => Verdict::Over(RunStatus::Error, Some((error, message))),
        // A cancel revokes the lease first, so this one was nobody's wish: the graph cancelled itself.
        Ending::Cancelled => Verdict::Over(RunStatus::Interrupted, None),
        // Who stops a server may stop its workers beside it (a service manager signals all processes of a service).
        Ending::Lost(_) | Ending::Died { .. } if stopping => Verdict::TakenBack,
        Ending::Moved | Ending::Died { alone: false, .. } => Verdict::TakenBack,
        Ending::Lost(_) | Ending::Died { .. } if lease.attempt < max_attempts => Verdict::Again,
        Ending::Lost(cause) | Ending::Died { cause, .. } => {
            let id = lease.run_id;
            let message = format!("Run {id} exceeded max attempts ({max_attempts}). {cause}");
            Verdict::Over(RunStatus::Error, Some(("RuntimeError".into(), message)))
        }
    }
}

/// Error object of the wire.
pub(super) fn error_json(error: &str, message: &str) -> RawJson {
    RawJson::of(&json!({"error": error, "message": message}))
}

/// The end of an attempt, ready to be committed.
struct End {
    lease: Lease,
    /// Whether the thread goes away with the run.
    vanishes: bool,
    verdict: Verdict,
    ops: Vec<SaverOp>,
    newest: Option<Rendered>,
    live: Option<LiveState>,
    /// Events that are not stored yet.
    events: Vec<StoredEvent>,
    /// Set if somebody is told of the run's end.
    outbox: Option<Arc<Outbox>>,
    now: Timestamp,
}

impl End {
    /// `false` if the lease is not held any more: then nothing changes.
    fn commit(self, tx: &dyn WriteTx) -> Result<bool> {
        let Lease { run_id, thread_id, attempt } = self.lease;
        // As it was while it was running, with the beginning of the attempt.
        let run = match &self.outbox {
            Some(_) => tx.get_run(&Scope::server(), thread_id, run_id)?,
            None => None,
        };
        let status = self.verdict.status().unwrap_or(RunStatus::Pending);
        let count = match self.verdict {
            Verdict::TakenBack => uncounted(self.lease),
            _ => attempt,
        };
        let expected = (RunStatus::Running, attempt);
        if !tx.update_run_if(run_id, expected, status, count, self.now)? {
            return Ok(false);
        }
        tx.keep_before(thread_id, run_id, &self.ops)?;
        tx.save(thread_id, &self.ops)?;
        tx.append_events(run_id, &self.events)?;
        if !self.verdict.is_over() {
            return Ok(true);
        }
        let notice = match (&self.outbox, &run) {
            (Some(outbox), Some(run)) => outbox.notice(tx, run)?,
            _ => None,
        };
        if self.vanishes {
            tx.delete_thread(&Scope::server(), thread_id)?;
        } else {
            self.show(tx)?;
        }
        if let Some(notice) = notice {
            notice.write(tx, status.as_str(), self.verdict.error(), self.now)?;
        }
        Ok(true)
    }

    /// Brings the thread's row up to date.
    fn show(&self, tx: &dyn WriteTx) -> Result<()> {
        let thread_id = self.lease.thread_id;
        if let Some(LiveState { checkpoint_id: Some(checkpoint), state, .. }) = &self.live {
            tx.put_live_state(thread_id, checkpoint, state)?;
        }
        let ended = Ended {
            failed: self.verdict.is_failure(),
            error: Some(self.verdict.error()),
            now: self.now,
        };
        let head = match (&self.live, &self.newest) {
            // The usual end: everything is at hand.
            (Some(live), Some(newest))
                if live.checkpoint_id.as_ref() == Some(&newest.checkpoint_id) =>
            {
                let (values, interrupts) = (newest.values.clone(), live.interrupts.clone());
                Some(HeadView { values, interrupts, pending: live.pending })
            }
            // One that ended early may not have come to render its last checkpoint.
            _ => head_view(tx, thread_id)?,
        };
        row::write_with(tx, thread_id, head, ended)
    }
}

impl Domain {
    /// Commits how an attempt ended, then tells everybody.
    pub(super) async fn end_attempt(&self, lease: Lease, outcome: Outcome) {
        // Closed first: a straggling save cannot follow the end.
        let Some(buffer) = self.0.buffers.close(lease) else { return };
        let span = buffer.circumstances.log();
        self.end_closed(lease, &buffer, outcome).instrument(span).await;
    }

    async fn end_closed(&self, lease: Lease, buffer: &Buffer, outcome: Outcome) {
        let Outcome { mut ending, live } = outcome;
        let log = self.0.streams.find(lease.run_id);
        let committed = {
            let _order = buffer.saving.lock().await;
            // Whatever still holds the buffer saves nothing: the attempt's number may be used again.
            let closed =
                Gathered { broken: Some("the attempt has ended".into()), ..Default::default() };
            let Gathered { ops, newest, broken } =
                std::mem::replace(&mut *buffer.gathered.lock(), closed);
            if let Some(cause) = broken {
                ending = Ending::Lost(format!("Its state could not be saved: {cause}"));
            }
            let repair = match ending {
                Ending::Moved => Repair::Moved,
                _ => Repair::Attempt,
            };
            // Before the commit, after which the run may be claimed again.
            self.0.apart.note(lease.run_id, &ending);
            let stopping = self.0.draining.is_cancelled();
            let verdict = match buffer.early.get() {
                Some(why) if ending != Ending::Success => Verdict::Early(why.clone()),
                _ => judge(ending, lease, self.0.options.max_attempts, stopping),
            };
            let (over, early) = (verdict.is_over(), matches!(verdict, Verdict::Early(_)));
            let status = verdict.status();
            let now = self.now();
            let kept = log.as_deref().filter(|log| log.is_resumable());
            let _events_order = match kept {
                Some(log) => Some(log.saving().await),
                None => None,
            };
            // Their ids are given while nobody else can save: whoever begins to follow the thread from now on waits for this
            // commit before reading what is stored.
            let last = self.last_events(lease.run_id, &verdict, now);
            let mut events = kept.map(Log::unsaved).unwrap_or_default();
            let count = events.len();
            if kept.is_some() {
                events.extend(last.iter().map(Logged::stored));
            }
            // What can be replayed outlives its run, see `vanishes`.
            let vanishes = buffer.temporary && kept.is_none();
            let outbox = buffer.notifies.then(|| self.outbox());
            let end = End { lease, vanishes, verdict, ops, newest, live, events, outbox, now };
            let committed = self.storage().write(move |tx| end.commit(tx)).await;
            if let (Ok(true), Some(log)) = (&committed, kept) {
                self.0.streams.saved(log, count, self.now());
            }
            if let Ok(true) = committed {
                match status {
                    Some(status) => buffer.measure_end(status),
                    None => measure::repaired(repair, 1),
                }
            }
            let _ = buffer.ended_early.set(early && matches!(committed, Ok(true)));
            committed.map(|held| (held, over, last))
        };
        match committed {
            Ok((true, true, last)) => {
                if let Some(log) = &log {
                    self.0.streams.publish(log, last, self.now());
                }
                self.end_log(lease.run_id);
                if buffer.notifies {
                    self.0.courier.wake.notify_one();
                }
            }
            // Another attempt goes on with the same stream.
            Ok((true, false, _)) => {}
            // The lease was lost. Whoever took it has ended the stream, perhaps before this attempt opened it again.
            Ok((false, ..)) => {
                self.0.apart.forget(lease.run_id);
                self.0.nested.forget(lease.run_id);
                self.0.streams.discard(lease.run_id);
            }
            Err(error) => self.end_failed(lease, &error).await,
        }
        self.0.wake.notify_one();
    }

    /// What a run that is over still has to tell, stored with its end and sent after it.
    fn last_events(&self, run_id: RunId, verdict: &Verdict, now: Timestamp) -> Vec<Logged> {
        if !verdict.is_over() {
            return vec![];
        }
        let mut last = vec![];
        // Who ended a run early knows it: that is no error of the stream.
        if let Verdict::Over(_, Some((error, message))) = verdict {
            let data = error_json(error, message);
            let event = Event { name: "error".into(), data: data.get().to_owned().into() };
            last.push(self.0.streams.stamp(now, event, false));
        }
        last.push(self.0.streams.stamp(now, stream::done(run_id), true));
        last
    }

    /// The end could not be committed. The run stays `running` in the database with nobody executing it: put it back as
    /// soon as storage answers, so that it is not stuck until the next start. Where storage is damaged, only those who wait
    /// are told.
    async fn end_failed(&self, lease: Lease, error: &Error) {
        tracing::error!(%error, run_id = %lease.run_id, "the end of a run could not be saved");
        if matches!(error, Error::Internal(_)) {
            // Damage does not pass: another attempt would only end here again. The next start takes the run up.
            tracing::error!("look the data folder over with `agent-server doctor`");
            let text = "The end of the run could not be saved: the server's storage is damaged.";
            let data = error_json("StorageError", text).get().to_owned();
            let event = Event { name: "error".into(), data: data.into() };
            self.0.streams.push(lease.run_id, self.now(), event);
            self.close_stream(lease.run_id, lease.thread_id);
            return;
        }
        let domain = self.clone();
        self.0.tasks.spawn(async move {
            let pause = std::time::Duration::from_secs(1);
            loop {
                tokio::select! {
                    () = domain.0.shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let now = domain.now();
                let requeued = domain
                    .storage()
                    .write(move |tx| {
                        let expected = (RunStatus::Running, lease.attempt);
                        let pending = RunStatus::Pending;
                        Ok::<_, Error>(tx.update_run_if(
                            lease.run_id,
                            expected,
                            pending,
                            lease.attempt,
                            now,
                        )?)
                    })
                    .await;
                if requeued.is_ok() {
                    domain.0.wake.notify_one();
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use agent_server_storage::ThreadId;
    use uuid::Uuid;

    use super::*;

    fn lease(attempt: u32) -> Lease {
        Lease { run_id: RunId(Uuid::nil()), thread_id: ThreadId(Uuid::nil()), attempt }
    }

    #[test]
    fn infrastructure_failures_are_tried_again_until_the_limit() {
        let lost = || Ending::Lost("The worker died.".into());
        assert_eq!(judge(lost(), lease(1), 3, false), Verdict::Again);
        assert_eq!(judge(lost(), lease(2), 3, false), Verdict::Again);
        let message =
            "Run 00000000-0000-0000-0000-000000000000 exceeded max attempts (3). The worker died.";
        let failure = Some(("RuntimeError".to_owned(), message.to_owned()));
        assert_eq!(judge(lost(), lease(3), 3, false), Verdict::Over(RunStatus::Error, failure));
    }

    #[test]
    fn an_attempt_that_is_lost_while_the_server_stops_does_not_count() {
        let lost = Ending::Lost("The worker died.".into());
        assert_eq!(judge(lost, lease(3), 3, true), Verdict::TakenBack);
        let over = Verdict::Over(RunStatus::Success, None);
        assert_eq!(judge(Ending::Success, lease(3), 3, true), over);
    }

    #[test]
    fn a_process_that_dies_is_charged_to_a_run_that_was_alone() {
        let died = |alone| Ending::Died { cause: "The worker died.".into(), alone };
        assert_eq!(judge(died(false), lease(3), 3, false), Verdict::TakenBack);
        assert_eq!(judge(Ending::Moved, lease(3), 3, false), Verdict::TakenBack);
        assert_eq!(judge(died(true), lease(2), 3, false), Verdict::Again);
        assert!(matches!(judge(died(true), lease(3), 3, false), Verdict::Over(..)));
        assert_eq!(judge(died(true), lease(3), 3, true), Verdict::TakenBack);
    }

    #[test]
    fn a_failure_of_the_graph_is_never_tried_again() {
        let ending = Ending::Error { error: "ValueError".into(), message: "no".into() };
        let failure = Some(("ValueError".to_owned(), "no".to_owned()));
        assert_eq!(judge(ending, lease(1), 3, false), Verdict::Over(RunStatus::Error, failure));
    }
}
