//! Events of one run, or of all runs of a thread, in memory.

use std::collections::VecDeque;

use agent_server_storage::{
    RunId, ThreadId,
    events::{EventId, StoredEvent},
};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify};

use crate::ports::Event;

/// Bytes of events that a listener is given at a time: bounds what is held for one that does not go on reading.
const GIVEN_BYTES: usize = 1 << 20;

/// Unsaved bytes from which a save does not wait for its time: bounds what memory holds only for it.
const SAVE_AT_BYTES: usize = 1 << 20;

/// An event with its place in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Where it stands in what is listened to.
    pub id: EventId,
    /// The run whose event it is, if it is one of a run, with the id that it has there for good.
    pub of_run: Option<(RunId, EventId)>,
    /// The event.
    pub event: Event,
    /// Whether only listeners of the thread get it, not those of the run.
    pub thread_only: bool,
}

impl Logged {
    /// As it is stored.
    pub(crate) fn stored(&self) -> StoredEvent {
        StoredEvent {
            id: self.id,
            name: self.event.name.clone(),
            data: self.event.data.clone(),
            thread_only: self.thread_only,
        }
    }

    pub(super) fn read((run, stored): (RunId, StoredEvent)) -> Self {
        let event = Event { name: stored.name, data: stored.data };
        let of_run = Some((run, stored.id));
        Self { id: stored.id, of_run, event, thread_only: stored.thread_only }
    }
}

/// Whose events a log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Those of one run.
    Run(RunId),
    /// Those of all runs of the thread.
    Thread,
}

/// When the events of a log have to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// Nothing to do.
    No,
    /// A save has to be started, and may wait for more.
    Soon,
    /// A save has to be started at once.
    Now,
}

/// What a listener does about events that memory does not hold. It never keeps them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It reads them in storage.
    Stored,
    /// It goes on without them.
    Skipped,
    /// It ends, if it had begun before them.
    Fatal,
}

/// What a listener finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Something, which was given.
    Given,
    /// Nothing new.
    Nothing,
    /// Nothing, and nothing will come.
    Over,
    /// Events up to this one are not in memory.
    Behind(EventId),
    /// Events that it had not read are nowhere any more.
    Lost,
}

struct State {
    events: VecDeque<Logged>,
    bytes: usize,
    /// The newest event that is not in memory; it and those before it are in storage, if they are anywhere.
    floor: EventId,
    /// Events at the back that are not in storage yet.
    unsaved: usize,
    unsaved_bytes: usize,
    /// The save that was asked for last and has not begun.
    asked: Save,
    closed: bool,
}

impl State {
    fn last(&self) -> EventId {
        self.events.back().map_or(self.floor, |logged| logged.id)
    }
}

/// The events of one run, or those that came while somebody followed a thread.
pub(crate) struct Log {
    pub(super) thread_id: ThreadId,
    pub(super) subject: Subject,
    /// Whether events are stored.
    resumable: bool,
    /// The newest event from before the log.
    begins_after: EventId,
    limit: usize,
    state: Mutex<State>,
    /// Held while events are taken and saved, so that they reach storage in their order.
    saving: tokio::sync::Mutex<()>,
    pub(super) changed: Notify,
    /// Held while an event of a run of the thread gets its id, so that the thread's are in the order of their ids.
    pub(super) order: Mutex<()>,
}

impl Log {
    /// An empty log. Events up to `floor` may be in storage.
    pub(super) fn new(
        thread_id: ThreadId,
        subject: Subject,
        resumable: bool,
        floor: EventId,
        limit: usize,
    ) -> Self {
        let state = State {
            events: VecDeque::new(),
            bytes: 0,
            floor,
            unsaved: 0,
            unsaved_bytes: 0,
            asked: Save::No,
            closed: false,
        };
        Self {
            thread_id,
            subject,
            resumable,
            begins_after: floor,
            limit,
            state: Mutex::new(state),
            saving: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            order: Mutex::default(),
        }
    }

    /// The log of a run that is over: all it has is in storage.
    pub(super) fn over(thread_id: ThreadId, run_id: RunId) -> Self {
        let log = Self::new(thread_id, Subject::Run(run_id), true, EventId::MAX, 0);
        log.state.lock().closed = true;
        log
    }

    /// The run whose log it is.
    pub(super) fn run_id(&self) -> Option<RunId> {
        match self.subject {
            Subject::Run(run_id) => Some(run_id),
            Subject::Thread => None,
        }
    }

    /// Whether events are stored.
    pub(crate) fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// The newest event.
    pub(super) fn last(&self) -> EventId {
        self.state.lock().last()
    }

    /// Adds an event whose place `next` gives, unless it has one behind all others.
    pub(super) fn push(
        &self,
        mut logged: Logged,
        is_saved: bool,
        next: impl FnOnce() -> EventId,
    ) -> Option<Logged> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        if logged.id <= state.last() {
            logged.id = next();
        }
        if let Subject::Run(run) = self.subject {
            logged.of_run = Some((run, logged.id));
        }
        let size = logged.event.data.len();
        state.bytes += size;
        state.events.push_back(logged.clone());
        if self.resumable && !is_saved {
            state.unsaved += 1;
            state.unsaved_bytes += size;
        }
        self.trim(&mut state);
        drop(state);
        self.changed.notify_waiters();
        Some(logged)
    }

    /// Lets go of the oldest events when there are too many, but never of those that still have to be saved. The last
    /// event stays however large it is, so that a listener that keeps up loses nothing.
    fn trim(&self, state: &mut State) {
        while state.bytes > self.limit && state.events.len() > state.unsaved.max(1) {
            if let Some(oldest) = state.events.pop_front() {
                state.bytes -= oldest.event.data.len();
                state.floor = oldest.id;
            }
        }
    }

    /// Whether a save has to be started that has not been asked for yet.
    pub(super) fn ask(&self) -> Save {
        let mut state = self.state.lock();
        let wanted = match (state.unsaved, state.unsaved_bytes) {
            (0, _) => Save::No,
            (_, SAVE_AT_BYTES..) => Save::Now,
            _ => Save::Soon,
        };
        if wanted == state.asked || state.asked == Save::Now {
            return Save::No;
        }
        state.asked = wanted;
        wanted
    }

    /// Waits for the turn to save.
    pub(crate) async fn saving(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().await
    }

    /// What is not stored yet. Whoever asks has the turn to save, and tells [`Log::saved`] afterwards.
    pub(crate) fn unsaved(&self) -> Vec<StoredEvent> {
        let mut state = self.state.lock();
        state.asked = Save::No;
        let saved = state.events.len() - state.unsaved;
        state.events.range(saved..).map(Logged::stored).collect()
    }

    /// The oldest `count` of what was unsaved is stored: these are returned, if somebody wants them.
    pub(super) fn saved(&self, count: usize, are_wanted: bool) -> Vec<Logged> {
        let mut state = self.state.lock();
        let first = state.events.len() - state.unsaved;
        let stored = state.events.range(first..first + count);
        let bytes: usize = stored.clone().map(|logged| logged.event.data.len()).sum();
        let saved = if are_wanted { stored.cloned().collect() } else { vec![] };
        state.unsaved -= count;
        state.unsaved_bytes -= bytes;
        self.trim(&mut state);
        saved
    }

    /// Adds events that are stored by now, but for those from before the log was made: whoever listens reads those in
    /// storage.
    pub(super) fn keep(&self, events: Vec<Logged>, mut next: impl FnMut() -> EventId) {
        let _order = self.order.lock();
        for logged in events {
            if logged.of_run.is_some_and(|(_, id)| id > self.begins_after) {
                self.push(logged, true, &mut next);
            }
        }
    }

    /// Whether nothing comes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Gives a listener some of what is behind `position`, and moves that on.
    pub(super) fn look(
        &self,
        position: &mut EventId,
        into: &mut Vec<Logged>,
        missing: Missing,
    ) -> Look {
        let state = self.state.lock();
        if *position < state.floor {
            match missing {
                Missing::Stored => return Look::Behind(state.floor),
                // Who begins gets what is there.
                Missing::Fatal if *position > EventId::MIN => return Look::Lost,
                Missing::Fatal | Missing::Skipped => *position = state.floor,
            }
        }
        let seen = state.events.partition_point(|logged| logged.id <= *position);
        let mut bytes = 0;
        let mut is_given = false;
        for logged in state.events.range(seen..) {
            *position = logged.id;
            if self.subject == Subject::Thread || !logged.thread_only {
                bytes += logged.event.data.len();
                into.push(logged.clone());
                is_given = true;
            }
            if bytes >= GIVEN_BYTES {
                break;
            }
        }
        match (is_given, state.closed) {
            (true, _) => Look::Given,
            (false, true) => Look::Over,
            (false, false) => Look::Nothing,
        }
    }
}
