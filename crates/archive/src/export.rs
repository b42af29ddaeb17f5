//! Storage to archive.

use std::{
    collections::HashSet,
    io::Write,
    ops::ControlFlow::{Break, Continue},
};

use agent_server_storage::{
    ReadTx, Timestamp,
    archive::{Entry, Kind, Selection},
};

use crate::{
    Counts, Error, Result,
    record::Record,
    stream::{Header, Writer},
};

/// Writes what is selected of a snapshot; how many records of each kind. `program` is the version of the caller, for the
/// header. Runs that wait or run are written as they are: whoever imports them finds what a server finds after a crash.
///
/// # Errors
/// The snapshot cannot be read, the stream cannot be written, or a selected thread is not there.
pub fn export<W: Write>(
    tx: &dyn ReadTx,
    selection: &Selection,
    program: &str,
    now: Timestamp,
    out: W,
) -> Result<(W, Counts)> {
    let kinds = selection.kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let threads = selection.threads.clone();
    let header = Header::new(program, now, kinds, threads, tx.has_contexts());
    let mut writer = Writer::new(out, header)?;
    let mut missing = missing_threads(selection);
    let mut failed = None;
    tx.export(selection, &mut |entry| {
        if let Entry::Thread { thread, .. } = &entry {
            missing.remove(&thread.thread_id);
        }
        match writer.record(&Record::from(entry)) {
            Ok(()) => Continue(()),
            Err(error) => {
                failed = Some(error);
                Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    refuse_missing(missing)?;
    writer.finish()
}

/// Threads that have to be met.
pub(crate) fn missing_threads(selection: &Selection) -> HashSet<agent_server_storage::ThreadId> {
    let wanted = selection.threads.iter().flatten().copied();
    if selection.has(Kind::Threads) { wanted.collect() } else { HashSet::new() }
}

/// Errors: some were not met.
pub(crate) fn refuse_missing(missing: HashSet<agent_server_storage::ThreadId>) -> Result<()> {
    let mut missing: Vec<_> = missing.into_iter().collect();
    missing.sort();
    if missing.is_empty() { Ok(()) } else { Err(Error::NoThread(missing)) }
}
