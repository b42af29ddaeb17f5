//! Frames from workers, decoded.

use agent_server_domain::ports::{Ending, StoreIndex, StoreOp, StoreTtl};
use agent_server_storage::{
    Map, Page, RawJson, ThreadId, Timestamp,
    checkpoints::{Blob, NewCheckpoint, SaverOp, TaskWrite, TaskWrites},
    store::{NamespaceFilter, Pattern},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Error, Frame, kind};

/// A blob this small is copied, so that whoever keeps it does not keep everything that arrived with it.
const COPIED: usize = 16 << 10;

/// First frame of a worker.
#[derive(Debug, Deserialize)]
pub(crate) struct Join {
    pub(crate) pid: i32,
    pub(crate) protocol: u32,
}

/// What loading came to.
#[derive(Debug, Deserialize)]
pub(crate) struct Hello {
    pub(crate) pid: i32,
    pub(crate) python: String,
    #[serde(default)]
    pub(crate) langgraph: Option<String>,
    /// Why the worker is of no use.
    pub(crate) error: Option<String>,
    pub(crate) graphs: Vec<LoadedGraph>,
    /// Whether it is a template now, which forks workers and executes nothing itself.
    pub(crate) can_fork: bool,
    /// The project's authentication, where that was loaded.
    #[serde(default)]
    pub(crate) auth: Option<Handlers>,
    /// The project's encryption, where that was loaded.
    #[serde(default)]
    pub(crate) encryption: Option<Handlers>,
}

/// The handlers of a project's authentication or encryption.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Handlers {
    /// Names of the parameters of the handler that authenticates: what it looks at.
    pub(crate) parameters: Vec<String>,
    /// Events that somebody decides about, `resource:action`.
    pub(crate) events: Vec<String>,
    /// What the encryption has handlers for: `json`, `blob`, `context`.
    pub(crate) hooks: Vec<String>,
}

/// One graph of a [`Hello`].
#[derive(Debug, Deserialize)]
pub(crate) struct LoadedGraph {
    pub(crate) graph_id: String,
    pub(crate) name: Option<String>,
    pub(crate) error: Option<String>,
}

/// Header of a live view.
#[derive(Debug, Deserialize)]
pub(crate) struct LiveHead {
    pub(crate) checkpoint: Option<String>,
    pub(crate) pending: bool,
    /// Whether its values are those of the last root base.
    pub(crate) of_base: bool,
}

/// A live view as it came.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) head: LiveHead,
    pub(crate) interrupts: RawJson,
    pub(crate) state: RawJson,
}

/// A request that waits for a reply.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Read a checkpoint.
    Load { job: u64, thread_id: ThreadId, ns: String, checkpoint_id: Option<String> },
    /// Execute store operations.
    Store { ops: Vec<StoreOp> },
    /// Make everything before durable.
    Flush { job: u64 },
}

/// A frame from a worker.
#[derive(Debug)]
pub(crate) enum FromWorker {
    Hello(Hello),
    Event {
        job: u64,
        name: String,
        data: Bytes,
    },
    /// Put or writes; `run_id` of a put is the caller's to fill in.
    Save {
        job: u64,
        op: SaverOp,
    },
    /// `values` is `None` where they are those of the last root values event.
    Base {
        job: u64,
        ns: String,
        checkpoint_id: String,
        next: RawJson,
        tasks: RawJson,
        values: Option<RawJson>,
    },
    Request {
        id: u64,
        asked: Asked,
    },
    Done {
        job: u64,
        ending: Ending,
        threads: u32,
        live: Option<Live>,
    },
    Answer {
        job: u64,
        result: Result<(RawJson, Option<Live>), AnswerError>,
        /// Whether it holds until the code changes.
        lasting: bool,
    },
    Settled {
        job: u64,
    },
    /// An attempt begins. Where the order came late, the worker waits for an answer.
    Started {
        job: u64,
        id: Option<u64>,
    },
    /// Its event loop runs.
    Pong,
    /// A worker that a template had forked has ended.
    Exited {
        pid: i32,
        code: i32,
    },
}

/// Why a question has no answer.
#[derive(Debug, Deserialize)]
pub(crate) struct AnswerError {
    pub(crate) kind: String,
    pub(crate) message: String,
}

fn header<T: DeserializeOwned>(frame: &Frame) -> Result<T, Error> {
    serde_json::from_slice(&frame.header)
        .map_err(|source| Error::Header { kind: frame.kind, source })
}

/// A blob as JSON text. That it is JSON is the worker's word; that it is text is checked.
fn json(blob: Option<Bytes>) -> Result<RawJson, Error> {
    let blob = blob.ok_or(Error::Damaged("a blob is missing"))?;
    let text = std::str::from_utf8(&blob).map_err(|_| Error::Damaged("JSON is not UTF-8"))?;
    Ok(RawJson::trusted(text))
}

fn small(blob: Bytes) -> Bytes {
    if blob.len() <= COPIED { Bytes::copy_from_slice(&blob) } else { blob }
}

/// Reads the first frame of a connection.
pub(crate) fn join(frame: &Frame) -> Result<Join, Error> {
    if frame.kind != kind::JOIN {
        return Err(Error::Damaged("the first frame is not a join"));
    }
    header(frame)
}

/// Decodes a frame from a worker that has joined.
pub(crate) fn decode(frame: Frame) -> Result<FromWorker, Error> {
    match frame.kind {
        kind::EVENT => {
            let (job, name) = header(&frame)?;
            let data = frame.blobs.into_iter().next().ok_or(Error::Damaged("no data"))?;
            Ok(FromWorker::Event { job, name, data: small(data) })
        }
        kind::PUT => put(frame),
        kind::WRITES => writes(frame),
        kind::BASE => base(frame),
        kind::LOAD | kind::STORE | kind::FLUSH => request(&frame),
        kind::DONE => done(frame),
        kind::ANSWER => answer(frame),
        kind::HELLO => Ok(FromWorker::Hello(header(&frame)?)),
        kind::SETTLED => {
            #[derive(Deserialize)]
            struct Head {
                job: u64,
            }
            let Head { job } = header(&frame)?;
            Ok(FromWorker::Settled { job })
        }
        kind::STARTED => {
            #[derive(Deserialize)]
            struct Head {
                job: u64,
                id: Option<u64>,
            }
            let Head { job, id } = header(&frame)?;
            Ok(FromWorker::Started { job, id })
        }
        kind::PONG => Ok(FromWorker::Pong),
        kind::EXITED => {
            #[derive(Deserialize)]
            struct Head {
                pid: i32,
                code: i32,
            }
            let Head { pid, code } = header(&frame)?;
            Ok(FromWorker::Exited { pid, code })
        }
        _ => Err(Error::Damaged("its kind is unknown")),
    }
}

fn put(frame: Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Head {
        job: u64,
        ns: String,
        id: String,
        parent: Option<String>,
        ts: Timestamp,
        step: i64,
        source: String,
        refs: Vec<(String, String)>,
        blobs: Vec<(String, String, String)>,
    }
    let head: Head = header(&frame)?;
    let mut blobs = frame.blobs.into_iter();
    let metadata = json(blobs.next())?;
    let small_part = small(blobs.next().ok_or(Error::Damaged("no small part"))?);
    if blobs.len() != head.blobs.len() {
        return Err(Error::Damaged("blobs are missing"));
    }
    let blobs = head
        .blobs
        .into_iter()
        .zip(blobs)
        .map(|((channel, version, type_tag), bytes)| Blob { channel, version, type_tag, bytes })
        .collect();
    let op = SaverOp::Put(NewCheckpoint {
        ns: head.ns,
        id: head.id,
        parent_id: head.parent,
        created_at: head.ts,
        step: head.step,
        source: head.source,
        run_id: None,
        metadata,
        small: small_part,
        refs: head.refs,
        blobs,
    });
    Ok(FromWorker::Save { job: head.job, op })
}

fn writes(frame: Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Head {
        job: u64,
        ns: String,
        checkpoint: String,
        task: String,
        path: String,
        writes: Vec<(i64, String, String)>,
    }
    let head: Head = header(&frame)?;
    let mut blobs = frame.blobs.into_iter();
    let status = json(blobs.next())?;
    if blobs.len() != head.writes.len() {
        return Err(Error::Damaged("writes are missing"));
    }
    let writes = head
        .writes
        .into_iter()
        .zip(blobs)
        .map(|((idx, channel, type_tag), bytes)| TaskWrite { idx, channel, type_tag, bytes })
        .collect();
    let op = SaverOp::Writes(TaskWrites {
        ns: head.ns,
        checkpoint_id: head.checkpoint,
        task_id: head.task,
        task_path: head.path,
        writes,
        status,
    });
    Ok(FromWorker::Save { job: head.job, op })
}

fn base(frame: Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Head {
        job: u64,
        ns: String,
        checkpoint: String,
        next: RawJson,
        tasks: RawJson,
    }
    let head: Head = header(&frame)?;
    let values = frame.blobs.into_iter().next().map(|blob| json(Some(blob))).transpose()?;
    Ok(FromWorker::Base {
        job: head.job,
        ns: head.ns,
        checkpoint_id: head.checkpoint,
        next: head.next,
        tasks: head.tasks,
        values,
    })
}

fn request(frame: &Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Load {
        job: u64,
        id: u64,
        thread: ThreadId,
        ns: String,
        checkpoint: Option<String>,
    }
    #[derive(Deserialize)]
    struct Store {
        id: u64,
        ops: Vec<WireOp>,
    }
    #[derive(Deserialize)]
    struct Flush {
        job: u64,
        id: u64,
    }
    Ok(match frame.kind {
        kind::LOAD => {
            let Load { job, id, thread, ns, checkpoint } = header(frame)?;
            let asked = Asked::Load { job, thread_id: thread, ns, checkpoint_id: checkpoint };
            FromWorker::Request { id, asked }
        }
        kind::STORE => {
            let Store { id, ops } = header(frame)?;
            let ops = ops.into_iter().map(StoreOp::from).collect();
            FromWorker::Request { id, asked: Asked::Store { ops } }
        }
        _ => {
            let Flush { job, id } = header(frame)?;
            FromWorker::Request { id, asked: Asked::Flush { job } }
        }
    })
}

/// A store operation on the wire. One flat struct: serde cannot keep raw text inside of tagged variants.
#[derive(Deserialize)]
struct WireOp {
    op: OpKind,
    #[serde(default)]
    namespace: Vec<String>,
    #[serde(default)]
    key: String,
    value: Option<RawJson>,
    index: Option<WireIndex>,
    ttl_minutes: Option<f64>,
    refresh: Option<bool>,
    filter: Option<Map>,
    query: Option<String>,
    prefix: Option<Pattern>,
    suffix: Option<Pattern>,
    max_depth: Option<u32>,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    offset: u32,
}

/// `false` or paths.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireIndex {
    Nothing(bool),
    Paths(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OpKind {
    Get,
    Put,
    Search,
    Namespaces,
}

impl From<WireOp> for StoreOp {
    fn from(op: WireOp) -> Self {
        let WireOp { namespace, key, value, filter, query, prefix, suffix, max_depth, .. } = op;
        let index = match op.index {
            None | Some(WireIndex::Nothing(true)) => StoreIndex::Configured,
            Some(WireIndex::Nothing(false)) => StoreIndex::Nothing,
            Some(WireIndex::Paths(paths)) => StoreIndex::Paths(paths),
        };
        // The library has put the configured lifetime in where a put names none.
        let ttl = op.ttl_minutes.map_or(StoreTtl::Never, StoreTtl::Minutes);
        let refresh = op.refresh;
        let page = Page { limit: op.limit, offset: op.offset };
        match op.op {
            OpKind::Get => Self::Get { namespace, key, refresh },
            OpKind::Put => Self::Put { namespace, key, value, index, ttl },
            OpKind::Search => Self::Search { prefix: namespace, filter, query, page, refresh },
            OpKind::Namespaces => {
                let filter = NamespaceFilter { prefix, suffix, max_depth };
                Self::ListNamespaces { filter, page }
            }
        }
    }
}

fn live(
    head: Option<LiveHead>,
    blobs: &mut impl Iterator<Item = Bytes>,
) -> Result<Option<Live>, Error> {
    let Some(head) = head else { return Ok(None) };
    let interrupts = json(blobs.next())?;
    Ok(Some(Live { head, interrupts, state: json(blobs.next())? }))
}

fn done(frame: Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Head {
        job: u64,
        ending: String,
        #[serde(default)]
        error: String,
        #[serde(default)]
        message: String,
        threads: u32,
        live: Option<LiveHead>,
    }
    let Head { job, ending, error, message, threads, live: head } = header(&frame)?;
    let ending = match ending.as_str() {
        "success" => Ending::Success,
        "error" => Ending::Error { error, message },
        "cancelled" => Ending::Cancelled,
        "moved" => Ending::Moved,
        _ => Ending::Lost(message),
    };
    let live = live(head, &mut frame.blobs.into_iter())?;
    Ok(FromWorker::Done { job, ending, threads, live })
}

fn answer(frame: Frame) -> Result<FromWorker, Error> {
    #[derive(Deserialize)]
    struct Head {
        job: u64,
        error: Option<AnswerError>,
        live: Option<LiveHead>,
        #[serde(default)]
        lasting: bool,
    }
    let Head { job, error, live: head, lasting } = header(&frame)?;
    if let Some(error) = error {
        return Ok(FromWorker::Answer { job, result: Err(error), lasting });
    }
    let mut blobs = frame.blobs.into_iter();
    let data = json(blobs.next())?;
    let live = live(head, &mut blobs)?;
    Ok(FromWorker::Answer { job, result: Ok((data, live)), lasting })
}
