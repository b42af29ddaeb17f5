//! What clients know: which runs they asked for, which were accepted, what became of them. Whatever contradicts that is a
//! violation.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use parking_lot::Mutex;

use crate::work::Work;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An accepted run is not there, or not all of it.
    Lost,
    /// What was taken away is there, or works on.
    Back,
    /// Something did not end in time.
    Stuck,
    /// A run that was over has changed, or ended twice.
    TwoEnds,
    /// A run ended otherwise than it should.
    WrongStatus,
    /// A state is not what the runs that made it add up to.
    WrongState,
    /// A stream told something twice, out of order, or not at all.
    Stream,
    /// The server answered what it never should, or did not start.
    Server,
    /// A process of a dead server lives on.
    Orphan,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Lost,
        Self::Back,
        Self::Stuck,
        Self::TwoEnds,
        Self::WrongStatus,
        Self::WrongState,
        Self::Stream,
        Self::Server,
        Self::Orphan,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Lost => "lost runs",
            Self::Back => "deleted runs and threads that came back",
            Self::Stuck => "stuck runs, threads or streams",
            Self::TwoEnds => "second ends",
            Self::WrongStatus => "wrong statuses",
            Self::WrongState => "wrong final states",
            Self::Stream => "wrong streams",
            Self::Server => "wrong answers and failed starts",
            Self::Orphan => "orphaned processes",
        }
    }
}

/// Where a run works.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// On this thread.
    Thread(String),
    /// On a thread that goes away with it.
    Temporary,
    /// On a thread that the server makes and keeps.
    Kept,
}

/// How far it is known that something was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Somebody has asked for it: it is there, or it is gone, but nothing in between.
    Asked,
    /// The server has said so: it is gone for ever.
    Told,
}

/// A run that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) work: Work,
    pub(crate) place: Place,
    /// Whether somebody may cancel it.
    pub(crate) may_be_cancelled: bool,
    /// Its id, once somebody was told that it is accepted.
    pub(crate) run: Option<String>,
    /// Whether it was taken away, by itself or with its thread.
    pub(crate) removal: Option<Removal>,
}

#[derive(Default)]
struct State {
    sent: HashMap<String, Sent>,
    tags: HashMap<String, String>,
    /// Threads that were taken away.
    removed: HashMap<String, Removal>,
    /// The first status seen that a run cannot leave.
    ended: HashMap<String, String>,
    counts: BTreeMap<&'static str, u64>,
    violations: Vec<(Kind, String)>,
    told: HashSet<String>,
}

/// The common knowledge of all clients.
pub(crate) struct Ledger {
    state: Mutex<State>,
    journal: PathBuf,
}

/// Whether a run stays as it is with this status.
pub(crate) fn is_terminal(status: &str) -> bool {
    !matches!(status, "pending" | "running")
}

impl Ledger {
    pub(crate) fn new(journal: PathBuf) -> Self {
        Self { state: Mutex::default(), journal }
    }

    /// Notes that a run is about to be asked for. From now on it may exist.
    pub(crate) fn send(&self, work: &Work, place: Place, may_be_cancelled: bool) {
        let sent = Sent { work: work.clone(), place, may_be_cancelled, run: None, removal: None };
        let mut state = self.state.lock();
        state.sent.insert(work.tag.clone(), sent);
        *state.counts.entry("runs asked for").or_default() += 1;
    }

    /// The server has said that the run is accepted. From now on it must exist.
    pub(crate) fn accept(&self, tag: &str, run: &str) {
        let mut state = self.state.lock();
        if let Some(sent) = state.sent.get_mut(tag)
            && sent.run.replace(run.to_owned()).is_none()
        {
            state.tags.insert(run.to_owned(), tag.to_owned());
            *state.counts.entry("runs accepted").or_default() += 1;
        }
    }

    /// Notes what is known of the removal of a run; `None`: it was over before, and so it stays.
    pub(crate) fn remove(&self, tag: &str, removal: Option<Removal>) {
        if let Some(sent) = self.state.lock().sent.get_mut(tag) {
            sent.removal = removal;
        }
        if removal == Some(Removal::Told) {
            self.count("runs taken away");
        }
    }

    /// Notes what is known of the removal of a thread with all its runs.
    pub(crate) fn remove_thread(&self, thread: &str, removal: Removal) {
        let mut state = self.state.lock();
        state.removed.insert(thread.to_owned(), removal);
        let place = Place::Thread(thread.to_owned());
        for sent in state.sent.values_mut().filter(|sent| sent.place == place) {
            sent.removal = Some(removal);
        }
        if removal == Removal::Told {
            *state.counts.entry("threads taken away").or_default() += 1;
        }
    }

    /// What is known of the removal of a thread.
    pub(crate) fn thread_removal(&self, thread: &str) -> Option<Removal> {
        self.state.lock().removed.get(thread).copied()
    }

    /// Notes a status that was seen.
    pub(crate) fn observe(&self, run: &str, status: &str) {
        let mut state = self.state.lock();
        let before = state.ended.get(run).cloned();
        match before {
            Some(before) if before != status => {
                let text = format!("run {run} was {before} and is {status}");
                state.violate(Kind::TwoEnds, text);
            }
            None if is_terminal(status) => {
                state.ended.insert(run.to_owned(), status.to_owned());
            }
            _ => {}
        }
    }

    /// Notes what must not happen, once.
    pub(crate) fn violate(&self, kind: Kind, text: impl Into<String>) {
        self.state.lock().violate(kind, text.into());
    }

    /// Counts something for the table.
    pub(crate) fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts several.
    pub(crate) fn add(&self, what: &'static str, number: u64) {
        *self.state.lock().counts.entry(what).or_default() += number;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().counts.clone()
    }

    /// How many runs were seen to be over.
    pub(crate) fn ended(&self) -> usize {
        self.state.lock().ended.len()
    }

    pub(crate) fn violations(&self) -> Vec<(Kind, String)> {
        self.state.lock().violations.clone()
    }

    /// What is known of the run with this tag.
    pub(crate) fn find(&self, tag: &str) -> Option<Sent> {
        self.state.lock().sent.get(tag).cloned()
    }

    /// What is known of the run with this id.
    pub(crate) fn find_run(&self, run: &str) -> Option<Sent> {
        let state = self.state.lock();
        state.sent.get(state.tags.get(run)?).cloned()
    }

    /// Everything that was asked for.
    pub(crate) fn all(&self) -> Vec<Sent> {
        self.state.lock().sent.values().cloned().collect()
    }

    /// An accepted run that was seen to be over, the `number`th of them.
    pub(crate) fn some_ended(&self, number: u64) -> Option<String> {
        let state = self.state.lock();
        let index = usize::try_from(number).unwrap_or_default() % state.ended.len().max(1);
        state.ended.keys().nth(index).cloned()
    }

    /// What the nodes of this work have not written into the journal.
    pub(crate) fn undone(&self, work: &Work, journal: &HashSet<String>) -> Vec<String> {
        // The input is nobody's doing.
        let entries = work.entries().into_iter().filter(|entry| !entry.ends_with(" in"));
        entries.filter(|entry| !journal.contains(entry)).collect()
    }

    /// What nodes have written until now.
    pub(crate) fn journal(&self) -> HashSet<String> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl State {
    fn violate(&mut self, kind: Kind, text: String) {
        if self.told.insert(text.clone()) {
            self.violations.push((kind, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_run_that_changes_after_its_end_is_a_violation() {
        let ledger = Ledger::new(PathBuf::new());
        for status in ["pending", "running", "pending", "success", "success"] {
            ledger.observe("r", status);
        }
        assert!(ledger.violations().is_empty());
        ledger.observe("r", "error");
        assert_eq!(ledger.violations()[0].0, Kind::TwoEnds);
    }

    #[test]
    fn what_nodes_have_not_done_is_told() {
        let ledger = Ledger::new(PathBuf::new());
        let work = Work::of(&mut Random::new(1), "t".into(), "simple");
        let journal = HashSet::from(["t a".to_owned()]);
        assert_eq!(ledger.undone(&work, &journal), ["t b"]);
    }
}
