//! Archives against a real storage, and archives that are not what they should be.

use std::io::Cursor;

use agent_server_storage::{
    Map, RawJson, Scope, Storage, ThreadId, Timestamp,
    archive::{Kind, Selection},
    store::NewItem,
    threads::{Columns, Thread, ThreadStatus},
};
use agent_server_storage_sqlite::{Encryption, Options, Sqlite, snapshot};
use chrono::DateTime;
use uuid::Uuid;

use crate::{Error, IfExists, Imported, Wanted, export, import};

const ALL: &Scope = &Scope::server();
const ID: ThreadId = ThreadId(Uuid::from_u128(7));

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 1000).unwrap()
}

fn thread() -> Thread {
    Thread {
        thread_id: ID,
        created_at: at(1),
        // Beyond the years with four digits.
        updated_at: at(320_000_000_000),
        state_updated_at: at(2),
        metadata: Map::new(),
        config: Map::new(),
        status: ThreadStatus::Idle,
        values: Some(RawJson::trusted("{\"b\": 1.50,\n \"a\":\"\\ud800\\u0000\"}")),
        interrupts: None,
        error: Some(RawJson::null()),
        ttl: None,
    }
}

struct Folder {
    folder: tempfile::TempDir,
    storage: std::sync::Arc<Sqlite>,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Sqlite::open(folder.path(), Options::default()).unwrap();
        Self { folder, storage }
    }

    async fn filled() -> Self {
        let this = Self::new();
        let storage: &dyn Storage = &*this.storage;
        let filled = storage.write(|tx| {
            tx.insert_thread(&thread())?;
            let value = RawJson::trusted(r#"{"z":1,"a":2}"#);
            let item = NewItem { value: &value, ttl: None, vectors: &[] };
            tx.put_item(ALL, at(1), &["a".into()], "k", item)
        });
        filled.await.unwrap();
        this
    }

    fn archive(&self) -> Vec<u8> {
        let selection = Selection { kinds: Kind::ALL.to_vec(), threads: None };
        let path = self.folder.path();
        let written = snapshot(path, &Encryption::default(), |tx| {
            export(tx, &selection, "1.2.3", at(9), vec![])
        });
        written.unwrap().unwrap().0
    }

    async fn import(&self, archive: Vec<u8>, if_exists: IfExists) -> Result<Imported, Error> {
        self.import_of(archive, Wanted::default(), if_exists).await
    }

    async fn import_of(
        &self,
        archive: Vec<u8>,
        wanted: Wanted,
        if_exists: IfExists,
    ) -> Result<Imported, Error> {
        let storage: &dyn Storage = &*self.storage;
        storage.write(move |tx| import(tx, Cursor::new(archive), &wanted, if_exists)).await
    }

    async fn thread(&self) -> Option<Thread> {
        let storage: &dyn Storage = &*self.storage;
        let read = |tx: &dyn agent_server_storage::ReadTx| tx.get_thread(ALL, ID, Columns::Full);
        storage.read(agent_server_storage::Cost::Point, read).await.unwrap()
    }
}

fn lines(archive: &[u8]) -> Vec<u8> {
    zstd::decode_all(archive).unwrap()
}

#[tokio::test]
async fn an_archive_is_lines_that_say_what_they_are() {
    let text = String::from_utf8(lines(&Folder::filled().await.archive())).unwrap();
    let (before, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        before.lines().collect::<Vec<_>>(),
        [
            r#"{"header":{"format":"agent-server-archive","version":2,"program":"1.2.3","created_at":"1970-01-01T00:00:09.000001Z","kinds":["assistants","threads","crons","store","webhooks","idempotency"],"threads":null}}"#,
            r#"{"thread":{"thread":{"thread_id":"00000000-0000-0000-0000-000000000007","created_at":"1970-01-01T00:00:01.000001Z","updated_at":"+12110-05-25T16:53:20.000001Z","state_updated_at":"1970-01-01T00:00:02.000001Z","metadata":{},"config":{},"status":"idle","values":{"b": 1.50,  "a":"\ud800\u0000"},"error":null,"ttl":null},"settled":false}}"#,
            r#"{"item":{"item":{"namespace":["a"],"key":"k","value":{"z":1,"a":2},"created_at":"1970-01-01T00:00:01.000001Z","updated_at":"1970-01-01T00:00:01.000001Z","ttl":null},"expires_at":null,"vectors":[]}}"#,
        ]
    );
    assert!(end.starts_with(r#"{"end":{"records":{"item":1,"thread":1},"sha256":""#), "{end}");
}

#[tokio::test]
async fn what_goes_in_comes_out_again() {
    let archive = Folder::filled().await.archive();
    // Compressed, and as lines.
    for archive in [archive.clone(), lines(&archive)] {
        let other = Folder::new();
        let imported = other.import(archive.clone(), IfExists::Fail).await.unwrap();
        assert_eq!(format!("{:?}", imported.taken), r#"{"item": 1, "thread": 1}"#);
        // A line break between tokens is a space afterwards.
        let values = RawJson::trusted("{\"b\": 1.50,  \"a\":\"\\ud800\\u0000\"}");
        assert_eq!(other.thread().await, Some(Thread { values: Some(values), ..thread() }));
        assert_eq!(lines(&other.archive()), lines(&Folder::filled().await.archive()));
    }
}

#[tokio::test]
async fn an_archive_that_was_cut_off_imports_nothing() {
    let archive = Folder::filled().await.archive();
    let text = lines(&archive);
    let whole = text.len();
    let cuts = (0..whole).filter(|at| at % 7 == 0 || text[at.saturating_sub(1)] == b'\n');
    let cut = cuts.map(|at| text[..at].to_vec());
    let zipped = (0..archive.len()).step_by(5).map(|at| archive[..at].to_vec());
    let other = Folder::new();
    for archive in cut.chain(zipped) {
        let refused = other.import(archive, IfExists::Fail).await.unwrap_err();
        assert!(matches!(refused, Error::Cut { .. } | Error::NoArchive(_)), "{refused}");
        assert_eq!(other.thread().await, None);
    }
}

#[track_caller]
fn check(refused: Result<Imported, Error>, text: &str) {
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains(text), "{refused}");
}

#[tokio::test]
async fn an_archive_that_is_wrong_says_why() {
    let archive = Folder::filled().await.archive();
    let text = String::from_utf8(lines(&archive)).unwrap();
    let other = Folder::new();
    for (from, to, why) in [
        (r#""version":2"#, r#""version":3"#, "format 3, and this program reads formats up to 2"),
        (r#""z":1"#, r#""z":3"#, "line 4 of the archive: the checksum is another"),
        (r#""idle""#, r#""odd""#, "line 2 of the archive: unknown word 'odd'"),
        (r#""settled":"#, r#""more":1,"settled":"#, "unknown field `more`"),
        (
            r#"{"item":{"item""#,
            r#"{"other":{"item""#,
            "line 3 of the archive: unknown variant `other`",
        ),
        (r#""item":1,"#, "", "records are missing"),
        ("agent-server-archive", "other", "its format is 'other'"),
        (r#"{"header""#, r#"{"head""#, "its first line is no header"),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1).into_bytes();
        check(other.import(changed, IfExists::Fail).await, why);
        assert_eq!(other.thread().await, None);
    }
    check(other.import(vec![], IfExists::Fail).await, "it is empty");
    let more = [text.as_bytes(), b"x"].concat();
    check(other.import(more, IfExists::Fail).await, "something follows the end");
    let run = r#"{"live":{"thread_id":"00000000-0000-0000-0000-000000000008","checkpoint_id":"c","state":1}}"#;
    let stray = text.replacen("{\"item\"", &format!("{run}\n{{\"item\""), 1).into_bytes();
    check(
        other.import(stray, IfExists::Fail).await,
        "line 3 of the archive: a live without what it belongs to",
    );
}

#[tokio::test]
async fn what_is_there_already_decides() {
    let archive = Folder::filled().await.archive();
    let other = Folder::filled().await;
    check(
        other.import(archive.clone(), IfExists::Fail).await,
        "thread 00000000-0000-0000-0000-000000000007 is there already",
    );
    let imported = other.import(archive.clone(), IfExists::Skip).await.unwrap();
    assert_eq!((imported.taken.len(), imported.skipped.len()), (0, 2));
    let imported = other.import(archive, IfExists::Replace).await.unwrap();
    assert_eq!((imported.taken.len(), imported.skipped.len()), (2, 0));
}

#[tokio::test]
async fn what_is_wanted_has_to_be_there() {
    let archive = Folder::filled().await.archive();
    let other = Folder::new();
    let thread = |n| Wanted { kinds: None, threads: Some(vec![ThreadId(Uuid::from_u128(n))]) };
    let missing = other.import_of(archive.clone(), thread(8), IfExists::Fail).await;
    check(missing, "there is no thread 00000000-0000-0000-0000-000000000008");
    let imported = other.import_of(archive, thread(7), IfExists::Fail).await.unwrap();
    assert_eq!(format!("{:?}", imported.taken), r#"{"thread": 1}"#);
    let path = other.folder.path();
    let threads = Selection { kinds: vec![Kind::Threads], threads: None };
    let threads =
        snapshot(path, &Encryption::default(), |tx| export(tx, &threads, "1", at(0), vec![]))
            .unwrap();
    let wanted = Wanted { kinds: Some(vec![Kind::Store]), threads: None };
    let refused = Folder::new().import_of(threads.unwrap().0, wanted, IfExists::Fail).await;
    check(refused, "the archive was made without store; it holds threads");
}
