//! What goes out comes in again.

use std::ops::ControlFlow;

use serde_json::json;

use super::{
    assistant_id, at, checkpoints, cron_id,
    crons::{assistant, cron},
    map, raw, read, run, run_id, thread, thread_id,
    webhooks::delivery,
    write,
};
use crate::{
    Error, Result, Scope, Storage, Timestamp, WriteTx,
    archive::{Entry, Kind, Selection, Unit},
    checkpoints::{NewCheckpoint, SaverOp},
    events::{EventId, StoredEvent},
    idempotency::{Key, Record},
    runs::{Run, RunStatus},
    store::{NewItem, Ttl, Vector},
    threads::{self, Columns, Thread, TtlStrategy},
};

const ALL: &Scope = &Scope::server();

fn everything() -> Selection {
    Selection { kinds: Kind::ALL.to_vec(), threads: None }
}

async fn export(storage: &dyn Storage, selection: Selection) -> Vec<Entry> {
    read(storage, move |tx| {
        let mut entries = vec![];
        tx.export(&selection, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    })
    .await
}

/// Imports all entries; the units that were there already.
async fn import(storage: &dyn Storage, entries: Vec<Entry>, replace: bool) -> Vec<Unit> {
    write(storage, move |tx| {
        let mut kept: Vec<Unit> = vec![];
        for entry in entries {
            if !kept.contains(&entry.unit()) && !tx.import(&entry, replace)? {
                kept.push(entry.unit());
            }
        }
        Ok(kept)
    })
    .await
}

/// A chain of checkpoints of thread 1 whose values grow, so that a backend may store what is new of them.
fn history(tx: &dyn WriteTx) -> Result<()> {
    let mut text = "é".repeat(3000);
    for n in 1..=6 {
        text.push_str(&format!("and {n} "));
        let id = format!("c{n}");
        let version = format!("{n}");
        let blobs = [("x", version.as_str(), text.as_bytes())];
        let mut one = NewCheckpoint {
            run_id: Some(run_id(1)),
            step: n - 1,
            ..checkpoints::put(&id, Some("c0"), &blobs)
        };
        // A value of an earlier checkpoint as well.
        one.refs.insert(0, ("x".into(), "1".into()));
        let task =
            checkpoints::task(&id, "t", "p", &[(0, "x", b"w"), (-1, "y", b"")], json!({"n": n}));
        tx.save(
            thread_id(1),
            &[
                SaverOp::Put(one),
                SaverOp::Base(checkpoints::base(&id, json!({"text": text}))),
                SaverOp::Writes(task),
            ],
        )?;
    }
    // Run 2 answers at a checkpoint of run 1.
    let answer = [SaverOp::Writes(checkpoints::task("c6", "t", "p", &[(-1, "y", b"2")], json!(2)))];
    tx.keep_before(thread_id(1), run_id(2), &answer)?;
    tx.save(thread_id(1), &answer)?;
    tx.put_live_state(thread_id(1), "c6", &raw(json!({"z": 1, "a": 2})))
}

/// Something of every kind.
fn fill(tx: &dyn WriteTx) -> Result<()> {
    tx.insert_assistant(&assistant(1))?;
    tx.update_assistant(
        ALL,
        &crate::assistants::Assistant { version: 2, updated_at: at(70), ..assistant(1) },
    )?;
    tx.insert_thread(&Thread {
        values: Some(raw(json!({"b": 1, "a": [1.50, "é"]}))),
        interrupts: Some(raw(json!({"t": []}))),
        error: Some(raw(json!(null))),
        ttl: Some(threads::Ttl { strategy: TtlStrategy::KeepLatest, micros: 7 }),
        config: map(json!({"z": 1, "a": {}})),
        ..thread(1)
    })?;
    tx.settle_expiry(thread_id(1))?;
    tx.insert_thread(&thread(2))?;
    history(tx)?;
    tx.insert_run(&Run { status: RunStatus::Success, attempt: 1, ..run(1, 1) })?;
    tx.insert_run(&Run {
        status: RunStatus::Running,
        attempt: 2,
        crashes: 1,
        owner: Some("a".into()),
        ..run(2, 2)
    })?;
    tx.insert_run(&Run { temporary: true, ..run(3, 2) })?;
    let event = |seq, thread_only| StoredEvent {
        id: EventId { millis: 5, seq },
        name: "values".into(),
        data: b"{}".as_slice().into(),
        thread_only,
    };
    tx.append_events(run_id(1), &[event(1, false), event(2, true)])?;
    tx.append_events(run_id(1), &[event(3, false)])?;
    tx.insert_cron(&cron(1))?;
    tx.insert_cron(&crate::crons::Cron {
        thread_id: Some(thread_id(2)),
        on_run_completed: None,
        ..cron(2)
    })?;
    tx.insert_slot(cron_id(1), at(3), run_id(1), at(0))?;
    tx.insert_slot(cron_id(1), at(4), run_id(2), at(0))?;
    let value = raw(json!({"z": 1, "a": "\u{0}"}));
    let vector = Vector { path: "z".into(), numbers: vec![0.6, -0.8] };
    let ttl = Some(Ttl { micros: 1_000_000 });
    let space = ["a".to_owned(), "b\0".to_owned()];
    tx.put_item(ALL, at(1), &space, "k", NewItem { value: &value, ttl, vectors: &[vector] })?;
    tx.put_item(ALL, at(9), &space, "k", NewItem { value: &value, ttl, vectors: &[] })?;
    tx.refresh_item(ALL, at(12), &space, "k")?;
    tx.put_item(ALL, at(2), &[], "", NewItem { value: &value, ttl: None, vectors: &[] })?;
    tx.insert_delivery(&delivery(1, "a"), &raw(json!({"b": 1, "a": 2})))?;
    let record =
        Record { body_hash: [7; 32], runs: vec![run_id(1), run_id(2)], expires_at: at(99) };
    tx.insert_key(&key(), &record, at(0))
}

fn key() -> Key {
    Key { user: String::new(), route: "/runs".into(), key: "k".into() }
}

/// Takes everything away that [`fill`] has made.
fn clear(tx: &dyn WriteTx) -> Result<()> {
    for id in [1, 2] {
        tx.delete_thread(ALL, thread_id(id))?;
    }
    tx.delete_assistant(ALL, assistant_id(1))?;
    tx.sweep_items(Timestamp::MAX_UTC, 10)?;
    tx.delete_item(ALL, &[], "")?;
    tx.sweep_keys(at(100))
}

/// What is exported, imported and exported again is the same; memory of what was there before changes nothing.
pub async fn everything_comes_back(storage: &dyn Storage) {
    write(storage, fill).await;
    let first = export(storage, everything()).await;
    let names = first.iter().map(Entry::kind).collect::<Vec<_>>();
    assert!(names.is_sorted() && Kind::ALL.iter().all(|kind| names.contains(kind)), "{names:?}");
    let blobs = first.iter().map(|entry| match entry {
        Entry::Saved(_, SaverOp::Put(checkpoint)) => checkpoint.blobs.len(),
        _ => 0,
    });
    assert_eq!(blobs.sum::<usize>(), 6, "each value is carried once");
    write(storage, clear).await;
    assert_eq!(export(storage, everything()).await, []);
    assert_eq!(import(storage, first.clone(), false).await, []);
    assert_eq!(export(storage, everything()).await, first);
    // What the run changed at a checkpoint of another can still be taken back.
    write(storage, |tx| tx.delete_checkpoints_of_run(thread_id(1), run_id(2))).await;
    let tuple = read(storage, |tx| tx.get_checkpoint(ALL, thread_id(1), "", Some("c6"))).await;
    let special = tuple.unwrap().writes.into_iter().find(|(_, write)| write.idx < 0).unwrap();
    assert_eq!(special.1.bytes, b"".as_slice());
}

pub async fn what_is_there_stays(storage: &dyn Storage) {
    write(storage, fill).await;
    let entries = export(storage, everything()).await;
    let units: Vec<_> = entries.iter().filter(|entry| entry.opens()).map(Entry::unit).collect();
    assert_eq!(import(storage, entries.clone(), false).await, units);
    assert_eq!(export(storage, everything()).await, entries);
}

pub async fn what_is_there_is_replaced(storage: &dyn Storage) {
    write(storage, fill).await;
    let entries = export(storage, everything()).await;
    // Others of what was there: gone with what they belong to.
    write(storage, |tx| {
        tx.insert_run(&run(8, 1))?;
        tx.save(thread_id(1), &[SaverOp::Put(checkpoints::put("c9", None, &[("q", "1", b"q")]))])?;
        tx.update_assistant(ALL, &crate::assistants::Assistant { version: 3, ..assistant(1) })?;
        let vectors = [Vector { path: "other".into(), numbers: vec![1.0] }];
        let new = NewItem { value: &raw(json!({})), ttl: None, vectors: &vectors };
        tx.put_item(ALL, at(50), &[], "", new)?;
        Ok(())
    })
    .await;
    assert_ne!(export(storage, everything()).await, entries);
    assert_eq!(import(storage, entries.clone(), true).await, []);
    assert_eq!(export(storage, everything()).await, entries);
}

/// A cron that the archive does not have survives the replacement of its assistant and its thread.
pub async fn crons_stay_when_theirs_is_replaced(storage: &dyn Storage) {
    write(storage, fill).await;
    let kinds = vec![Kind::Assistants, Kind::Threads];
    let entries = export(storage, Selection { kinds, threads: None }).await;
    assert_eq!(import(storage, entries, true).await, []);
    let crons = export(storage, Selection { kinds: vec![Kind::Crons], threads: None }).await;
    assert_eq!(crons.len(), 2);
    // And one whose assistant is not there is refused.
    write(storage, clear).await;
    let refused = storage.write(move |tx| tx.import(&crons[0], false)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

pub async fn selected_threads_alone(storage: &dyn Storage) {
    write(storage, fill).await;
    let threads = Some(vec![thread_id(2)]);
    let kinds = vec![Kind::Threads, Kind::Crons, Kind::Webhooks];
    let found = export(storage, Selection { kinds, threads }).await;
    let threads = found.iter().map(Entry::thread_id).collect::<Vec<_>>();
    assert_eq!(threads, [Some(thread_id(2)); 4]);
    // Who wants no more gets no more.
    let seen = read(storage, |tx| {
        let mut seen = 0;
        tx.export(&everything(), &mut |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(seen)
    })
    .await;
    assert_eq!(seen, 3);
}

/// Nothing that was imported is left when the transaction is refused.
pub async fn a_refusal_leaves_nothing(storage: &dyn Storage) {
    write(storage, fill).await;
    let entries = export(storage, everything()).await;
    write(storage, clear).await;
    let refused: Result<()> = storage
        .write(move |tx| {
            for entry in &entries {
                tx.import(entry, false)?;
            }
            Err(Error::Invalid("it ends too early".into()))
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(export(storage, everything()).await, []);
    let thread = read(storage, |tx| tx.get_thread(ALL, thread_id(1), Columns::Full)).await;
    assert_eq!(thread, None);
}
