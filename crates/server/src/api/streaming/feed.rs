//! The protocol's events of one thread: all that is kept, from the first on, then what comes.

use std::collections::{HashMap, VecDeque};

use agent_server_domain::{
    Caller, Domain,
    storage::{RunId, ThreadId},
    stream::{Listener, Logged, Step},
};

use super::{
    event::ProtocolEvent,
    translate::{self, Run},
};

type Result<T> = agent_server_domain::Result<T>;

/// A reader of a thread. Every reader gives the same events the same places: they are counted from the first that is kept.
pub(super) struct Feed {
    domain: Domain,
    thread: ThreadId,
    listener: Listener,
    /// Read and not translated.
    read: VecDeque<Logged>,
    runs: HashMap<RunId, Run>,
    /// Whose event was translated last.
    newest: Option<RunId>,
    /// Whether it was looked after runs that ended without saying so.
    has_looked: bool,
    seq: u64,
}

/// What a feed has.
pub(super) enum Next {
    /// These, which may be none.
    Events(Vec<ProtocolEvent>),
    /// Nothing before something happens.
    CaughtUp,
    /// Nothing, ever: the thread is gone.
    Over,
}

impl Feed {
    /// Begins to read a thread.
    pub(super) async fn open(domain: Domain, caller: &Caller, thread: ThreadId) -> Result<Self> {
        let listener = domain.follow_kept(caller, thread).await?;
        Ok(Self {
            domain,
            thread,
            listener,
            read: VecDeque::new(),
            runs: HashMap::new(),
            newest: None,
            has_looked: false,
            seq: 0,
        })
    }

    /// The place of the newest event that was given.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits for events; `None` when the thread is gone. Cancel-safe, as all of it.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ProtocolEvent>>> {
        loop {
            match self.look().await? {
                Next::Events(events) => return Ok(Some(events)),
                Next::Over => return Ok(None),
                Next::CaughtUp => {
                    let mut page = vec![];
                    if !self.listener.next(&mut page).await? {
                        return Ok(None);
                    }
                    self.read.extend(page);
                }
            }
        }
    }

    /// What is there without waiting.
    pub(super) async fn look(&mut self) -> Result<Next> {
        if self.read.is_empty() {
            let mut page = vec![];
            let step = self.listener.look(&mut page).await?;
            self.read.extend(page);
            match step {
                Step::Given => {}
                Step::Over => return Ok(Next::Over),
                Step::CaughtUp if self.has_looked => return Ok(Next::CaughtUp),
                Step::CaughtUp => {
                    let events = match self.newest {
                        Some(run) => self.ended_silently(run).await?,
                        None => vec![],
                    };
                    // Something may have come meanwhile: then that is looked at first.
                    if !events.is_empty() || self.read.is_empty() {
                        self.has_looked = true;
                        return Ok(match events.is_empty() {
                            true => Next::CaughtUp,
                            false => Next::Events(events),
                        });
                    }
                }
            }
        }
        Ok(Next::Events(self.translate().await?))
    }

    /// Translates what was read, up to the first event that becomes something.
    async fn translate(&mut self) -> Result<Vec<ProtocolEvent>> {
        while let Some(logged) = self.read.front() {
            let is_end = logged.thread_only && translate::is_end(&logged.event);
            let Some((id, entry)) = logged.of_run else {
                self.read.pop_front();
                continue;
            };
            // Everything that has to be asked for comes first: a reader that is stopped here goes on with the same event.
            if let Some(before) = self.newest.filter(|newest| *newest != id) {
                let events = self.ended_silently(before).await?;
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            if !self.runs.contains_key(&id) {
                let sender = self.domain.sender(self.thread, id).await?;
                self.runs.insert(id, Run::new(id, sender));
            }
            let status = match is_end {
                true => self.domain.sender(self.thread, id).await?.map(|sender| sender.status),
                false => None,
            };
            let (Some(logged), Some(run)) = (self.read.pop_front(), self.runs.get_mut(&id)) else {
                break;
            };
            self.newest = Some(id);
            let events = match is_end {
                true => run.end(status, entry.millis),
                false => run.next(entry, &logged.event),
            };
            if !events.is_empty() {
                return Ok(self.counted(events));
            }
        }
        Ok(vec![])
    }

    /// The end of a run that is over and has not said so: the server was killed between the two.
    async fn ended_silently(&mut self, id: RunId) -> Result<Vec<ProtocolEvent>> {
        let is_open = self.runs.get(&id).is_some_and(Run::is_open);
        if !is_open || self.domain.is_sending(id) {
            return Ok(vec![]);
        }
        let status = self.domain.sender(self.thread, id).await?.map(|sender| sender.status);
        let mut page = vec![];
        // Whatever it has said by now is stored.
        self.listener.look(&mut page).await?;
        self.read.extend(page);
        let says = |logged: &Logged| logged.of_run.is_some_and(|(run, _)| run == id);
        if self.read.iter().any(says) {
            return Ok(vec![]);
        }
        let Some(run) = self.runs.get_mut(&id) else { return Ok(vec![]) };
        let events = run.end(status, run.last_millis());
        Ok(self.counted(events))
    }

    /// Gives events their places.
    fn counted(&mut self, mut events: Vec<ProtocolEvent>) -> Vec<ProtocolEvent> {
        for event in &mut events {
            self.seq += 1;
            event.seq = self.seq;
        }
        events
    }
}
