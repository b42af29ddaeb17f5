//! The data folder: what survives a killed process, what a delete leaves, and who may open it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agent_server_storage::{
    AssistantId, Cost, Error, Map, Page, RawJson, RunId, Scope, Storage, ThreadId, Timestamp,
    checkpoints::{Base, Blob, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
    runs::{MultitaskStrategy, Run, RunStatus},
    threads::{Columns, Filter, SortBy, Thread, ThreadStatus},
};
use agent_server_storage_sqlite::{Options, Sqlite};
use serde_json::json;
use uuid::Uuid;

const ALL: &Scope = &Scope::server();
/// Tells the child process which folder to fill.
const CHILD_FOLDER: &str = "AGENT_SERVER_TEST_FOLDER";

fn open(folder: &Path) -> Arc<dyn Storage> {
    Sqlite::open(folder, Options::default()).unwrap()
}

fn refusal(folder: &Path) -> Error {
    Sqlite::open(folder, Options::default()).map(drop).unwrap_err()
}

fn time() -> Timestamp {
    Timestamp::from_timestamp_micros(1_790_000_000_000_000).unwrap()
}

fn thread(n: u128, values: Option<RawJson>) -> Thread {
    Thread {
        thread_id: ThreadId(Uuid::from_u128(n)),
        created_at: time(),
        updated_at: time(),
        state_updated_at: time(),
        metadata: Map::new(),
        config: Map::new(),
        status: ThreadStatus::Idle,
        values,
        interrupts: None,
        error: None,
        ttl: None,
    }
}

/// Bytes that do not compress, the same for the same seed.
fn noise(mut seed: u64, len: usize) -> Vec<u8> {
    std::iter::repeat_with(|| {
        // splitmix64
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u8
    })
    .take(len)
    .collect()
}

fn noise_text(seed: u64, len: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    noise(seed, len).iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect()
}

async fn stored_threads(storage: &dyn Storage) -> u64 {
    storage.read(Cost::Scan, |tx| tx.count_threads(ALL, &Filter::default())).await.unwrap()
}

/// Not a test by itself: the process that [`acknowledged_writes_survive_a_kill`] kills. Prints every thread whose
/// write was acknowledged, until the end of the world.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
async fn child() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let storage = open(Path::new(&folder));
    let mut out = std::io::stdout();
    for n in 1.. {
        let values = RawJson::of(&json!({"n": n, "text": "x".repeat(3000)}));
        storage.write(move |tx| tx.insert_thread(&thread(n, Some(values)))).await.unwrap();
        // A thread that is deleted again, so that wiping is under way as well.
        storage.write(move |tx| tx.insert_thread(&thread(n << 64, None))).await.unwrap();
        storage
            .write(move |tx| tx.delete_thread(ALL, ThreadId(Uuid::from_u128(n << 64))))
            .await
            .unwrap();
        writeln!(out, "stored {n}").unwrap();
    }
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 1..=3 {
        let folder = folder.path().join(round.to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD_FOLDER, &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The test harness writes its own text, also without a line end before ours.
        let number = |line: String| line.split_once("stored ")?.1.parse::<u128>().ok();
        for line in lines.by_ref() {
            if number(line).is_some_and(|n| n >= round * 150) {
                break;
            }
        }
        let message = refusal(&folder).to_string();
        assert!(message.contains(&format!("is in use by process {}", child.id())), "{message}");
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.filter_map(number).last().unwrap_or(last).max(round * 150);

        let storage = open(&folder);
        let count = stored_threads(&*storage).await;
        assert!(u128::from(count) >= last, "{count} of {last} are there");
        for n in 1..=last {
            let id = ThreadId(Uuid::from_u128(n));
            let found = storage.read(Cost::Point, move |tx| tx.get_thread(ALL, id, Columns::Full));
            let values = found.await.unwrap().unwrap().values.unwrap();
            assert_eq!(values.parse::<serde_json::Value>().unwrap()["n"], n as u64);
        }
        storage.close().await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { max_pages: Some(150), wipe_after: Duration::ZERO, ..Options::default() };
    let storage: Arc<dyn Storage> = Sqlite::open(folder.path(), options).unwrap();
    let insert = |n: u128| {
        let values = RawJson::of(&noise_text(n as u64, 20_000));
        // Two rows, to see that a refused write leaves neither.
        storage.write(move |tx| {
            tx.insert_thread(&thread(n << 64, None))?;
            tx.insert_thread(&thread(n, Some(values)))
        })
    };
    let mut stored = 0;
    let error = loop {
        match insert(stored + 1).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the limit has no effect");
    };
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(stored > 2);
    assert_eq!(u128::from(stored_threads(&*storage).await), 2 * stored);
    assert!(insert(stored + 1).await.is_err());
    // Small writes that wait beside one that does not fit: each is whole or not there, and the storage goes on.
    let small = storage.write(|tx| tx.insert_thread(&thread(1000, None)));
    let (large, small) = tokio::join!(insert(stored + 1), small);
    assert!(large.is_err());
    let id = ThreadId(Uuid::from_u128(1000));
    let found = storage.read(Cost::Point, move |tx| tx.get_thread(ALL, id, Columns::Header));
    assert_eq!(found.await.unwrap().is_some(), small.is_ok());
    // Room is made by deleting.
    for n in 1..=2 {
        let id = ThreadId(Uuid::from_u128(n));
        assert!(storage.write(move |tx| tx.delete_thread(ALL, id)).await.unwrap());
    }
    insert(stored + 1).await.unwrap();
    storage.close().await;
}

/// Everything that can hang on a thread, filled with `text` and `bytes`.
fn thread_with(n: u128, text: &str, bytes: Vec<u8>) -> (Thread, Run, Vec<SaverOp>, RawJson) {
    let json = RawJson::of(&json!({"text": text}));
    let bytes = bytes::Bytes::from(bytes);
    let metadata: Map = json.parse().unwrap();
    let run_id = RunId(Uuid::from_u128(n));
    let thread = Thread {
        metadata: metadata.clone(),
        config: metadata.clone(),
        ..thread(n, Some(json.clone()))
    };
    let run = Run {
        run_id,
        thread_id: thread.thread_id,
        assistant_id: AssistantId(Uuid::nil()),
        graph_id: "agent".into(),
        created_at: time(),
        updated_at: time(),
        status: RunStatus::Success,
        metadata,
        kwargs: json.clone(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        attempt: 1,
        crashes: 0,
        temporary: false,
        owner: None,
    };
    let mut ops = Vec::new();
    for step in 0..5 {
        let (ns, id) = (String::new(), format!("checkpoint-{step}"));
        ops.push(SaverOp::Put(NewCheckpoint {
            ns: ns.clone(),
            id: id.clone(),
            parent_id: None,
            created_at: time(),
            step,
            source: "loop".into(),
            run_id: Some(run_id),
            metadata: json.clone(),
            small: bytes.clone(),
            refs: vec![("messages".into(), step.to_string())],
            blobs: vec![Blob {
                channel: "messages".into(),
                version: step.to_string(),
                type_tag: "msgpack".into(),
                bytes: bytes.clone(),
            }],
        }));
        ops.push(SaverOp::Writes(TaskWrites {
            ns: ns.clone(),
            checkpoint_id: id.clone(),
            task_id: format!("task-{step}"),
            task_path: String::new(),
            writes: vec![TaskWrite {
                idx: 0,
                channel: "messages".into(),
                type_tag: "msgpack".into(),
                bytes: bytes.clone(),
            }],
            status: json.clone(),
        }));
        ops.push(SaverOp::Base(Base {
            ns,
            checkpoint_id: id,
            values: json.clone(),
            next: RawJson::trusted("[]"),
            tasks: json.clone(),
        }));
    }
    (thread, run, ops, json)
}

/// The canaries that are found in the files of the folder. A canary is known by its first eight bytes.
fn found(folder: &Path, canaries: &[[u8; 8]]) -> HashSet<[u8; 8]> {
    let canaries: HashSet<_> = canaries.iter().copied().collect();
    // Hashing every window would take most of the test's time.
    let start = |window: &[u8]| usize::from(u16::from_ne_bytes([window[0], window[1]]));
    let mut starts = vec![false; 1 << 16];
    canaries.iter().for_each(|canary| starts[start(canary)] = true);
    let mut found = HashSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let windows = bytes.windows(8).filter(|window| starts[start(window)]);
        let windows = windows.map(|window| window.try_into().unwrap());
        found.extend(windows.filter(|window: &[u8; 8]| canaries.contains(window)));
    }
    found
}

#[tokio::test]
async fn deleted_threads_leave_no_byte() {
    const THREADS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { wipe_after: Duration::ZERO, ..Options::default() };
    let storage: Arc<dyn Storage> = Sqlite::open(folder.path(), options).unwrap();
    // Ids in no order, so that pages are split and rows move between them.
    let id = |n: usize| (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    // Short enough for a page of many rows, and long enough for pages of their own.
    let text = |n: usize| noise_text(n as u64, [150, 600, 9_000][n % 3]);
    let bytes = |n: usize| noise(n as u64, [100, 1_500, 20_000][n % 3]);
    // Beginning, middle and end of every row.
    let canaries = |threads: std::ops::Range<usize>| -> Vec<[u8; 8]> {
        let parts = |row: &[u8]| {
            [4, row.len() / 2, row.len() - 12].map(|at| row[at..at + 8].try_into().unwrap())
        };
        threads.flat_map(|n| [parts(text(n).as_bytes()), parts(&bytes(n))].concat()).collect()
    };
    for n in 0..THREADS {
        let (thread, run, ops, json) = thread_with(id(n), &text(n), bytes(n));
        storage
            .write(move |tx| {
                tx.insert_thread(&thread)?;
                tx.insert_run(&run)?;
                tx.save(thread.thread_id, &ops)?;
                tx.put_live_state(thread.thread_id, "checkpoint-4", &json)
            })
            .await
            .unwrap();
    }
    let (deleted, kept) = (canaries(0..THREADS / 2), canaries(THREADS / 2..THREADS));
    assert_eq!(found(folder.path(), &deleted).len(), deleted.len());
    let before = fs::metadata(folder.path().join("agent-server.db")).unwrap().len();
    for n in 0..THREADS / 2 {
        let id = ThreadId(Uuid::from_u128(id(n)));
        assert!(storage.write(move |tx| tx.delete_thread(ALL, id)).await.unwrap());
    }
    // The writer wipes after it has answered, a part at a time: each turn of the writer ends one.
    for _ in 0..20 {
        storage.write(|_| Ok::<_, Error>(())).await.unwrap();
    }
    assert_eq!(found(folder.path(), &deleted).len(), 0);
    assert_eq!(found(folder.path(), &kept).len(), kept.len());
    let after = fs::metadata(folder.path().join("agent-server.db")).unwrap().len();
    assert!(after * 10 < before * 8, "{before} bytes became {after}");
    storage.close().await;
    let log = folder.path().join("agent-server.db-wal");
    assert!(fs::metadata(&log).map_or(0, |log| log.len()) == 0);
}

/// The state after `turns` turns of a chat, and one step of its history.
fn chat_step(n: usize, messages: &[String]) -> Vec<SaverOp> {
    let id = format!("1f0c9e2a-0000-6000-8000-{n:012}");
    let text = format!("{{\"messages\":[{}]}}", messages.join(","));
    let blob = Blob {
        channel: "messages".into(),
        version: format!("{n:032}.5"),
        type_tag: "msgpack".into(),
        bytes: messages.concat().into_bytes().into(),
    };
    let checkpoint = NewCheckpoint {
        ns: String::new(),
        id: id.clone(),
        parent_id: None,
        created_at: time(),
        step: 1,
        source: "loop".into(),
        run_id: None,
        metadata: RawJson::of(
            &json!({"step": n, "source": "loop", "thread_id": id, "graph_id": "chat"}),
        ),
        small: noise(n as u64, 300).into(),
        refs: vec![("messages".into(), blob.version.clone())],
        blobs: vec![blob],
    };
    let base = Base {
        ns: String::new(),
        checkpoint_id: id,
        values: RawJson::trusted(text),
        next: RawJson::of(&json!(["model"])),
        tasks: RawJson::of(
            &json!([{"id": noise_text(n as u64, 36), "name": "model", "path": ["__pregel_pull", "model"]}]),
        ),
    };
    vec![SaverOp::Put(checkpoint), SaverOp::Base(base)]
}

#[tokio::test]
async fn a_long_chat_takes_a_few_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path());
    let thread = thread(1, None);
    let id = thread.thread_id;
    storage.write(move |tx| tx.insert_thread(&thread)).await.unwrap();
    let mut messages = vec![];
    for n in 0..1000 {
        let (text, message_id) = (noise_text(n, 150), noise_text(n + 1_000_000, 36));
        messages.push(
            json!({"content": text, "type": "human", "id": message_id, "name": null}).to_string(),
        );
        let ops = chat_step(n as usize, &messages);
        storage.write(move |tx| tx.save(id, &ops)).await.unwrap();
    }
    storage.close().await;
    let size = fs::metadata(folder.path().join("agent-server.db")).unwrap().len();
    assert!(size < 5_000_000, "{size} bytes");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = refusal(&path);
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path());
    let error = refusal(folder.path());
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(storage);
    open(folder.path()).close().await;
    open(folder.path()).close().await;
}

#[tokio::test]
async fn newer_or_foreign_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent-server.db");
    open(folder.path()).close().await;
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute(
            "INSERT INTO refinery_schema_history SELECT 999, 'later', applied_on, checksum FROM refinery_schema_history \
             LIMIT 1",
            [],
        )
        .unwrap();
    let error = refusal(folder.path());
    assert!(matches!(&error, Error::Corrupt(why) if why.contains("newer")), "{error:?}");

    fs::write(&file, noise(1, 8192)).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, Error::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn damaged_rows_name_their_table_and_id() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path());
    storage.write(|tx| tx.insert_thread(&thread(7, None))).await.unwrap();
    storage.close().await;
    let connection = rusqlite::Connection::open(folder.path().join("agent-server.db")).unwrap();
    connection.execute("UPDATE thread SET status = 'sleepy'", []).unwrap();
    drop(connection);

    let storage = open(folder.path());
    let id = ThreadId(Uuid::from_u128(7));
    let found = storage.read(Cost::Point, move |tx| tx.get_thread(ALL, id, Columns::Full)).await;
    let Err(Error::Corrupt(why)) = found else { panic!("{found:?}") };
    let expected = "table thread, row 00000000-0000-0000-0000-000000000007, column status: unknown word 'sleepy'";
    assert_eq!(why, expected);
    let sort = (SortBy::default(), agent_server_storage::SortOrder::Desc);
    let page = Page { limit: 10, offset: 0 };
    let found = storage
        .read(Cost::Scan, move |tx| {
            tx.search_threads(ALL, &Filter::default(), sort, page, Columns::Full)
        })
        .await;
    assert!(matches!(found, Err(Error::Corrupt(_))), "{found:?}");
    storage.close().await;
}
