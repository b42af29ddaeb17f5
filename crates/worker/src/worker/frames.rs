//! What the frames of a worker mean for its jobs.

use std::sync::Arc;

use agent_server_domain::{
    Error,
    ports::{Answer, Ending, Event, LiveState, Outcome},
};
use agent_server_storage::{
    RawJson,
    checkpoints::{Base, SaverOp},
    runs::Lease,
};
use bytes::Bytes;

use super::{Worker, jobs::Pending};
use crate::protocol::{self, Asked, FromWorker, Live};

impl Worker {
    fn lease(&self, job: u64) -> Option<Lease> {
        self.jobs.lock().attempts.get(&job).map(|attempt| attempt.lease)
    }

    /// Handles one frame.
    pub(super) fn handle(self: &Arc<Self>, frame: FromWorker) {
        match frame {
            FromWorker::Event { job, name, data } => self.event(job, name, data),
            FromWorker::Save { job, op } => self.save(job, op),
            FromWorker::Base { job, ns, checkpoint_id, next, tasks, values } => {
                let mut jobs = self.jobs.lock();
                let Some(attempt) = jobs.attempts.get_mut(&job) else { return };
                let same = || attempt.values.as_deref().and_then(text);
                let Some(values) = values.or_else(same) else { return };
                if ns.is_empty() {
                    attempt.base = Some(values.clone());
                }
                let lease = attempt.lease;
                drop(jobs);
                self.sink
                    .save(lease, SaverOp::Base(Base { ns, checkpoint_id, values, next, tasks }));
            }
            FromWorker::Request { id, asked } => {
                let worker = Arc::clone(self);
                self.tasks.spawn(async move { worker.request(id, asked).await });
            }
            FromWorker::Done { job, ending, threads, live } => {
                self.done(job, ending, threads, live);
            }
            FromWorker::Answer { job, result, lasting } => self.answered(job, result, lasting),
            FromWorker::Settled { job } => {
                self.jobs.lock().unsettled.remove(&job);
                self.changes.notify_waiters();
                // A run may wait for a worker in which nothing else is at work.
                self.sink.slot_freed();
            }
            FromWorker::Started { job, id } => self.started(job, id),
            FromWorker::Pong => self.pulse.answered(&*self.sink),
            FromWorker::Hello(_) | FromWorker::Exited { .. } => {}
        }
    }

    fn started(&self, job: u64, id: Option<u64>) {
        let is_here = self.jobs.lock().started_by_worker(job);
        let Some(id) = id else { return };
        self.sender.send(match is_here {
            true => protocol::stored(id, &[]),
            false => {
                protocol::refusal(id, &Error::Conflict("the attempt is made elsewhere".into()))
            }
        });
    }

    fn event(&self, job: u64, name: String, data: Bytes) {
        let mut jobs = self.jobs.lock();
        let Some(attempt) = jobs.attempts.get_mut(&job) else { return };
        if name == "values" {
            attempt.values = Some(data.clone());
        }
        let lease = attempt.lease;
        drop(jobs);
        self.sink.event(lease, Event { name, data });
    }

    fn save(&self, job: u64, mut op: SaverOp) {
        let mut jobs = self.jobs.lock();
        if let Some(question) = jobs.questions.get_mut(&job) {
            question.ops.push(op);
            return;
        }
        drop(jobs);
        let Some(lease) = self.lease(job) else { return };
        if let SaverOp::Put(put) = &mut op {
            put.run_id = Some(lease.run_id);
        }
        self.sink.save(lease, op);
    }

    async fn request(&self, id: u64, asked: Asked) {
        let gone = || Error::Conflict("the attempt has ended".into());
        let reply = match asked {
            Asked::Load { job, thread_id, ns, checkpoint_id } => {
                let lease = self.lease(job);
                if lease.is_none() && !self.jobs.lock().questions.contains_key(&job) {
                    Err(gone())
                } else {
                    let found = self.sink.load(lease, thread_id, ns, checkpoint_id).await;
                    found.map(|found| protocol::tuple_reply(id, found.as_ref()))
                }
            }
            Asked::Store { ops } => {
                self.sink.store(ops).await.map(|answers| protocol::stored(id, &answers))
            }
            Asked::Flush { job } => match self.lease(job) {
                Some(lease) => self.sink.flush(lease).await.map(|()| protocol::stored(id, &[])),
                None => Err(gone()),
            },
        };
        self.sender.send(reply.unwrap_or_else(|error| protocol::refusal(id, &error)));
    }

    fn done(self: &Arc<Self>, job: u64, ending: Ending, threads: u32, live: Option<Live>) {
        let Some(attempt) = self.jobs.lock().take(job) else { return };
        if threads > 0 {
            self.watch(job, attempt.lease);
        }
        let live = live.and_then(|live| assembled(live, attempt.base.as_ref()));
        let worker = Arc::clone(self);
        let outcome = Outcome { ending, live };
        self.tasks.spawn(async move { worker.end(attempt, outcome).await });
    }

    fn answered(
        &self,
        job: u64,
        result: Result<(RawJson, Option<Live>), protocol::AnswerError>,
        lasting: bool,
    ) {
        let Some(Pending { reply, ops }) = self.jobs.lock().questions.remove(&job) else { return };
        let answer = match result {
            Ok((json, live)) => {
                Ok(Answer { json, live: live.and_then(|live| assembled(live, None)), ops, lasting })
            }
            Err(protocol::AnswerError { kind, message }) => Err(match kind.as_str() {
                "bad_graph" => Error::BadGraph(message),
                "invalid" => Error::Invalid(message),
                "refused" => Error::Refused(message),
                "unavailable" => Error::Unavailable(message),
                _ => Error::Internal(message),
            }),
        };
        let _ = reply.send(answer);
        self.changes.notify_waiters();
    }
}

/// JSON text from bytes that a worker vouches for.
fn text(bytes: &[u8]) -> Option<RawJson> {
    std::str::from_utf8(bytes).ok().map(RawJson::trusted)
}

/// Puts a live view together; `base` holds the values of the last root base.
fn assembled(live: Live, base: Option<&RawJson>) -> Option<LiveState> {
    let state = if live.head.of_base {
        // `{"next":…}` without its first brace follows the values.
        let rest = live.state.get().strip_prefix('{')?;
        RawJson::trusted(format!(r#"{{"values":{},{rest}"#, base?.get()))
    } else {
        live.state
    };
    Some(LiveState {
        checkpoint_id: live.head.checkpoint,
        state,
        pending: live.head.pending,
        interrupts: live.interrupts,
    })
}
