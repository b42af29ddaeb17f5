//! Crons fire: a timer sleeps until the next is due, and whatever is due makes one run.
//!
//! The run, the mark that the cron has fired for this slot, and the time of its next firing are one transaction. So a crash
//! before the commit leaves the slot to the next start, and one after it leaves nothing to be done again. Several slots
//! that have passed (while the server was down, say) make one run.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use agent_server_storage::{
    Cost, CronId, Error as StorageError, RunId, Scope, Timestamp, WriteTx, crons::Cron,
};
use chrono::TimeDelta;
use tokio::{
    task::{self, JoinSet},
    time::Instant,
};

use super::{payload, schedule::Schedule};
use crate::{Caller, Domain, Error, Result, auth::User, runs::Target, timer::PAUSE};

/// Crons that are read at once; others that are due follow when these have fired.
const ROUND: u32 = 500;
/// Longest sleep. Timers do not see that somebody sets the clock, or that the machine slept.
const LOOK: Duration = Duration::from_secs(60);
/// When a firing is tried again for which its maker had too many runs in flight, seconds.
const ROOM_SECONDS: i64 = 10;
/// How long a slot is remembered after it was fired for, hours: longer than clocks are put back.
const REMEMBER_HOURS: i64 = 3;

/// Firings in progress. A cron is in one of them at most.
#[derive(Default)]
struct Firing {
    tasks: JoinSet<Result<()>>,
    crons: HashMap<task::Id, CronId>,
    /// Nothing new before this, because something failed.
    pause: Option<Instant>,
}

impl Firing {
    fn start(&mut self, cron: CronId, firing: impl Future<Output = Result<()>> + Send + 'static) {
        let task = self.tasks.spawn(firing);
        self.crons.insert(task.id(), cron);
    }

    fn busy(&self) -> HashSet<CronId> {
        self.crons.values().copied().collect()
    }

    /// Waits until one has ended; for ever if there is none.
    async fn next_end(&mut self) {
        let (id, failed) = match self.tasks.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, result))) => (id, result.err().map(|error| error.to_string())),
            Some(Err(error)) => (error.id(), Some(error.to_string())),
        };
        let cron_id = self.crons.remove(&id);
        if let (Some(cron_id), Some(error)) = (cron_id, failed) {
            tracing::error!(%cron_id, error, "a cron could not fire, it is tried again");
            self.pause = Some(Instant::now() + PAUSE);
        }
    }
}

impl Domain {
    /// Lets crons fire, until no more runs are started. Sleeps until the next is due; a change of a cron wakes it.
    pub(crate) async fn cron_loop(&self) {
        let mut firing = Firing::default();
        while !self.0.draining.is_cancelled() {
            let wait = match self.fire_due(&mut firing).await {
                Ok(wait) => wait.min(LOOK),
                Err(error) => {
                    tracing::error!(%error, "crons could not be read");
                    PAUSE
                }
            };
            tokio::select! {
                () = self.0.draining.cancelled() => {}
                () = self.0.crons.notified() => {}
                () = firing.next_end() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // What has begun ends, one way or the other.
        while firing.tasks.join_next().await.is_some() {}
    }

    /// Begins to fire for what is due. Returns how long nothing else is.
    async fn fire_due(&self, firing: &mut Firing) -> Result<Duration> {
        let pause = firing.pause.take().map(|end| end.duration_since(Instant::now()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            firing.pause = Some(Instant::now() + pause);
            return Ok(pause);
        }
        let now = self.now();
        let (due, next) = self
            .storage()
            .read(Cost::Point, move |tx| {
                Ok::<_, Error>((tx.due_crons(now, ROUND)?, tx.next_cron_date(now)?))
            })
            .await?;
        let busy = firing.busy();
        for cron in due {
            if !busy.contains(&cron.cron_id) {
                let domain = self.clone();
                firing.start(cron.cron_id, async move { domain.fire(cron, now).await });
            }
        }
        // Those that are left over come when one of these has ended.
        Ok(next.map_or(LOOK, |at| (at - self.now()).to_std().unwrap_or_default()))
    }

    /// Makes the run of a cron that is due.
    async fn fire(&self, cron: Cron, now: Timestamp) -> Result<()> {
        let cron = Arc::new(cron);
        match self.create_run_of(&cron, now).await {
            Ok(()) => Ok(()),
            // Nothing was changed, and later it may work.
            Err(error @ Error::Unavailable(_)) => Err(error),
            Err(error @ Error::Limited { .. }) => {
                let cron_id = cron.cron_id;
                tracing::warn!(%cron_id, %error, "a cron fired, and is tried again when there may be room");
                self.storage().write(move |tx| postpone(tx, &cron, now)).await
            }
            Err(error) => {
                let cron_id = cron.cron_id;
                tracing::warn!(%cron_id, %error, "a cron fired, but its run was refused");
                let advance = move |tx: &dyn WriteTx| advance(tx, &cron, now).map(drop);
                self.storage().write(advance).await
            }
        }
    }

    async fn create_run_of(&self, cron: &Arc<Cron>, now: Timestamp) -> Result<()> {
        let request = payload::request(cron)?;
        let target = cron.thread_id.map_or(Target::Stateless, Target::Thread);
        // Who made the cron may make its runs; of them no more than the name was kept.
        let user = cron.user_id.as_deref().filter(|id| !id.is_empty());
        let user = user.map(|id| Arc::new(User::named(id, vec![])));
        let caller = Caller::open(user, String::new());
        let mark = {
            let cron = Arc::clone(cron);
            move |tx: &dyn WriteTx, run: RunId| match advance(tx, &cron, now)? {
                None => Ok(false),
                Some(slot) => is_first(tx, cron.cron_id, slot, run),
            }
        };
        let created = self.create_run_if(&caller, target, request, mark).await?;
        if let Some(created) = created {
            let (cron_id, run_id) = (cron.cron_id, created.run.run_id);
            tracing::debug!(%cron_id, %run_id, slot = ?cron.next_run_date, "a cron fired");
        }
        Ok(())
    }
}

/// Sets the next firing of a cron and returns the slot that it is due for; `None`, and no change, if the cron is not what it
/// was when it was found due.
fn advance(tx: &dyn WriteTx, found: &Cron, now: Timestamp) -> Result<Option<Timestamp>> {
    let Some(cron) = tx.get_cron(&Scope::server(), found.cron_id)? else { return Ok(None) };
    let Some(slot) = cron.due_slot(now) else { return Ok(None) };
    if (cron.next_run_date, cron.updated_at) != (found.next_run_date, found.updated_at) {
        return Ok(None);
    }
    let next = match Schedule::parse(&cron.schedule, cron.timezone.as_deref()) {
        Ok(schedule) => schedule.next(now),
        Err(error) => {
            tracing::error!(cron_id = %cron.cron_id, %error, "a cron fires no more, its schedule cannot be read");
            None
        }
    };
    tx.set_next_run_date(cron.cron_id, next)?;
    Ok(Some(slot))
}

/// Lets a cron fire once more soon, so that no slot is lost to a limit. It stands behind the others that are due by then.
fn postpone(tx: &dyn WriteTx, found: &Cron, now: Timestamp) -> Result<()> {
    if advance(tx, found, now)?.is_none() {
        return Ok(());
    }
    let soon = now + TimeDelta::seconds(ROOM_SECONDS);
    let next = tx.get_cron(&Scope::server(), found.cron_id)?.and_then(|cron| cron.next_run_date);
    Ok(tx.set_next_run_date(found.cron_id, Some(next.map_or(soon, |next| next.min(soon))))?)
}

/// Marks a slot; whether the cron has not fired for it before, which it may have if the clock was put back.
fn is_first(tx: &dyn WriteTx, id: CronId, slot: Timestamp, run: RunId) -> Result<bool> {
    let forget = slot - TimeDelta::hours(REMEMBER_HOURS);
    match tx.insert_slot(id, slot, run, forget) {
        Ok(()) => Ok(true),
        Err(StorageError::Duplicate(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
