//! What somebody finds who reads the files of an encrypted folder, and who may open it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{fs, path::Path, sync::Arc, time::Duration};

use agent_server_storage::{
    AssistantId, Cost, CronId, Error, Map, RawJson, RunId, Scope, Storage, ThreadId, Timestamp,
    assistants::Assistant,
    checkpoints::{Base, Blob, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
    crons::Cron,
    events::{EventId, StoredEvent},
    runs::{MultitaskStrategy, Run, RunStatus},
    store::{NewItem, Vector},
    threads::{Changes, Columns, Filter, Thread, ThreadStatus},
    webhooks::{Delivery, DeliveryStatus},
};
use agent_server_storage_sqlite::{AesKey, Encryption, Options, Sqlite, inspect};
use serde_json::json;
use uuid::Uuid;

const ALL: &Scope = &Scope::server();
/// Parts of it are in every value; it does not compress, and nothing else looks like it.
const CANARY: &str = "q7Zk-canary-Xw93-Lp0v-Rt5y";

fn encryption(key: u8, json_keys: &[&str]) -> Encryption {
    let json_keys = json_keys.iter().map(|key| (*key).to_owned()).collect();
    Encryption { key: AesKey::new(&[key; 32]), json_keys, hooks: None }
}

fn open(folder: &Path, encryption: Encryption) -> Result<Arc<dyn Storage>, Error> {
    let options = Options { encryption, wipe_after: Duration::ZERO, ..Options::default() };
    Sqlite::open(folder, options).map(|storage| storage as _)
}

fn time() -> Timestamp {
    Timestamp::from_timestamp_micros(1_790_000_000_000_000).unwrap()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn thread() -> Thread {
    let secret: Map = json!({"secret": CANARY}).as_object().unwrap().clone();
    Thread {
        thread_id: ThreadId(id(1)),
        created_at: time(),
        updated_at: time(),
        state_updated_at: time(),
        metadata: json!({"owner": "readable", "secret": CANARY}).as_object().unwrap().clone(),
        config: secret,
        status: ThreadStatus::Idle,
        values: Some(json()),
        interrupts: Some(json()),
        error: Some(json()),
        ttl: None,
    }
}

fn json() -> RawJson {
    RawJson::of(&json!({"text": CANARY}))
}

/// Puts the canary wherever it can be put.
async fn fill(storage: &dyn Storage) {
    let (thread, json) = (thread(), json());
    let metadata = thread.metadata.clone();
    let secret = thread.config.clone();
    let assistant = Assistant {
        assistant_id: AssistantId(id(2)),
        graph_id: "chat".into(),
        name: "chat".into(),
        description: None,
        version: 1,
        created_at: time(),
        updated_at: time(),
        metadata: metadata.clone(),
        config: secret.clone(),
        context: secret,
    };
    let run = Run {
        run_id: RunId(id(3)),
        thread_id: thread.thread_id,
        assistant_id: assistant.assistant_id,
        graph_id: "chat".into(),
        created_at: time(),
        updated_at: time(),
        status: RunStatus::Success,
        metadata: metadata.clone(),
        kwargs: json.clone(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        attempt: 1,
        crashes: 0,
        temporary: false,
        owner: None,
    };
    let bytes = bytes::Bytes::from_static(CANARY.as_bytes());
    let ns = String::new();
    let checkpoint = "1f0c9e2a-0000-6000-8000-000000000001".to_owned();
    let write = |run: &Run| TaskWrites {
        ns: ns.clone(),
        checkpoint_id: checkpoint.clone(),
        task_id: format!("task-of-{}", run.run_id),
        task_path: String::new(),
        writes: vec![TaskWrite {
            idx: 0,
            channel: "messages".into(),
            type_tag: "msgpack".into(),
            bytes: bytes.clone(),
        }],
        status: json.clone(),
    };
    let ops = vec![
        SaverOp::Put(NewCheckpoint {
            ns: ns.clone(),
            id: checkpoint.clone(),
            parent_id: None,
            created_at: time(),
            step: 1,
            source: "loop".into(),
            run_id: Some(run.run_id),
            metadata: json.clone(),
            small: bytes.clone(),
            refs: vec![("messages".into(), "1".into())],
            blobs: vec![Blob {
                channel: "messages".into(),
                version: "1".into(),
                type_tag: "msgpack".into(),
                bytes: bytes.clone(),
            }],
        }),
        SaverOp::Writes(write(&run)),
        SaverOp::Base(Base {
            ns: ns.clone(),
            checkpoint_id: checkpoint.clone(),
            values: json.clone(),
            next: json.clone(),
            tasks: json.clone(),
        }),
    ];
    let again = vec![SaverOp::Writes(write(&run))];
    let event = StoredEvent {
        id: EventId { millis: 1, seq: 1 },
        name: "values".into(),
        data: bytes.clone(),
        thread_only: false,
    };
    let cron = Cron {
        cron_id: CronId(id(4)),
        assistant_id: assistant.assistant_id,
        thread_id: None,
        created_at: time(),
        updated_at: time(),
        next_run_date: None,
        end_time: None,
        enabled: true,
        schedule: "* * * * *".into(),
        timezone: None,
        on_run_completed: Some(agent_server_storage::crons::OnRunCompleted::Keep),
        user_id: None,
        metadata: metadata.clone(),
        payload: json.clone(),
    };
    let delivery = Delivery {
        run_id: run.run_id,
        thread_id: thread.thread_id,
        assistant_id: assistant.assistant_id,
        url: "http://receiver.test/".into(),
        host: "receiver.test".into(),
        status: DeliveryStatus::Delivered,
        attempts: 1,
        created_at: time(),
        updated_at: time(),
        due_at: None,
        outcome: None,
        metadata,
        trace: None,
    };
    storage
        .write(move |tx| {
            tx.insert_assistant(&assistant)?;
            tx.insert_thread(&thread)?;
            tx.insert_run(&run)?;
            tx.save(thread.thread_id, &ops)?;
            tx.put_live_state(thread.thread_id, &checkpoint, &json)?;
            // Somebody else writes at the checkpoint: what was there is kept.
            tx.keep_before(thread.thread_id, RunId(id(5)), &again)?;
            tx.append_events(run.run_id, &[event])?;
            tx.insert_cron(&cron)?;
            tx.insert_delivery(&delivery, &json)?;
            let vectors =
                [Vector { path: "text".into(), numbers: vec![f32::from_le_bytes(*b"Xw93"); 8] }];
            let item = NewItem { value: &json, ttl: None, vectors: &vectors };
            tx.put_item(ALL, time(), &["memories".into()], "key", item)
        })
        .await
        .unwrap();
}

/// How often a part of the canary is in the files of the folder.
fn found(folder: &Path) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files
        .map(|bytes| {
            bytes.windows(4).filter(|part| matches!(*part, b"Xw93" | b"q7Zk" | b"Rt5y")).count()
        })
        .sum()
}

async fn stored(storage: &dyn Storage) -> Thread {
    let found = storage.read(Cost::Point, |tx| {
        let thread = tx.get_thread(ALL, ThreadId(id(1)), Columns::Full)?;
        let search = Filter {
            metadata: json!({"secret": CANARY}).as_object().cloned(),
            values: json!({"text": CANARY}).as_object().cloned(),
            ..Filter::default()
        };
        assert_eq!(tx.count_threads(ALL, &search)?, 1, "searches see what was written");
        Ok::<_, Error>(thread)
    });
    found.await.unwrap().unwrap()
}

#[tokio::test]
async fn no_file_shows_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path(), Encryption::default()).unwrap();
    fill(&*storage).await;
    assert!(found(folder.path()) > 60, "{} without encryption", found(folder.path()));
    drop(storage);

    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path(), encryption(7, &["secret"])).unwrap();
    fill(&*storage).await;
    assert_eq!(found(folder.path()), 0, "in the log");
    assert!(stored(&*storage).await == thread());
    storage.close().await;
    drop(storage);
    assert_eq!(found(folder.path()), 0, "in the file");
    assert_eq!(inspect(folder.path(), &encryption(7, &[])).unwrap(), Vec::<String>::new());

    // The names of keys may change: what was written stays readable.
    let storage = open(folder.path(), encryption(7, &[])).unwrap();
    assert!(stored(&*storage).await == thread());
}

#[tokio::test]
async fn what_was_there_before_the_key_is_sealed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path(), Encryption::default()).unwrap();
    fill(&*storage).await;
    storage.close().await;
    drop(storage);
    let storage = open(folder.path(), encryption(7, &["secret"])).unwrap();
    // The writer wipes between commits.
    for _ in 0..20 {
        storage.write(|_| Ok::<_, Error>(())).await.unwrap();
    }
    assert_eq!(found(folder.path()), 0);
    assert!(stored(&*storage).await == thread());
    storage.close().await;
    drop(storage);
    assert_eq!(inspect(folder.path(), &encryption(7, &[])).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn another_key_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), encryption(7, &[])).unwrap());
    for (encryption, why) in [
        (encryption(8, &[]), "LANGGRAPH_AES_KEY is not the key that it was written with"),
        (
            Encryption::default(),
            "there is no key: set LANGGRAPH_AES_KEY to the one that it was written with",
        ),
    ] {
        let expected = format!(
            "storage is unavailable: {}/agent-server.db is encrypted, and {why}",
            folder.path().canonicalize().unwrap().display()
        );
        let error = open(folder.path(), encryption.clone()).map(drop).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(inspect(folder.path(), &encryption).unwrap_err().to_string(), expected);
    }
    drop(open(folder.path(), encryption(7, &[])).unwrap());
}

#[tokio::test]
async fn a_value_from_elsewhere_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path(), encryption(7, &[])).unwrap();
    fill(&*storage).await;
    storage.close().await;
    drop(storage);
    let file = folder.path().join("agent-server.db");
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.execute("UPDATE thread_state SET state_values = (SELECT payload FROM cron)", []).unwrap();
    drop(sql);
    let findings = inspect(folder.path(), &encryption(7, &[])).unwrap();
    assert_eq!(findings, Vec::<String>::new(), "checkpoints are sound");
    let storage = open(folder.path(), encryption(7, &[])).unwrap();
    let read = |storage: Arc<dyn Storage>| async move {
        let thread = ThreadId(id(1));
        let found = storage.read(Cost::Point, move |tx| tx.get_thread(ALL, thread, Columns::Full));
        found.await.unwrap_err().to_string()
    };
    let place = "storage is damaged or of another version: table thread_state, \
                 row 00000000-0000-0000-0000-000000000001, column state_values";
    assert_eq!(read(Arc::clone(&storage)).await, format!("{place}: cannot be decrypted"));
    storage.close().await;
    drop(storage);
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.execute("UPDATE thread_state SET state_values = '{}'", []).unwrap();
    drop(sql);
    let storage = open(folder.path(), encryption(7, &[])).unwrap();
    let expected = format!("{place}: is not encrypted, as all others are");
    assert_eq!(read(storage).await, expected);
}

/// The size of the folder after a chat whose every message is kept in every checkpoint.
async fn chat_size(encryption: Encryption) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path(), encryption).unwrap();
    let thread = thread();
    let thread_id = thread.thread_id;
    storage.write(move |tx| tx.insert_thread(&thread)).await.unwrap();
    let mut messages = String::from("[");
    for n in 0..500_u128 {
        // Random for a compressor, the same for every test.
        let text: String =
            (0..4_u128).map(|part| Uuid::new_v5(&id(n), &part.to_le_bytes()).to_string()).collect();
        messages.push_str(&format!("{{\"content\":\"{text}\",\"type\":\"human\"}},"));
        let checkpoint = format!("1f0c9e2a-0000-6000-8000-{n:012}");
        let values = RawJson::trusted(format!("{messages}null]"));
        let ops = [
            SaverOp::Put(NewCheckpoint {
                ns: String::new(),
                id: checkpoint.clone(),
                parent_id: None,
                created_at: time(),
                step: 1,
                source: "loop".into(),
                run_id: None,
                metadata: RawJson::of(&json!({"step": 1})),
                small: bytes::Bytes::from_static(&[7; 200]),
                refs: vec![("messages".into(), format!("{n:032}"))],
                blobs: vec![Blob {
                    channel: "messages".into(),
                    version: format!("{n:032}"),
                    type_tag: "msgpack".into(),
                    bytes: messages.clone().into_bytes().into(),
                }],
            }),
            SaverOp::Base(Base {
                ns: String::new(),
                checkpoint_id: checkpoint,
                values,
                next: RawJson::trusted("[]"),
                tasks: RawJson::trusted("[]"),
            }),
        ];
        storage.write(move |tx| tx.save(thread_id, &ops)).await.unwrap();
        let live = Changes { values: Some(Some(json())), ..Changes::default() };
        storage.write(move |tx| tx.update_thread(ALL, thread_id, &live)).await.unwrap();
    }
    storage.close().await;
    drop(storage);
    fs::metadata(folder.path().join("agent-server.db")).unwrap().len()
}

#[tokio::test]
async fn a_long_chat_stays_small() {
    let plain = chat_size(Encryption::default()).await;
    let sealed = chat_size(encryption(7, &[])).await;
    assert!(sealed < plain * 3 / 2, "{plain} bytes became {sealed}");
    assert!(sealed < 3_000_000, "{sealed} bytes");
}
