//! Creations that clients repeat because they did not hear of the first: the same key and body stand for the same runs.
//!
//! The key is stored in the transaction that creates the runs, so that of two requests at the same time one creates.

use agent_server_storage::{
    Cost, ReadTx, RunId, Timestamp,
    idempotency::{Key, Record},
};
use chrono::TimeDelta;
use tokio::sync::Notify;

use super::{Created, Joined, Target, kwargs::RunRequest};
use crate::{Caller, Domain, Error, Result, timer::PAUSE};

/// How long a key counts.
const KEEP: TimeDelta = TimeDelta::hours(24);

const OTHER_BODY: &str = "This Idempotency-Key was used with another request body. Send the same body again, or choose \
                          another key.";
const GONE: &str = "The run that was created with this Idempotency-Key is gone: it has been deleted, or it was stateless and \
                    has ended. Choose another key to create a new one.";

/// A creation that counts once.
#[derive(Clone, Debug)]
pub struct Once {
    /// Path of the request.
    pub route: String,
    /// What the client sent.
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// The same as storage has it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    key: Key,
    body_hash: [u8; 32],
    now: Timestamp,
}

impl Stored {
    /// The runs that were created before.
    ///
    /// Errors: `Invalid` for another body.
    pub(super) fn find(&self, tx: &(impl ReadTx + ?Sized)) -> Result<Option<Vec<RunId>>> {
        match tx.find_key(&self.key, self.now)? {
            None => Ok(None),
            Some(record) if record.body_hash == self.body_hash => Ok(Some(record.runs)),
            Some(_) => Err(Error::Invalid(OTHER_BODY.into())),
        }
    }

    /// Notes the runs that are created now.
    pub(super) fn keep(
        &self,
        tx: &dyn agent_server_storage::WriteTx,
        runs: Vec<RunId>,
    ) -> Result<()> {
        let record = Record { body_hash: self.body_hash, runs, expires_at: self.now + KEEP };
        Ok(tx.insert_key(&self.key, &record, self.now)?)
    }
}

/// What came of a creation that counts once.
pub(super) enum Outcome {
    /// Runs were created.
    New(Vec<Created>),
    /// They had been before.
    Known(Vec<RunId>),
}

impl Domain {
    /// As [`Domain::create_run`]; with a key that has been used, the run that was created then is joined, from its first event
    /// if that is kept.
    ///
    /// # Errors
    /// As [`Domain::create_run`]; `Invalid` for a key that was used with another body; `Conflict` when the run is gone.
    pub async fn create_run_once(
        &self,
        caller: &Caller,
        target: Target,
        request: RunRequest,
        once: Option<Once>,
    ) -> Result<Joined> {
        let stored = once.map(|once| self.stored(caller, once));
        let outcome = match self.find_once(stored.as_ref()).await? {
            Some(runs) => Outcome::Known(runs),
            None => self.create_one(caller, target, request, stored).await?,
        };
        let mut joined = match outcome {
            Outcome::New(created) => created.into_iter().map(Joined::from).collect(),
            Outcome::Known(runs) => self.join_again(caller, runs).await?,
        };
        Ok(joined.pop().expect("one was asked for"))
    }

    /// As [`Domain::create_runs`]; with a key that has been used, the runs that were created then.
    ///
    /// # Errors
    /// As [`Domain::create_runs`] and [`Domain::create_run_once`].
    pub async fn create_runs_once(
        &self,
        caller: &Caller,
        requests: Vec<RunRequest>,
        once: Option<Once>,
    ) -> Result<Vec<Joined>> {
        let stored = once.map(|once| self.stored(caller, once));
        let outcome = match self.find_once(stored.as_ref()).await? {
            Some(runs) => Outcome::Known(runs),
            None => self.create_several(caller, requests, stored).await?,
        };
        match outcome {
            Outcome::New(created) => Ok(created.into_iter().map(Joined::from).collect()),
            Outcome::Known(runs) => self.join_again(caller, runs).await,
        }
    }

    fn stored(&self, caller: &Caller, once: Once) -> Stored {
        let user = caller.user.as_ref().map(|user| user.identity.clone()).unwrap_or_default();
        let key = Key { user, route: once.route, key: once.key };
        Stored { key, body_hash: once.body_hash, now: self.now() }
    }

    async fn find_once(&self, stored: Option<&Stored>) -> Result<Option<Vec<RunId>>> {
        let Some(stored) = stored.cloned() else { return Ok(None) };
        self.storage().read(Cost::Point, move |tx| stored.find(tx)).await
    }

    /// Joins runs that were created before.
    async fn join_again(&self, caller: &Caller, runs: Vec<RunId>) -> Result<Vec<Joined>> {
        let mut joined = Vec::with_capacity(runs.len());
        for id in runs {
            let run = match self.find_run(caller, id).await {
                Err(Error::NotFound(_)) => return Err(Error::Conflict(GONE.into())),
                other => other?,
            };
            joined.push(self.listen(run, Some("-1")).await?);
        }
        Ok(joined)
    }

    /// Removes keys when they have expired, until shutdown.
    pub(crate) async fn keys_loop(&self) {
        let nobody = Notify::new();
        self.on_time(&nobody, "the removal of idempotency keys", PAUSE, || self.sweep_keys()).await;
    }

    async fn sweep_keys(&self) -> Result<Option<Timestamp>> {
        let now = self.now();
        let next = self
            .storage()
            .read(Cost::Point, |tx| tx.next_key_expiry().map_err(Error::from))
            .await?;
        match next {
            Some(at) if at <= now => {
                self.storage().write(move |tx| tx.sweep_keys(now).map_err(Error::from)).await?;
                Ok(Some(now))
            }
            // A key that comes meanwhile expires later than that.
            next => Ok(Some(next.unwrap_or(now + KEEP))),
        }
    }
}
