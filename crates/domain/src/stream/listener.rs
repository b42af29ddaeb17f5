//! One reader of a log.

use std::sync::Arc;

use agent_server_storage::{
    Cost, Scope, Storage, Timestamp,
    events::{EventId, Filter},
    threads::Columns,
};

use super::{
    Logged,
    log::{Log, Look, Missing, Subject},
};
use crate::{Error, Result, measure, ports::Clock};

/// Bytes of stored events that are read at a time.
const PAGE_BYTES: usize = 1 << 20;

/// Where a listener starts.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// With the first event that is kept.
    Start,
    /// With what comes from now on.
    Now,
    /// After this event.
    After(EventId),
}

/// What a listener found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Some events, which were given.
    Given,
    /// Nothing that was not given already; more may come.
    CaughtUp,
    /// Nothing, and nothing will come.
    Over,
}

/// Where the events are that memory does not hold.
pub(super) struct Archive {
    pub(super) storage: Arc<dyn Storage>,
    /// Runs that ended before are forgotten, even where they are not swept yet.
    pub(super) kept_since: Timestamp,
}

/// One listener of a run or of a thread.
pub struct Listener {
    log: Arc<Log>,
    /// The last event that was given.
    position: EventId,
    archive: Option<Archive>,
    /// What it does without an archive about what memory does not hold.
    missing: Missing,
    /// Whether it has failed for what memory did not hold.
    behind: bool,
    /// Whose thread it has to be before anything is given; `None` once that is known.
    reader: Option<Scope>,
    clock: Arc<dyn Clock>,
}

impl Listener {
    pub(super) fn new(
        log: Arc<Log>,
        from: From,
        archive: Option<Archive>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let last = log.last();
        let position = match from {
            From::Start => EventId::MIN,
            From::Now => last,
            // One that was never given out must not hide what comes.
            From::After(id) => id.min(last),
        };
        let missing = if archive.is_some() { Missing::Stored } else { Missing::Skipped };
        Self { log, position, archive, missing, behind: false, reader: None, clock }
    }

    /// Gives nothing before the thread is there and this reader may see it.
    pub(super) fn for_reader(self, reader: Scope) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// Fails rather than leave out events that it was too slow for.
    pub fn unbroken(mut self) -> Self {
        if self.missing == Missing::Skipped {
            self.missing = Missing::Fatal;
        }
        self
    }

    /// Whether it has failed because it was too slow.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether events carry ids on the wire: those of resumable runs and those of threads do.
    pub fn has_ids(&self) -> bool {
        self.log.is_resumable() || self.log.subject == Subject::Thread
    }

    /// Waits for events and appends some to `into`; `false` when the run has ended and everything was given.
    /// Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Stored events could not be read; [`Listener::unbroken`].
    pub async fn next(&mut self, into: &mut Vec<Logged>) -> Result<bool> {
        loop {
            let log = Arc::clone(&self.log);
            let changed = log.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no event between the look and the wait is missed.
            changed.as_mut().enable();
            match self.look(into).await? {
                Step::Given => return Ok(true),
                Step::Over => return Ok(false),
                Step::CaughtUp => changed.await,
            }
        }
    }

    /// The same without waiting for events to come. Cancel-safe, too.
    ///
    /// # Errors
    /// Stored events could not be read.
    pub async fn look(&mut self, into: &mut Vec<Logged>) -> Result<Step> {
        if let Some(reader) = &self.reader {
            if !self.is_visible_to(reader.clone()).await? {
                return Ok(if self.log.is_closed() { Step::Over } else { Step::CaughtUp });
            }
            self.reader = None;
        }
        let known = into.len();
        loop {
            match self.log.look(&mut self.position, into, self.missing) {
                Look::Given => {
                    if let Some(oldest) = into.get(known) {
                        measure::given(oldest.id, self.clock.now());
                    }
                    return Ok(Step::Given);
                }
                Look::Over => return Ok(Step::Over),
                Look::Nothing => return Ok(Step::CaughtUp),
                Look::Lost => {
                    self.behind = true;
                    return Err(Error::Unavailable(
                        "it was so slow that events that it had not read are no longer in memory"
                            .into(),
                    ));
                }
                Look::Behind(floor) => {
                    let page = self.stored(floor).await?;
                    let last = page.last().map(|logged| logged.id);
                    self.position = last.unwrap_or(floor);
                    if last.is_some() {
                        into.extend(page);
                        return Ok(Step::Given);
                    }
                }
            }
        }
    }

    /// Whether the thread is there for a reader.
    async fn is_visible_to(&self, reader: Scope) -> Result<bool> {
        let Some(archive) = &self.archive else { return Ok(false) };
        let thread = self.log.thread_id;
        archive
            .storage
            .read(Cost::Point, move |tx| {
                let header = tx.get_thread(&reader, thread, Columns::Header)?;
                Ok::<_, Error>(header.is_some())
            })
            .await
    }

    /// The next stored events, up to `until`.
    async fn stored(&self, until: EventId) -> Result<Vec<Logged>> {
        let Some(archive) = &self.archive else { return Ok(vec![]) };
        let run = self.log.run_id();
        let (after, kept_since) = (self.position, archive.kept_since);
        let filter = Filter { run, after, until, kept_since };
        let thread = self.log.thread_id;
        archive
            .storage
            .read(Cost::Scan, move |tx| {
                // Whoever listens was allowed to see the thread when it began.
                let page = tx.list_events(&Scope::server(), thread, &filter, PAGE_BYTES)?;
                Ok::<_, Error>(page.into_iter().map(Logged::read).collect())
            })
            .await
    }
}
