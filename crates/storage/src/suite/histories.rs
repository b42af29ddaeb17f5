//! Long histories of large states: backends may store one version as its difference to another.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{add_threads, checkpoints::put, raw, read, run_id, thread_id, write};
use crate::{
    ReadTx, Result, Scope, Storage,
    checkpoints::{Base, Blob, Filter, NewCheckpoint, SaverOp},
};

const ALL: &Scope = &Scope::server();
const LENGTH: usize = 70;

/// Text that no compressor makes smaller.
fn message(n: usize) -> String {
    let mut state = n as u64 + 1;
    let mut word = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        format!("{:08x}", state >> 32)
    };
    (0..40).map(|_| word()).collect()
}

fn id(n: usize) -> String {
    format!("c{n:04}")
}

/// The state after `n` steps: what an earlier step wrote, a counter before it, a word after it.
fn values(n: usize) -> Value {
    let messages: Vec<_> = (0..=n + 15).map(message).collect();
    json!({"count": n, "messages": messages, "last": message(n)})
}

fn blob(n: usize) -> Blob {
    let text = (0..=n + 15).map(message).collect::<String>();
    let bytes = [&(n as u32).to_be_bytes(), text.as_bytes()].concat();
    Blob {
        channel: "messages".into(),
        version: format!("{n:08}.5"),
        type_tag: "msgpack".into(),
        bytes: Bytes::from(bytes),
    }
}

fn base(n: usize, values: &Value) -> Base {
    Base {
        ns: String::new(),
        checkpoint_id: id(n),
        values: raw(values.clone()),
        next: raw(json!([])),
        tasks: raw(json!([])),
    }
}

/// Step `n`, made by run `n / 10`.
fn step(n: usize) -> [SaverOp; 2] {
    let blob = blob(n);
    let checkpoint = NewCheckpoint {
        run_id: Some(run_id((n / 10) as u128)),
        refs: vec![(blob.channel.clone(), blob.version.clone())],
        blobs: vec![blob],
        ..put(&id(n), n.checked_sub(1).map(id).as_deref(), &[])
    };
    [SaverOp::Put(checkpoint), SaverOp::Base(base(n, &values(n)))]
}

/// Checks that exactly these steps are there, with these values and their blobs.
#[track_caller]
fn check(tx: &dyn ReadTx, mut expected: Vec<(usize, Value)>) -> Result<()> {
    expected.reverse();
    let records = tx.list_records(ALL, thread_id(1), &Filter::default(), 1000)?;
    let found: Vec<_> =
        records.iter().map(|record| (&*record.id, &record.base.as_ref().unwrap().values)).collect();
    let expected: Vec<_> =
        expected.iter().map(|(n, values)| (*n, id(*n), raw(values.clone()))).collect();
    assert!(found.iter().copied().eq(expected.iter().map(|(_, id, values)| (&**id, values))));
    for (n, id, _) in expected {
        let tuple = tx.get_checkpoint(ALL, thread_id(1), "", Some(&id))?.unwrap();
        assert_eq!(tuple.blobs, [blob(n)]);
    }
    Ok(())
}

async fn add_history(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    for n in 0..LENGTH {
        write(storage, move |tx| tx.save(thread_id(1), &step(n))).await;
    }
}

pub async fn every_version_comes_back(storage: &dyn Storage) {
    add_history(storage).await;
    // Saved a second time, by an attempt that does not know of the first.
    write(storage, |tx| (30..LENGTH).try_for_each(|n| tx.save(thread_id(1), &step(n)))).await;
    read(storage, |tx| check(tx, (0..LENGTH).map(|n| (n, values(n))).collect())).await;
}

pub async fn deleted_runs_do_not_touch_others(storage: &dyn Storage) {
    add_history(storage).await;
    for run in [0, 3, 6] {
        write(storage, move |tx| tx.delete_checkpoints_of_run(thread_id(1), run_id(run))).await;
        read(storage, move |tx| {
            let gone =
                |n: usize| [0, 3, 6].iter().any(|each| *each <= run && n / 10 == *each as usize);
            check(tx, (0..LENGTH).filter(|n| !gone(*n)).map(|n| (n, values(n))).collect())
        })
        .await;
    }
}

pub async fn rendered_anew_does_not_touch_others(storage: &dyn Storage) {
    add_history(storage).await;
    let other =
        |n: usize| json!({"count": -1, "messages": [message(n), message(n + 1).repeat(20)]});
    write(storage, move |tx| {
        for n in [0, 16, 17, LENGTH - 1] {
            tx.save(thread_id(1), &[SaverOp::Base(base(n, &other(n)))])?;
        }
        Ok(())
    })
    .await;
    read(storage, move |tx| {
        let replaced = |n: usize| [0, 16, 17, LENGTH - 1].contains(&n);
        let expected = |n: usize| if replaced(n) { other(n) } else { values(n) };
        check(tx, (0..LENGTH).map(|n| (n, expected(n))).collect())
    })
    .await;
}

pub async fn a_copy_outlives_its_pruned_origin(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    for n in 0..LENGTH {
        write(storage, move |tx| tx.save(thread_id(2), &step(n))).await;
    }
    write(storage, |tx| tx.copy_checkpoints(thread_id(2), thread_id(1))).await;
    assert!(write(storage, |tx| tx.prune_checkpoints(thread_id(2))).await);
    read(storage, |tx| check(tx, (0..LENGTH).map(|n| (n, values(n))).collect())).await;
    read(storage, |tx| {
        let left = tx.list_records(ALL, thread_id(2), &Filter::default(), 1000)?;
        let last = left.iter().map(|record| record.base.as_ref().unwrap().values.clone());
        assert_eq!(last.collect::<Vec<_>>(), [raw(values(LENGTH - 1))]);
        let head = tx.get_checkpoint(ALL, thread_id(2), "", None)?.unwrap();
        assert_eq!(head.blobs, [blob(LENGTH - 1)]);
        Ok(())
    })
    .await;
}
