//! Checkpoints.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{add_threads, at, map, raw, read, run_id, scope, thread_id, write};
use crate::{
    RawJson, Result, Scope, Storage, WriteTx,
    checkpoints::{Base, Blob, Filter, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
};

const ALL: &Scope = &Scope::server();

fn blob(channel: &str, version: &str, bytes: &[u8]) -> Blob {
    Blob {
        channel: channel.into(),
        version: version.into(),
        type_tag: "msgpack".into(),
        bytes: Bytes::copy_from_slice(bytes),
    }
}

/// A checkpoint of the root with new blobs `(channel, version, bytes)`.
pub(super) fn put(id: &str, parent: Option<&str>, blobs: &[(&str, &str, &[u8])]) -> NewCheckpoint {
    NewCheckpoint {
        ns: String::new(),
        id: id.into(),
        parent_id: parent.map(Into::into),
        created_at: at(5),
        step: -1,
        source: "loop".into(),
        run_id: None,
        metadata: raw(json!({"step": 1, "source": "loop", "id": id})),
        small: Bytes::from_static(b"\0small\xff"),
        refs: blobs
            .iter()
            .map(|(channel, version, _)| ((*channel).into(), (*version).into()))
            .collect(),
        blobs: blobs
            .iter()
            .map(|(channel, version, bytes)| blob(channel, version, bytes))
            .collect(),
    }
}

pub(super) fn task(
    checkpoint: &str,
    task: &str,
    path: &str,
    writes: &[(i64, &str, &[u8])],
    status: Value,
) -> TaskWrites {
    TaskWrites {
        ns: String::new(),
        checkpoint_id: checkpoint.into(),
        task_id: task.into(),
        task_path: path.into(),
        writes: writes
            .iter()
            .map(|(idx, channel, bytes)| TaskWrite {
                idx: *idx,
                channel: (*channel).into(),
                type_tag: "msgpack".into(),
                bytes: Bytes::copy_from_slice(bytes),
            })
            .collect(),
        status: raw(status),
    }
}

pub(super) fn base(checkpoint: &str, values: Value) -> Base {
    Base {
        ns: String::new(),
        checkpoint_id: checkpoint.into(),
        values: raw(values),
        next: raw(json!(["a"])),
        tasks: raw(json!([{"id": "t", "name": "a", "path": [], "checkpoint": null}])),
    }
}

/// `(task, idx, bytes)` of the writes of a checkpoint.
fn writes(tx: &dyn WriteTx, id: &str) -> Result<Vec<(String, i64, Bytes)>> {
    let tuple = tx.get_checkpoint(ALL, thread_id(1), "", Some(id))?.unwrap();
    Ok(tuple.writes.into_iter().map(|(task, write)| (task, write.idx, write.bytes)).collect())
}

pub async fn newest_is_the_head(storage: &dyn Storage) {
    add_threads(storage, 2).await;
    write(storage, |tx| {
        let sub = NewCheckpoint { ns: "node:1|x".into(), ..put("c9", None, &[]) };
        tx.save(
            thread_id(1),
            &[
                SaverOp::Put(put("c2", Some("c1"), &[("x", "2", b"two")])),
                SaverOp::Put(put("c1", None, &[("x", "1", b"one"), ("y", "1", b"")])),
                SaverOp::Put(sub),
            ],
        )
    })
    .await;
    read(storage, |tx| {
        let id = thread_id(1);
        let head = tx.get_checkpoint(ALL, id, "", None)?.unwrap();
        assert_eq!((head.id.as_str(), head.parent_id.as_deref()), ("c2", Some("c1")));
        assert_eq!(head.blobs, [blob("x", "2", b"two")]);
        assert_eq!(head.small, Bytes::from_static(b"\0small\xff"));
        assert_eq!(head.metadata, raw(json!({"step": 1, "source": "loop", "id": "c2"})));
        let first = tx.get_checkpoint(ALL, id, "", Some("c1"))?.unwrap();
        assert_eq!(first.blobs, [blob("x", "1", b"one"), blob("y", "1", b"")]);
        assert_eq!(first.parent_id, None);
        assert_eq!(tx.head_checkpoint(ALL, id, "")?.as_deref(), Some("c2"));
        assert_eq!(tx.head_checkpoint(ALL, id, "node:1|x")?.as_deref(), Some("c9"));
        assert_eq!(tx.head_checkpoint(ALL, id, "node")?, None);
        assert_eq!(tx.head_checkpoint(ALL, thread_id(2), "")?, None);
        assert_eq!(tx.get_checkpoint(ALL, id, "", Some("c3"))?, None);
        assert_eq!(tx.get_checkpoint(ALL, thread_id(9), "", None)?, None);
        Ok(())
    })
    .await;
}

pub async fn saving_twice_is_saving_once(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    let ops = [
        SaverOp::Put(put("c1", None, &[("x", "1", b"one")])),
        SaverOp::Writes(task("c1", "t1", "a", &[(0, "x", b"w"), (-3, "i", b"i")], json!({}))),
        SaverOp::Base(base("c1", json!({"x": 1}))),
        // Takes over a value that is stored already.
        SaverOp::Put(NewCheckpoint {
            refs: vec![("x".into(), "1".into())],
            ..put("c2", Some("c1"), &[])
        }),
    ];
    let again = ops.clone();
    write(storage, move |tx| tx.save(thread_id(1), &ops)).await;
    let seen = |storage| {
        read(storage, |tx| {
            let first = tx.get_checkpoint(ALL, thread_id(1), "", Some("c1"))?;
            let second = tx.get_checkpoint(ALL, thread_id(1), "", Some("c2"))?;
            Ok((first, second, tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?))
        })
    };
    let once = seen(storage).await;
    assert_eq!(once.1.as_ref().unwrap().blobs, [blob("x", "1", b"one")]);
    write(storage, move |tx| tx.save(thread_id(1), &again)).await;
    assert_eq!(seen(storage).await, once);
}

pub async fn writes_may_come_before_their_checkpoint(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let early =
            SaverOp::Writes(task("c1", "t1", "a", &[(0, "x", b"w")], json!({"finished": true})));
        tx.save(thread_id(1), &[early])?;
        assert_eq!(tx.get_checkpoint(ALL, thread_id(1), "", None)?, None);
        assert!(tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?.is_empty());
        tx.save(thread_id(1), &[SaverOp::Put(put("c1", None, &[]))])?;
        assert_eq!(writes(tx, "c1")?, [("t1".into(), 0, Bytes::from_static(b"w"))]);
        let records = tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?;
        assert_eq!(records[0].tasks, [("t1".into(), raw(json!({"finished": true})))]);
        Ok(())
    })
    .await;
}

pub async fn special_writes_replace_others_stay(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let first = task("c1", "t", "a", &[(0, "x", b"old"), (-3, "i", b"old")], json!({"n": 1}));
        let second = task(
            "c1",
            "t",
            "a",
            &[(0, "x", b"new"), (1, "x", b"new"), (-3, "i", b"new")],
            json!({"n": 2}),
        );
        let ops =
            [SaverOp::Put(put("c1", None, &[])), SaverOp::Writes(first), SaverOp::Writes(second)];
        tx.save(thread_id(1), &ops)?;
        let expected: [(String, i64, Bytes); 3] = [
            ("t".into(), -3, Bytes::from_static(b"new")),
            ("t".into(), 0, Bytes::from_static(b"old")),
            ("t".into(), 1, Bytes::from_static(b"new")),
        ];
        assert_eq!(writes(tx, "c1")?, expected);
        let records = tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?;
        assert_eq!(records[0].tasks, [("t".into(), raw(json!({"n": 2})))]);
        Ok(())
    })
    .await;
}

pub async fn writes_are_in_order(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let writes_of = |id: &str, path: &str, idx: i64| {
            SaverOp::Writes(task("c1", id, path, &[(idx, "x", b"")], json!({})))
        };
        tx.save(
            thread_id(1),
            &[
                SaverOp::Put(put("c1", None, &[])),
                writes_of("t1", "~b", 0),
                writes_of("t3", "~B", 10),
                writes_of("t3", "~B", 9),
                writes_of("t2", "~B", 0),
                writes_of("t4", "", 0),
                writes_of("t4", "", -1),
            ],
        )?;
        let order: Vec<_> =
            writes(tx, "c1")?.into_iter().map(|(task, idx, _)| (task, idx)).collect();
        let expected = [("t4", -1), ("t4", 0), ("t2", 0), ("t3", 9), ("t3", 10), ("t1", 0)];
        assert_eq!(order, expected.map(|(task, idx)| (task.to_owned(), idx)));
        let records = tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?;
        let tasks: Vec<_> = records[0].tasks.iter().map(|(task, _)| task.as_str()).collect();
        assert_eq!(tasks, ["t4", "t2", "t3", "t1"]);
        Ok(())
    })
    .await;
}

pub async fn records_show_rendered_parts(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        tx.save(
            thread_id(1),
            &[
                SaverOp::Put(put("c1", None, &[])),
                SaverOp::Base(base("c1", json!({"old": 1}))),
                SaverOp::Put(put("c2", Some("c1"), &[])),
                SaverOp::Base(base("c1", json!({"x": 1}))),
            ],
        )?;
        let records = tx.list_records(ALL, thread_id(1), &Filter::default(), 10)?;
        let [newest, oldest] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((newest.id.as_str(), newest.parent_id.as_deref()), ("c2", Some("c1")));
        assert_eq!((&newest.base, newest.created_at), (&None, at(5)));
        assert_eq!(oldest.base, Some(base("c1", json!({"x": 1}))));
        assert_eq!(oldest.metadata, raw(json!({"step": 1, "source": "loop", "id": "c1"})));
        Ok(())
    })
    .await;
}

pub async fn records_filter(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let mut ops: Vec<_> =
            ["c1", "c2", "c3"].iter().map(|id| SaverOp::Put(put(id, None, &[]))).collect();
        ops.push(SaverOp::Put(NewCheckpoint { ns: "sub".into(), ..put("c4", None, &[]) }));
        tx.save(thread_id(1), &ops)?;
        let ids = |filter: Filter, limit| -> Result<Vec<String>> {
            let records = tx.list_records(ALL, thread_id(1), &filter, limit)?;
            Ok(records.into_iter().map(|record| record.id).collect())
        };
        let any = Filter::default;
        assert_eq!(ids(any(), 10)?, ["c3", "c2", "c1"]);
        assert_eq!(ids(any(), 2)?, ["c3", "c2"]);
        assert_eq!(ids(Filter { before: Some("c3".into()), ..any() }, 1)?, ["c2"]);
        assert_eq!(ids(Filter { id: Some("c2".into()), ..any() }, 10)?, ["c2"]);
        assert_eq!(ids(Filter { ns: "sub".into(), ..any() }, 10)?, ["c4"]);
        let metadata = Some(map(json!({"id": "c1", "step": 1})));
        assert_eq!(ids(Filter { metadata, ..any() }, 10)?, ["c1"]);
        assert_eq!(ids(Filter { metadata: Some(map(json!({}))), ..any() }, 1)?, ["c3"]);
        Ok(())
    })
    .await;
}

pub async fn live_state_belongs_to_the_head(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let id = thread_id(1);
        let state = raw(json!({"values": {"x": 1}, "next": []}));
        assert_eq!(tx.get_live_state(ALL, id)?, None);
        tx.save(id, &[SaverOp::Put(put("c1", None, &[]))])?;
        tx.put_live_state(id, "c1", &state)?;
        assert_eq!(tx.get_live_state(ALL, id)?, Some(state.clone()));
        // Checkpoints of subgraphs do not move the head of the thread.
        let sub = NewCheckpoint { ns: "sub".into(), ..put("c8", None, &[]) };
        tx.save(id, &[SaverOp::Put(sub)])?;
        assert_eq!(tx.get_live_state(ALL, id)?, Some(state.clone()));
        tx.save(id, &[SaverOp::Put(put("c2", Some("c1"), &[]))])?;
        assert_eq!(tx.get_live_state(ALL, id)?, None);
        tx.put_live_state(id, "c2", &RawJson::null())?;
        assert_eq!(tx.get_live_state(ALL, id)?, Some(RawJson::null()));
        Ok(())
    })
    .await;
}

pub async fn deleting_a_run_keeps_shared_blobs(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let id = thread_id(1);
        let of_run =
            |run: u128, checkpoint| NewCheckpoint { run_id: Some(run_id(run)), ..checkpoint };
        let kept = of_run(1, put("c1", None, &[("x", "1", b"one"), ("y", "1", b"why")]));
        // Takes `x` over and changes `y`.
        let mut second = of_run(2, put("c2", Some("c1"), &[("y", "2", b"yes")]));
        second.refs.push(("x".into(), "1".into()));
        let sub =
            of_run(2, NewCheckpoint { ns: "s".into(), ..put("c3", None, &[("x", "1", b"s")]) });
        tx.save(
            id,
            &[
                SaverOp::Put(kept),
                SaverOp::Writes(task("c1", "t", "", &[(0, "x", b"w")], json!({}))),
                SaverOp::Put(second),
                SaverOp::Writes(task("c2", "t", "", &[(0, "x", b"w")], json!({}))),
                SaverOp::Base(base("c2", json!({}))),
                SaverOp::Put(sub),
            ],
        )?;
        tx.put_live_state(id, "c2", &raw(json!({})))?;
        tx.delete_checkpoints_of_run(id, run_id(2))?;

        let head = tx.get_checkpoint(ALL, id, "", None)?.unwrap();
        assert_eq!(head.id, "c1");
        assert_eq!(head.blobs, [blob("x", "1", b"one"), blob("y", "1", b"why")]);
        assert_eq!(head.writes.len(), 1);
        assert_eq!(tx.head_checkpoint(ALL, id, "s")?, None);
        assert_eq!(tx.get_live_state(ALL, id)?, None);
        // What belonged to the run is really gone: a checkpoint of the same id starts anew, its value is stored anew.
        tx.save(id, &[SaverOp::Put(put("c2", Some("c1"), &[("y", "2", b"new")]))])?;
        let anew = tx.get_checkpoint(ALL, id, "", Some("c2"))?.unwrap();
        assert_eq!(anew.blobs, [blob("y", "2", b"new")]);
        assert!(anew.writes.is_empty());
        let records = tx.list_records(ALL, id, &Filter::default(), 1)?;
        assert_eq!((&records[0].base, records[0].tasks.len()), (&None, 0));
        tx.delete_checkpoints_of_run(id, run_id(7))?;
        tx.delete_checkpoints_of_run(thread_id(7), run_id(1))
    })
    .await;
}

pub async fn scope_hides(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    write(storage, |tx| {
        let id = thread_id(1);
        tx.save(id, &[SaverOp::Put(put("c1", None, &[]))])?;
        tx.put_live_state(id, "c1", &RawJson::null())?;
        for (scope, visible) in
            [(scope(json!({"owner": "odd"})), true), (scope(json!({"owner": "even"})), false)]
        {
            assert_eq!(tx.get_checkpoint(&scope, id, "", None)?.is_some(), visible);
            assert_eq!(tx.head_checkpoint(&scope, id, "")?.is_some(), visible);
            assert_eq!(tx.get_live_state(&scope, id)?.is_some(), visible);
            let records = tx.list_records(&scope, id, &Filter::default(), 10)?;
            assert_eq!(!records.is_empty(), visible);
        }
        Ok(())
    })
    .await;
}

pub async fn late_save_is_refused(storage: &dyn Storage) {
    let late =
        storage.write(|tx| tx.save(thread_id(1), &[SaverOp::Put(put("c1", None, &[]))])).await;
    assert!(late.is_err());
    add_threads(storage, 1).await;
    assert_eq!(read(storage, |tx| tx.head_checkpoint(ALL, thread_id(1), "")).await, None);
}

pub async fn large_blobs_come_back(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    // One that compresses and one that does not.
    let even = vec![b'a'; 300_000];
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    let expected = [blob("even", "1", &even), blob("noise", "1", &noise)];
    let values = raw(json!({"messages": vec!["hello"; 20_000]}));
    let rendered = Base { values, ..base("c1", json!(null)) };
    let stored = rendered.clone();
    write(storage, move |tx| {
        let checkpoint = put("c1", None, &[("even", "1", &even), ("noise", "1", &noise)]);
        tx.save(thread_id(1), &[SaverOp::Put(checkpoint), SaverOp::Base(stored)])
    })
    .await;
    let (tuple, records) = read(storage, |tx| {
        let tuple = tx.get_checkpoint(ALL, thread_id(1), "", None)?;
        Ok((tuple.unwrap(), tx.list_records(ALL, thread_id(1), &Filter::default(), 1)?))
    })
    .await;
    assert!(tuple.blobs == expected, "blobs differ");
    assert!(records[0].base == Some(rendered), "values differ");
}
