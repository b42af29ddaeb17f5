//! Work on everything that is saved for a thread: copy, prune, measure.

use serde_json::json;

use super::{
    add_threads,
    checkpoints::{base, put, task},
    raw, read, run_id, scope, thread_id, write,
};
use crate::{
    Result, Scope, Storage, WriteTx,
    checkpoints::{Base, Filter, NewCheckpoint, Record, SaverOp, Usage},
};

const ALL: &Scope = &Scope::server();
const SUB: &str = "sub:1";

/// Two checkpoints of the root and two of a subgraph; the second of each takes over `x` and changes `y`.
fn fill(tx: &dyn WriteTx, n: u128) -> Result<()> {
    let id = thread_id(n);
    let named = raw(json!({"thread_id": id.to_string(), "step": 1.0, "other": id.to_string()}));
    for ns in ["", SUB] {
        let at = |checkpoint| NewCheckpoint {
            ns: ns.into(),
            metadata: named.clone(),
            run_id: Some(run_id(1)),
            ..checkpoint
        };
        let first = at(put("c1", None, &[("x", "1", b"one"), ("y", "1", b"why")]));
        let mut second = at(put("c2", Some("c1"), &[("y", "2", b"")]));
        second.refs.push(("x".into(), "1".into()));
        let mut writes = task("c1", "t", "p", &[(0, "x", b"w"), (-3, "i", b"i")], json!({"e": 1}));
        let mut latest = task("c2", "t", "p", &[(0, "x", b"www")], json!({"finished": false}));
        (writes.ns, latest.ns) = (ns.into(), ns.into());
        let place = json!({"thread_id": id.to_string(), "checkpoint_ns": "t"});
        let tasks = raw(json!([{"id": "t", "checkpoint": place}, {"id": "u", "checkpoint": null}]));
        let rendered = Base { ns: ns.into(), tasks, ..base("c2", json!({"x": 1})) };
        tx.save(
            id,
            &[
                SaverOp::Put(first),
                SaverOp::Writes(writes),
                SaverOp::Put(second),
                SaverOp::Writes(latest),
                SaverOp::Base(rendered),
            ],
        )?;
    }
    let place = json!({"thread_id": id.to_string(), "checkpoint_id": "c2"});
    let live = json!({
        "values": {"thread_id": id.to_string()},
        "tasks": [{"checkpoint": place}],
        "metadata": {"thread_id": id.to_string()},
        "checkpoint": place,
        "parent_checkpoint": null,
    });
    tx.put_live_state(id, "c2", &raw(live))
}

fn records(tx: &dyn WriteTx, n: u128, ns: &str) -> Result<Vec<Record>> {
    tx.list_records(ALL, thread_id(n), &Filter { ns: ns.into(), ..Default::default() }, 10)
}

pub async fn a_copy_is_whole_and_apart(storage: &dyn Storage) {
    add_threads(storage, 3).await;
    write(storage, |tx| {
        fill(tx, 1)?;
        fill(tx, 2)?;
        tx.copy_checkpoints(thread_id(1), thread_id(3))?;
        let new = thread_id(3).to_string();
        for ns in ["", SUB] {
            for id in ["c1", "c2"] {
                let original = tx.get_checkpoint(ALL, thread_id(1), ns, Some(id))?.unwrap();
                let copy = tx.get_checkpoint(ALL, thread_id(3), ns, Some(id))?.unwrap();
                // Only the member that names the thread is another.
                let metadata =
                    json!({"thread_id": new, "step": 1.0, "other": thread_id(1).to_string()});
                assert_eq!(copy.metadata, raw(metadata));
                assert_eq!(copy.blobs.len(), 2);
                assert!(!copy.writes.is_empty());
                assert_eq!(
                    copy,
                    crate::checkpoints::CheckpointTuple {
                        metadata: copy.metadata.clone(),
                        ..original
                    }
                );
            }
            let (originals, copies) = (records(tx, 1, ns)?, records(tx, 3, ns)?);
            assert_eq!(copies.len(), 2);
            for (copy, original) in copies.iter().zip(&originals) {
                assert_eq!((&copy.id, &copy.tasks), (&original.id, &original.tasks));
            }
            let (copied, rendered) = (copies[0].base.clone(), originals[0].base.clone());
            let (copied, rendered) = (copied.unwrap(), rendered.unwrap());
            assert_eq!((copied.values, copied.next), (rendered.values, rendered.next));
            let place = json!({"thread_id": new, "checkpoint_ns": "t"});
            let tasks = json!([{"id": "t", "checkpoint": place}, {"id": "u", "checkpoint": null}]);
            assert_eq!(copied.tasks, raw(tasks));
        }
        let place = json!({"thread_id": new, "checkpoint_id": "c2"});
        let live = json!({
            "values": {"thread_id": thread_id(1).to_string()},
            "tasks": [{"checkpoint": place}],
            "metadata": {"thread_id": new},
            "checkpoint": place,
            "parent_checkpoint": null,
        });
        assert_eq!(tx.get_live_state(ALL, thread_id(3))?, Some(raw(live)));
        // The copy lives without the original.
        tx.delete_thread(ALL, thread_id(1))?;
        assert!(tx.get_checkpoint(ALL, thread_id(3), "", None)?.is_some());
        assert!(tx.copy_checkpoints(thread_id(9), thread_id(3)).is_err());
        Ok(())
    })
    .await;
}

pub async fn large_rows_are_copied(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        let text = "long ".repeat(2000);
        let metadata =
            |n| raw(json!({"text": text, "thread_id": thread_id(n).to_string(), "n": 1}));
        let checkpoint =
            NewCheckpoint { metadata: metadata(1), ..put("c1", None, &[("x", "1", &[7; 9000])]) };
        tx.save(thread_id(1), &[SaverOp::Put(checkpoint)])?;
        tx.copy_checkpoints(thread_id(1), thread_id(2))?;
        let copy = tx.get_checkpoint(ALL, thread_id(2), "", None)?.unwrap();
        assert!(copy.metadata == metadata(2), "metadata differ");
        assert_eq!(copy.blobs[0].bytes.len(), 9000);
        Ok(())
    })
    .await;
}

pub async fn pruning_keeps_the_newest_of_each_namespace(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        fill(tx, 1)?;
        fill(tx, 2)?;
        let id = thread_id(1);
        let live = tx.get_live_state(ALL, id)?;
        let before = tx.get_checkpoint(ALL, id, SUB, None)?;
        assert!(tx.prune_checkpoints(id)?);
        for ns in ["", SUB] {
            let kept = records(tx, 1, ns)?;
            assert_eq!((kept.len(), kept[0].id.as_str()), (1, "c2"));
            assert!(kept[0].base.is_some() && kept[0].tasks.len() == 1);
            assert_eq!(records(tx, 2, ns)?.len(), 2);
        }
        assert_eq!(tx.get_checkpoint(ALL, id, SUB, None)?, before);
        assert_eq!(tx.get_live_state(ALL, id)?, live);
        let usage = tx.checkpoint_usage(ALL, id)?.unwrap();
        assert_eq!((usage.checkpoints.count, usage.writes.count), (2, 2));
        // Of `y`, only the version in use.
        assert_eq!(usage.channels[1].1.count, 2);
        assert!(tx.prune_checkpoints(id)?);
        assert_eq!(tx.checkpoint_usage(ALL, id)?, Some(usage));
        Ok(())
    })
    .await;
}

pub async fn pruning_spares_values_that_ancestors_complete(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        fill(tx, 1)?;
        let metadata = raw(json!({"counters_since_delta_snapshot": {"x": [1, 1]}}));
        let spread = NewCheckpoint { metadata, ..put("c3", Some("c2"), &[]) };
        tx.save(thread_id(1), &[SaverOp::Put(spread)])?;
        assert!(!tx.prune_checkpoints(thread_id(1))?);
        assert_eq!((records(tx, 1, "")?.len(), records(tx, 1, SUB)?.len()), (3, 2));
        Ok(())
    })
    .await;
}

pub async fn usage_counts_rows_and_bytes(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| fill(tx, 1)).await;
    read(storage, |tx| {
        let usage = tx.checkpoint_usage(ALL, thread_id(1))?.unwrap();
        assert_eq!(usage.checkpoints.count, 4);
        assert!(usage.checkpoints.bytes > 100);
        // An empty value takes nothing.
        let channels = [
            ("x".to_owned(), Usage { count: 2, bytes: 6 }),
            ("y".to_owned(), Usage { count: 4, bytes: 6 }),
        ];
        assert_eq!(usage.channels, channels);
        assert_eq!(usage.writes, Usage { count: 6, bytes: 10 });
        assert_eq!(tx.checkpoint_usage(ALL, thread_id(2))?, Some(Default::default()));
        assert_eq!(tx.checkpoint_usage(ALL, thread_id(9))?, None);
        assert_eq!(tx.checkpoint_usage(&scope(json!({"owner": "even"})), thread_id(1))?, None);
        Ok(())
    })
    .await;
}
