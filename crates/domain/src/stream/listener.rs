//! One reader of a log.

use std::sync::Arc;

use agent_server_storage::{
    Cost, Scope, Storage, Timestamp,
    events::{EventId, Filter},
};

use super::{
    Logged,
    log::{Log, Look, Subject},
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
        Self { log, position, archive, clock }
    }

    /// Whether events carry ids on the wire: those of resumable runs and those of threads do.
    pub fn has_ids(&self) -> bool {
        self.log.is_resumable() || self.log.subject == Subject::Thread
    }

    /// Waits for events and appends some to `into`; `false` when the run has ended and everything was given.
    /// Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// Stored events could not be read.
    pub async fn next(&mut self, into: &mut Vec<Logged>) -> Result<bool> {
        let known = into.len();
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no event between the look and the wait is missed.
            changed.as_mut().enable();
            match self.log.look(&mut self.position, into, self.archive.is_some()) {
                Look::Given => {
                    if let Some(oldest) = into.get(known) {
                        measure::given(oldest.id, self.clock.now());
                    }
                    return Ok(true);
                }
                Look::Over => return Ok(false),
                Look::Nothing => changed.await,
                Look::Behind(floor) => {
                    let page = self.stored(floor).await?;
                    let last = page.last().map(|logged| logged.id);
                    self.position = last.unwrap_or(floor);
                    if last.is_some() {
                        into.extend(page);
                        return Ok(true);
                    }
                }
            }
        }
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
