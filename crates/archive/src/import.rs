//! Archive to storage.

use std::io::Read;

use agent_server_storage::{
    Scope, ThreadId, WriteTx,
    archive::{Entry, Kind, Selection, Unit},
    assistants::Assistant,
    encrypted::forget_context,
};
use serde_json::json;

use crate::{
    Error, Header, Imported, Result,
    export::{missing_threads, refuse_missing},
    stream::Reader,
};

/// What happens to a unit that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// Nothing is imported at all.
    #[default]
    Fail,
    /// What is there stays, and the archive's is left out.
    Skip,
    /// The archive's takes its place.
    Replace,
}

/// What is to be taken from an archive.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of these kinds. `None`: threads alone where some are named, else all that the archive has.
    pub kinds: Option<Vec<Kind>>,
    /// Only these threads, and of crons and deliveries those that belong to them.
    pub threads: Option<Vec<ThreadId>>,
}

/// Takes over what is wanted of an archive, in the transaction of the caller, who undoes all of it after an error.
///
/// An assistant that is there as a server makes it for a graph gives way to the archive's, whatever `if_exists` says: every start makes
/// them, and nobody has changed it.
///
/// # Errors
/// The archive is cut off, damaged, newer or none; something is there already ([`IfExists::Fail`]); what was wanted is not in
/// it; the storage cannot be written.
pub fn import(
    tx: &dyn WriteTx,
    input: impl Read + Send + 'static,
    wanted: &Wanted,
    if_exists: IfExists,
) -> Result<Imported> {
    let (mut reader, header) = Reader::new(input)?;
    let selection = selection(wanted, &header)?;
    let mut missing = missing_threads(&selection);
    let mut imported = Imported::default();
    let mut open: Option<Opened> = None;
    while let Some(record) = reader.next()? {
        let name = record.name();
        let mut entry = Entry::from(record);
        // Elsewhere it is nothing but a key of somebody's metadata.
        if header.contexts != tx.has_contexts() {
            forget_context(&mut entry);
        }
        if !selects(&selection, &entry) {
            continue;
        }
        let unit = entry.unit();
        if entry.opens() {
            if let Unit::Thread(id) = &unit {
                missing.remove(id);
            }
            let replace = if_exists == IfExists::Replace || is_as_made(tx, &unit)?;
            let taken = tx.import(&entry, replace)?;
            if !taken && if_exists == IfExists::Fail {
                return Err(Error::Exists(unit));
            }
            open = Some(Opened { unit, taken });
        } else {
            match &open {
                Some(open) if open.unit == unit => {
                    if open.taken {
                        tx.import(&entry, false)?;
                    }
                }
                _ => {
                    return Err(reader.damaged(format_args!("a {name} without what it belongs to")));
                }
            }
        }
        let taken = open.as_ref().is_some_and(|open| open.taken);
        let counts = if taken { &mut imported.taken } else { &mut imported.skipped };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    refuse_missing(missing)?;
    Ok(imported)
}

/// The unit that entries are being read of.
struct Opened {
    unit: Unit,
    /// Whether they are taken over.
    taken: bool,
}

/// What is wanted, and in the archive.
fn selection(wanted: &Wanted, header: &Header) -> Result<Selection> {
    let held: Vec<Kind> = header.kinds.iter().filter_map(|word| Kind::parse(word)).collect();
    let kinds = match (&wanted.kinds, &wanted.threads) {
        (Some(kinds), _) => kinds.clone(),
        (None, Some(_)) => vec![Kind::Threads],
        (None, None) => held.clone(),
    };
    if let Some(kind) = kinds.iter().find(|kind| !held.contains(kind)) {
        let missing = kind.as_str().to_owned();
        return Err(Error::NoKind { missing, holds: header.kinds.join(", ") });
    }
    Ok(Selection { kinds, threads: wanted.threads.clone() })
}

fn selects(selection: &Selection, entry: &Entry) -> bool {
    selection.has(entry.kind())
        && match entry.kind() {
            Kind::Threads | Kind::Crons | Kind::Webhooks => selection.has_thread(entry.thread_id()),
            Kind::Assistants | Kind::Store | Kind::Idempotency => true,
        }
}

/// Whether the unit is an assistant that is there as a start makes it for a graph.
fn is_as_made(tx: &dyn WriteTx, unit: &Unit) -> Result<bool> {
    let Unit::Assistant(id) = unit else { return Ok(false) };
    let Some(found) = tx.get_assistant(&Scope::server(), *id)? else { return Ok(false) };
    let Assistant { version, metadata, config, context, .. } = found;
    Ok(version == 1
        && json!(metadata) == json!({"created_by": "system"})
        && config.is_empty()
        && context.is_empty()
        && tx.latest_assistant_version(*id)? == 1)
}
