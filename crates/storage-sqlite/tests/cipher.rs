//! The backend behind a cipher of JSON: the tests that every backend must pass, and what is the cipher's own.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use agent_server_storage::{
    AssistantId, Condition, Cost, Error, Map, Page, RawJson, Result, RunId, Scope, SortOrder,
    Storage, ThreadId, Timestamp,
    assistants::Assistant,
    checkpoints::{Base, Blob, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
    encrypted::{BlobCipher, Decrypted, DecryptedBlob, Encrypted, JsonCipher, Part, with_context},
    runs::{MultitaskStrategy, Run, RunStatus},
    store::NewItem,
    threads::{Changes, Columns, Filter, SortBy, Thread, ThreadStatus},
};
use agent_server_storage_sqlite::{Encryption, Hooks, Options, Sqlite};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

const ALL: &Scope = &Scope::server();

/// Turns texts around, and writes the number of its key in front. Keeps what it was asked.
#[derive(Default)]
struct Turning {
    key: Mutex<u32>,
    asked: Mutex<Vec<(&'static str, Part)>>,
}

impl Turning {
    fn turn(&self, data: &Map) -> Map {
        let key = *self.key.lock();
        let turned = |value: &Value| match value.as_str() {
            Some(text) => format!("{key}:{}", text.chars().rev().collect::<String>()).into(),
            None => value.clone(),
        };
        data.iter().map(|(key, value)| (key.clone(), turned(value))).collect()
    }

    fn taken(&self) -> Vec<(&'static str, Part)> {
        std::mem::take(&mut self.asked.lock())
    }
}

impl JsonCipher for Turning {
    fn encrypt(&self, parts: Vec<Part>) -> Result<Vec<Map>> {
        self.asked.lock().extend(parts.iter().map(|part| ("encrypt", part.clone())));
        Ok(parts.iter().map(|part| self.turn(&part.data)).collect())
    }

    fn decrypt(&self, parts: Vec<Part>) -> Result<Vec<Decrypted>> {
        self.asked.lock().extend(parts.iter().map(|part| ("decrypt", part.clone())));
        let key = *self.key.lock();
        let mut answers = vec![];
        for part in parts {
            let mut is_old = false;
            let mut plain = Map::new();
            for (name, value) in part.data {
                let value = match value.as_str().and_then(|text| text.split_once(':')) {
                    Some((number, turned)) => {
                        is_old |= number != key.to_string();
                        turned.chars().rev().collect::<String>().into()
                    }
                    None if value.is_string() => {
                        return Err(Error::Backend(format!("{name} is not encrypted").into()));
                    }
                    None => value,
                };
                plain.insert(name, value);
            }
            let replacement = is_old.then(|| self.turn(&plain));
            answers.push(Decrypted { plain, replacement });
        }
        Ok(answers)
    }
}

async fn open() -> (Arc<dyn Storage>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Sqlite::open(folder.path(), Options::default()).unwrap();
    (Encrypted::new(storage, Arc::<Turning>::default()), folder)
}

// Not what is compared or shown byte for byte: numbers lose their spelling, and operators see what is stored.
agent_server_storage::storage_suite! { open;
    assistants: inserted_comes_back, duplicate_is_refused, versions_are_counted, versions_come_back, search_filters,
        search_sorts, scope_hides, delete_removes_versions;
    threads: duplicate_is_refused, update_changes_given_fields_only, header_leaves_large_columns_out,
        search_pages_in_order, search_breaks_ties_by_id, search_filters, scope_hides, delete_removes_everything_below,
        large_values_come_back;
    runs: list_is_newest_first, update_if_refuses_stale_attempts, inflight_runs_are_oldest_first,
        inflight_runs_of_all_threads, scope_of_the_thread_decides, delete_removes;
    crons: inserted_comes_back, update_and_delete, search_filters, search_sorts, scope_hides, due_ones_are_found;
    checkpoints: newest_is_the_head, saving_twice_is_saving_once, records_show_rendered_parts, records_filter,
        live_state_belongs_to_the_head, scope_hides, late_save_is_refused, large_blobs_come_back;
    events: come_back_in_order, scope_hides, go_away_with_run_and_thread;
    saved: a_copy_is_whole_and_apart, pruning_keeps_the_newest_of_each_namespace, usage_counts_rows_and_bytes;
    scopes: of_threads, of_assistants, of_runs;
    store: put_get_delete, search_by_prefix_and_page, expired_items_are_gone, metadata_scope_is_refused;
    webhooks: inserted_comes_back, listed_newest_first_by_status_and_scope, go_away_with_their_thread_and_run;
    transactions: refusal_undoes_only_itself, a_write_sees_its_own_changes, a_read_is_one_snapshot,
        a_panic_harms_nobody_else, closed_storage_is_unavailable;
}

fn map(value: Value) -> Map {
    value.as_object().unwrap().clone()
}

fn time() -> Timestamp {
    Timestamp::from_timestamp_micros(1_790_000_000_000_000).unwrap()
}

fn thread(n: u128, metadata: Value) -> Thread {
    Thread {
        thread_id: ThreadId(Uuid::from_u128(n)),
        created_at: time(),
        updated_at: time(),
        state_updated_at: time(),
        metadata: map(metadata),
        config: Map::new(),
        status: ThreadStatus::Idle,
        values: None,
        interrupts: None,
        error: None,
        ttl: None,
    }
}

/// A backend, the same behind a cipher, and the cipher.
fn both() -> (Arc<dyn Storage>, Arc<dyn Storage>, Arc<Turning>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let inner: Arc<dyn Storage> = Sqlite::open(folder.path(), Options::default()).unwrap();
    let cipher = Arc::<Turning>::default();
    (Arc::clone(&inner), Encrypted::new(inner, Arc::clone(&cipher) as _), cipher, folder)
}

async fn metadata(storage: &dyn Storage, n: u128) -> Map {
    let id = ThreadId(Uuid::from_u128(n));
    let found = storage.read(Cost::Point, move |tx| tx.get_thread(ALL, id, Columns::Header));
    found.await.unwrap().unwrap().metadata
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_stands_beside_what_is_stored_and_comes_back() {
    let (inner, storage, cipher, _folder) = both();
    let given = json!({"name": "ada", "graph_id": "g", "__encryption_context__": {"x": 1}});
    let write = storage.write(move |tx| tx.insert_thread(&thread(1, given)));
    with_context(map(json!({"tenant": "t"})), write).await.unwrap();
    let stored =
        json!({"name": "0:ada", "graph_id": "g", "__encryption_context__": {"tenant": "t"}});
    assert_eq!(metadata(&*inner, 1).await, map(stored));
    cipher.taken();
    assert_eq!(metadata(&*storage, 1).await, map(json!({"name": "ada", "graph_id": "g"})));
    let part = Part {
        model: "thread",
        field: "metadata",
        context: map(json!({"tenant": "t"})),
        data: map(json!({"name": "0:ada"})),
    };
    assert_eq!(cipher.taken(), [("decrypt", part)]);

    // What is changed later, for nobody's request, is encrypted as it was.
    let id = ThreadId(Uuid::from_u128(1));
    let values =
        Changes { values: Some(Some(RawJson::of(&json!({"word": "abc"})))), ..Changes::default() };
    storage.write(move |tx| tx.update_thread(ALL, id, &values)).await.unwrap();
    let found = inner.read(Cost::Point, move |tx| tx.get_thread(ALL, id, Columns::Full));
    let stored = found.await.unwrap().unwrap();
    let expected = json!({"word": "0:cba", "__encryption_context__": {"tenant": "t"}});
    assert_eq!(stored.values.unwrap().parse::<Value>().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_for_a_row_is_encrypted_as_the_row() {
    let (inner, storage, _cipher, _folder) = both();
    let insert = storage.write(move |tx| tx.insert_thread(&thread(1, json!({"name": "ada"}))));
    with_context(map(json!({"tenant": "t"})), insert).await.unwrap();
    // As a cron makes a run: it is read before.
    let for_it = storage.write(move |tx| {
        tx.get_thread(ALL, ThreadId(Uuid::from_u128(1)), Columns::Header)?;
        tx.insert_thread(&thread(2, json!({"name": "ada"})))
    });
    for_it.await.unwrap();
    storage.write(|tx| tx.insert_thread(&thread(3, json!({"name": "ada"})))).await.unwrap();
    assert_eq!(metadata(&*inner, 2).await["__encryption_context__"], json!({"tenant": "t"}));
    assert_eq!(metadata(&*inner, 3).await["__encryption_context__"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_once_for_all_that_it_found() {
    let (_inner, storage, cipher, _folder) = both();
    for n in 1..=5 {
        let row = thread(n, json!({"name": "ada"}));
        storage.write(move |tx| tx.insert_thread(&row)).await.unwrap();
    }
    cipher.taken();
    let filter = Filter { metadata: Some(map(json!({"name": "ada"}))), ..Filter::default() };
    let sort = (SortBy::CreatedAt, SortOrder::Asc);
    let page = Page { limit: 10, offset: 0 };
    let found = storage
        .read(Cost::Scan, move |tx| tx.search_threads(ALL, &filter, sort, page, Columns::Header))
        .await
        .unwrap();
    assert_eq!(found.len(), 5);
    let asked: Vec<_> = cipher.taken().iter().map(|(what, _)| *what).collect();
    assert_eq!(asked, [&["encrypt"][..], &["decrypt"; 5]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_see_what_was_written_and_not_what_is_stored() {
    let (_inner, storage, _cipher, _folder) = both();
    let owner = |name: &str| Scope::of(Condition::Equals("owner".into(), name.into()));
    for n in 1..=250_u128 {
        let row = thread(n, json!({"owner": if n.is_multiple_of(50) { "ada" } else { "bob" }}));
        storage.write(move |tx| tx.insert_thread(&row)).await.unwrap();
    }
    let (ada, turned) = (owner("ada"), owner("0:ada"));
    storage
        .read(Cost::Scan, move |tx| {
            let all = Filter::default();
            let sort = (SortBy::ThreadId, SortOrder::Asc);
            let page = Page { limit: 2, offset: 1 };
            let found = tx.search_threads(&ada, &all, sort, page, Columns::Header)?;
            let found: Vec<_> = found.iter().map(|thread| thread.thread_id.0.as_u128()).collect();
            assert_eq!(found, [100, 150]);
            assert_eq!(tx.count_threads(&ada, &all)?, 5);
            assert_eq!(tx.count_threads(&turned, &all)?, 0);
            let id = ThreadId(Uuid::from_u128(1));
            assert!(tx.get_thread(&ada, id, Columns::Header)?.is_none());
            assert!(tx.head_checkpoint(&ada, id, "")?.is_none());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    let (ada, id) = (owner("ada"), ThreadId(Uuid::from_u128(1)));
    assert!(!storage.write(move |tx| tx.delete_thread(&ada, id)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_anew_is_stored() {
    let (inner, storage, cipher, _folder) = both();
    let (thread_id, run_id) = (ThreadId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
    let assistant_id = AssistantId(Uuid::from_u128(3));
    let assistant = Assistant {
        assistant_id,
        graph_id: "g".into(),
        name: "n".into(),
        description: None,
        version: 1,
        created_at: time(),
        updated_at: time(),
        metadata: map(json!({"name": "ada"})),
        config: Map::new(),
        context: map(json!({"word": "abc"})),
    };
    let run = Run {
        run_id,
        thread_id,
        assistant_id,
        graph_id: "g".into(),
        created_at: time(),
        updated_at: time(),
        status: RunStatus::Success,
        metadata: map(json!({"name": "ada"})),
        kwargs: RawJson::of(&json!({"input": {"word": "abc"}, "webhook": null})),
        multitask_strategy: MultitaskStrategy::Enqueue,
        attempt: 1,
        crashes: 0,
        temporary: false,
        owner: None,
    };
    storage
        .write(move |tx| {
            tx.insert_assistant(&assistant)?;
            tx.insert_thread(&thread(1, json!({"name": "ada"})))?;
            tx.insert_run(&run)?;
            let value = RawJson::of(&json!({"word": "abc"}));
            let item = NewItem { value: &value, ttl: None, vectors: &[] };
            tx.put_item(ALL, time(), &["n".into()], "key", item)
        })
        .await
        .unwrap();
    type Rows = (Map, (Map, Value), Vec<(Map, Map)>, Value);
    let rows = |storage: Arc<dyn Storage>| async move {
        let found = storage.read(Cost::Scan, move |tx| {
            let thread = tx.get_thread(ALL, thread_id, Columns::Full)?.unwrap();
            let run = tx.find_run(ALL, run_id)?.unwrap();
            let assistant = tx.get_assistant(ALL, assistant_id)?.unwrap();
            let version = tx.get_assistant_version(assistant_id, 1)?.unwrap();
            let item = tx.get_item(ALL, time(), &["n".into()], "key")?.unwrap();
            let assistants = [assistant, version].map(|row| (row.metadata, row.context));
            Ok::<Rows, Error>((
                thread.metadata,
                (run.metadata, run.kwargs.parse().unwrap()),
                assistants.to_vec(),
                item.value.parse().unwrap(),
            ))
        });
        found.await.unwrap()
    };
    let expected = rows(Arc::clone(&storage)).await;
    *cipher.key.lock() = 1;
    assert_eq!(rows(Arc::clone(&storage)).await, expected);
    let (thread, run, assistants, item) = rows(inner).await;
    for metadata in [&thread, &run.0, &assistants[0].0, &assistants[1].0] {
        assert_eq!(metadata["name"], "1:ada");
    }
    assert_eq!(run.1["input"]["word"], "1:cba");
    assert_eq!((&assistants[1].1["word"], &item["word"]), (&json!("1:cba"), &json!("1:cba")));
    cipher.taken();
    assert_eq!(rows(storage).await, expected);
}

/// Turns bytes around behind the number of its key. Keeps the contexts that it was given.
#[derive(Default)]
struct TurningBlobs {
    key: Mutex<u8>,
    contexts: Mutex<Vec<(&'static str, Map)>>,
}

impl BlobCipher for TurningBlobs {
    fn encrypt(&self, context: &Map, blob: &[u8]) -> Result<Vec<u8>> {
        self.contexts.lock().push(("encrypt", context.clone()));
        Ok(std::iter::once(*self.key.lock()).chain(blob.iter().rev().copied()).collect())
    }

    fn decrypt(&self, context: &Map, blob: &[u8]) -> Result<DecryptedBlob> {
        self.contexts.lock().push(("decrypt", context.clone()));
        let key = *self.key.lock();
        let (used, turned) = blob.split_first().unwrap();
        let plain = turned.iter().rev().copied().collect();
        let replacement = (*used != key).then(|| [&[key], turned].concat());
        Ok(DecryptedBlob { plain, replacement })
    }
}

/// A checkpoint that holds a text wherever it can.
fn checkpoint(n: usize, text: &str) -> Vec<SaverOp> {
    let (ns, id) = (String::new(), format!("1f0c9e2a-0000-6000-8000-{n:012}"));
    let json = RawJson::of(&json!({"text": text}));
    let bytes = bytes::Bytes::from(text.to_owned());
    let blob = Blob {
        channel: "messages".into(),
        version: format!("{n:032}"),
        type_tag: "msgpack".into(),
        bytes: bytes.clone(),
    };
    vec![
        SaverOp::Put(NewCheckpoint {
            ns: ns.clone(),
            id: id.clone(),
            parent_id: None,
            created_at: time(),
            step: 1,
            source: "loop".into(),
            run_id: None,
            metadata: RawJson::of(&json!({"word": "abc", "step": 1})),
            small: bytes.slice(..bytes.len().min(100)),
            refs: vec![("messages".into(), blob.version.clone())],
            blobs: vec![blob],
        }),
        SaverOp::Writes(TaskWrites {
            ns: ns.clone(),
            checkpoint_id: id.clone(),
            task_id: "task".into(),
            task_path: String::new(),
            writes: vec![TaskWrite {
                idx: 0,
                channel: "messages".into(),
                type_tag: "msgpack".into(),
                bytes: bytes.slice(..bytes.len().min(100)),
            }],
            status: RawJson::of(&json!({"text": &text[..text.len().min(100)]})),
        }),
        SaverOp::Base(Base {
            ns,
            checkpoint_id: id,
            values: json,
            next: RawJson::trusted("[]"),
            tasks: RawJson::trusted("[]"),
        }),
    ]
}

fn with_blobs(folder: &std::path::Path, blobs: &Arc<TurningBlobs>) -> Arc<dyn Storage> {
    let hooks = Hooks { blobs: Some(Arc::clone(blobs) as _) };
    let encryption = Encryption { hooks: Some(hooks), ..Encryption::default() };
    let storage = Sqlite::open(folder, Options { encryption, ..Options::default() }).unwrap();
    Encrypted::new(storage, Arc::<Turning>::default())
}

/// What the columns of contents begin with.
fn beginnings(folder: &std::path::Path) -> Vec<(String, String)> {
    let sql = rusqlite::Connection::open(folder.join("agent-server.db")).unwrap();
    let mut found = vec![];
    for (table, column) in [
        ("checkpoint", "small"),
        ("channel_blob", "bytes"),
        ("task_write", "bytes"),
        ("task", "status"),
        ("rendered", "state_values"),
        ("rendered", "next"),
        ("thread_state", "live"),
    ] {
        // Marker, length of the context, the context, then the key's number.
        let query = format!("SELECT hex({column}) FROM {table} WHERE {column} IS NOT NULL");
        let mut rows = sql.prepare(&query).unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        for hex in rows.map(std::result::Result::unwrap) {
            let context = usize::from_str_radix(&hex[2..4], 16).unwrap();
            let key = &hex[10 + 2 * context..12 + 2 * context];
            assert_eq!(&hex[..2], "05", "{table}.{column}");
            found.push((format!("{table}.{column}"), key.to_owned()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_of_checkpoints_are_encrypted_and_encrypted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::<TurningBlobs>::default();
    let storage = with_blobs(folder.path(), &blobs);
    let id = ThreadId(Uuid::from_u128(1));
    let context = map(json!({"tenant": "t"}));
    let insert = storage.write(move |tx| tx.insert_thread(&thread(1, json!({"name": "ada"}))));
    with_context(context.clone(), insert).await.unwrap();
    storage
        .write(move |tx| {
            tx.save(id, &checkpoint(1, "words and words"))?;
            tx.put_live_state(id, "1f0c9e2a-0000-6000-8000-000000000001", &RawJson::of(&"live"))
        })
        .await
        .unwrap();
    let read = |storage: Arc<dyn Storage>| async move {
        let found = storage.read(Cost::Scan, move |tx| {
            let filter = agent_server_storage::checkpoints::Filter::default();
            let tuple = tx.get_checkpoint(ALL, id, "", None)?.unwrap();
            let records = tx.list_records(ALL, id, &filter, 10)?;
            Ok::<_, Error>((tuple, records, tx.get_live_state(ALL, id)?))
        });
        found.await.unwrap()
    };
    let before = read(Arc::clone(&storage)).await;
    assert_eq!(before.0.blobs[0].bytes, "words and words");
    assert_eq!(before.0.metadata.parse::<Value>().unwrap(), json!({"word": "abc", "step": 1}));
    // In the context of the thread, also without a request.
    assert!(blobs.contexts.lock().iter().all(|(_, each)| *each == context));
    let found = beginnings(folder.path());
    assert_eq!(found.len(), 7);
    assert!(found.iter().all(|(_, key)| key == "00"), "{found:?}");

    *blobs.key.lock() = 1;
    assert_eq!(read(Arc::clone(&storage)).await, before);
    // The writer stores it before what it is asked next.
    for _ in 0..2 {
        storage.write(|_| Ok::<_, Error>(())).await.unwrap();
    }
    let found = beginnings(folder.path());
    assert!(found.iter().all(|(_, key)| key == "01"), "{found:?}");
    assert_eq!(read(Arc::clone(&storage)).await, before);
    storage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_taken_before_contents_are_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let storage = with_blobs(folder.path(), &Arc::default());
    let id = ThreadId(Uuid::from_u128(1));
    storage.write(move |tx| tx.insert_thread(&thread(1, json!({})))).await.unwrap();
    let mut text = String::new();
    for n in 0..200_usize {
        text.push_str(&Uuid::new_v5(&Uuid::nil(), &n.to_le_bytes()).to_string().repeat(4));
        let ops = checkpoint(n, &text);
        storage.write(move |tx| tx.save(id, &ops)).await.unwrap();
    }
    let found = storage.read(Cost::Scan, move |tx| tx.get_checkpoint(ALL, id, "", None));
    assert_eq!(found.await.unwrap().unwrap().blobs[0].bytes, text);
    storage.close().await;
    let size = std::fs::metadata(folder.path().join("agent-server.db")).unwrap().len();
    assert!(size < 1_000_000, "{size} bytes for {} of the last state", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_hooks_is_not_opened_without() {
    let folder = tempfile::tempdir().unwrap();
    drop(with_blobs(folder.path(), &Arc::default()));
    let error = Sqlite::open(folder.path(), Options::default()).map(drop).unwrap_err().to_string();
    assert!(
        error.ends_with("was written with a project's own encryption: set encryption.path to it")
    );
    drop(with_blobs(folder.path(), &Arc::default()));
}
