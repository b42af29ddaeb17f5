//! Frames to workers, encoded.

use agent_server_domain::{
    Error,
    auth::{Credentials, Event, User},
    ports::{EmbedOrder, Question, RunOrder, StoreAnswer, Xray},
};
use agent_server_storage::{Map, checkpoints::CheckpointTuple, store::Item};
use serde::Serialize;
use serde_json::{Value, json};

use super::kind;
use crate::options::StoreSpec;

/// First frame to a worker.
#[derive(Debug, Serialize)]
pub(crate) struct Init<'a> {
    /// Directory of the project.
    pub(crate) root: &'a str,
    /// The variable as it was before the worker's own directory was added.
    pub(crate) python_path: Option<&'a str>,
    /// Directories to import from.
    pub(crate) import_dirs: &'a [String],
    /// Ids and `path:variable`.
    pub(crate) graphs: Vec<(&'a str, &'a str)>,
    /// The project's authentication, `path:variable`; then there are no graphs.
    pub(crate) auth: Option<&'a str>,
    /// The project's encryption, likewise.
    pub(crate) encryption: Option<&'a str>,
    /// Metadata of all runs.
    pub(crate) facts: &'a [(String, String)],
    /// What graphs see of the settings of the store.
    pub(crate) store: &'a StoreSpec,
    /// Whether it shall fork workers, if it can.
    pub(crate) template: bool,
}

fn frame<'a>(
    kind: u8,
    header: &impl Serialize,
    blobs: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, kind, 0, 0, 0, 0];
    serde_json::to_writer(&mut out, header)
        .expect("headers have text keys and memory does not fail");
    let length = out.len() - 9;
    out[5..9].copy_from_slice(&size(length));
    for blob in blobs {
        out.extend_from_slice(&size(blob.len()));
        out.extend_from_slice(blob);
    }
    let length = out.len() - 4;
    out[..4].copy_from_slice(&size(length));
    out
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("no frame comes near 4 GB").to_le_bytes()
}

/// Header of a checkpoint and its blobs in order.
fn tuple(tuple: &CheckpointTuple) -> (Value, Vec<&[u8]>) {
    let blobs: Vec<_> =
        tuple.blobs.iter().map(|blob| (&blob.channel, &blob.version, &blob.type_tag)).collect();
    let writes: Vec<_> = tuple
        .writes
        .iter()
        .map(|(task, write)| (task, write.idx, &write.channel, &write.type_tag))
        .collect();
    let header = json!({
        "ns": tuple.ns, "id": tuple.id, "parent": tuple.parent_id, "blobs": blobs, "writes": writes,
    });
    let mut bytes = vec![tuple.metadata.get().as_bytes(), &tuple.small];
    bytes.extend(tuple.blobs.iter().map(|blob| &blob.bytes[..]));
    bytes.extend(tuple.writes.iter().map(|(_, write)| &write.bytes[..]));
    (header, bytes)
}

/// Tells a worker what it serves.
pub(crate) fn init(init: &Init<'_>) -> Vec<u8> {
    frame(kind::INIT, init, [])
}

/// Starts an attempt. `sent`: the time, seconds since 1970, by the clock that both sides share.
pub(crate) fn run(job: u64, sent: f64, order: &RunOrder) -> Vec<u8> {
    let (head, bytes) = order.checkpoint.as_ref().map(tuple).unzip();
    let header = json!({
        "job": job,
        "sent": sent,
        "run_id": order.lease.run_id,
        "attempt": order.lease.attempt,
        "graph": order.graph_id,
        "temporary": order.temporary,
        "head": order.head_id,
        "tuple": head,
    });
    let kwargs = order.kwargs.get().as_bytes();
    frame(kind::RUN, &header, std::iter::once(kwargs).chain(bytes.into_iter().flatten()))
}

/// Asks an attempt to stop.
pub(crate) fn cancel(job: u64) -> Vec<u8> {
    frame(kind::CANCEL, &json!({"job": job}), [])
}

/// Asks an attempt to stop at the end of its superstep, so that it can go on in another worker.
pub(crate) fn let_go(job: u64) -> Vec<u8> {
    frame(kind::YIELD, &json!({"job": job}), [])
}

/// Asks whether the event loop runs.
pub(crate) fn ping() -> Vec<u8> {
    frame(kind::PING, &json!({}), [])
}

/// Asks a question.
pub(crate) fn ask(job: u64, graph: &str, question: &Question) -> Vec<u8> {
    let (header, blobs) = match question {
        Question::Schemas { config } => (json!({"kind": "schemas"}), vec![config]),
        Question::Drawing { config, xray } => {
            let xray = match xray {
                Xray::All(all) => json!(all),
                Xray::Depth(depth) => json!(depth),
            };
            (json!({"kind": "drawing", "xray": xray}), vec![config])
        }
        Question::Subgraphs { config, recurse } => {
            (json!({"kind": "subgraphs", "recurse": recurse}), vec![config])
        }
        Question::State { thread_id, config, subgraphs } => {
            (json!({"kind": "state", "thread": thread_id, "subgraphs": subgraphs}), vec![config])
        }
        Question::UpdateState { thread_id, config, values, as_node } => (
            json!({"kind": "update", "thread": thread_id, "as_node": as_node}),
            vec![config, values],
        ),
        Question::Supersteps { thread_id, config, supersteps } => {
            (json!({"kind": "supersteps", "thread": thread_id}), vec![config, supersteps])
        }
    };
    let mut header = header;
    header["job"] = json!(job);
    header["graph"] = json!(graph);
    frame(kind::ASK, &header, blobs.into_iter().map(|blob| blob.get().as_bytes()))
}

/// Asks who sends a request.
pub(crate) fn authenticate(job: u64, credentials: &Credentials) -> Vec<u8> {
    let Credentials { method, path, query, headers } = credentials;
    // Values of headers are bytes; each becomes the character of its number, as in Latin-1.
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name, text(value))).collect();
    let header = json!({
        "job": job, "method": method, "path": path, "query": query, "headers": headers,
    });
    frame(kind::AUTHENTICATE, &header, [])
}

/// Asks what a user may do.
pub(crate) fn authorize(job: u64, user: &User, event: Event, value: &Map) -> Vec<u8> {
    let header = json!({"job": job, "resource": event.resource.as_str(), "action": event.action});
    let user = json!({"permissions": user.permissions, "fields": user.fields}).to_string();
    let value = serde_json::to_string(value).expect("keys are text");
    frame(kind::AUTHORIZE, &header, [user.as_bytes(), value.as_bytes()])
}

/// Has objects or blobs encrypted or decrypted. `kind` is [`kind::ENCRYPT`] or [`kind::DECRYPT`].
pub(crate) fn crypt(kind: u8, job: u64, parts: &[Value], data: &[Vec<u8>]) -> Vec<u8> {
    frame(kind, &json!({"job": job, "parts": parts}), data.iter().map(Vec::as_slice))
}

/// Asks in which context what a request writes is encrypted.
pub(crate) fn context(job: u64, user: &Map, given: &Map) -> Vec<u8> {
    let user = serde_json::to_string(user).expect("keys are text");
    let given = serde_json::to_string(given).expect("keys are text");
    frame(kind::CONTEXT, &json!({"job": job}), [user.as_bytes(), given.as_bytes()])
}

/// Has a template process fork a worker that connects to `path`.
pub(crate) fn fork(path: &str) -> Vec<u8> {
    frame(kind::FORK, &json!({"path": path}), [])
}

/// Has a template process kill a worker that it forked.
pub(crate) fn kill(pid: i32) -> Vec<u8> {
    frame(kind::KILL, &json!({"pid": pid}), [])
}

/// Answers a `load`.
pub(crate) fn tuple_reply(id: u64, found: Option<&CheckpointTuple>) -> Vec<u8> {
    let (head, bytes) = found.map(tuple).unzip();
    let header = json!({"id": id, "error": null, "tuple": head});
    frame(kind::REPLY, &header, bytes.into_iter().flatten())
}

/// Answers a `store`, or with no answers a `flush`. Values of items are blobs, in the order of the items.
pub(crate) fn stored(id: u64, answers: &[StoreAnswer]) -> Vec<u8> {
    let mut values: Vec<&[u8]> = Vec::new();
    let mut heads = Vec::with_capacity(answers.len());
    for answer in answers {
        let mut head = |item, score| item_head(item, score, &mut values);
        heads.push(match answer {
            StoreAnswer::Done | StoreAnswer::Item(None) => Value::Null,
            StoreAnswer::Item(Some(item)) => head(item, None),
            StoreAnswer::Items(found) => {
                found.iter().map(|found| head(&found.item, found.score)).collect()
            }
            StoreAnswer::Namespaces(namespaces) => json!(namespaces),
        });
    }
    frame(kind::REPLY, &json!({"id": id, "error": null, "answers": heads}), values)
}

/// An item without its value, which goes to the others.
fn item_head<'a>(item: &'a Item, score: Option<f64>, values: &mut Vec<&'a [u8]>) -> Value {
    values.push(item.value.get().as_bytes());
    // Times with offset, as every Python version reads them.
    json!({
        "namespace": item.namespace,
        "key": item.key,
        "created_at": item.created_at.to_rfc3339(),
        "updated_at": item.updated_at.to_rfc3339(),
        "score": score,
    })
}

/// Asks for vectors.
pub(crate) fn embed(job: u64, order: &EmbedOrder) -> Vec<u8> {
    let paths: Vec<_> = order.values.iter().map(|(_, paths)| paths).collect();
    let header = json!({"job": job, "graph": null, "kind": "embed", "paths": paths, "queries": order.queries});
    frame(kind::ASK, &header, order.values.iter().map(|(value, _)| value.get().as_bytes()))
}

/// Tells a worker that its request failed.
pub(crate) fn refusal(id: u64, error: &Error) -> Vec<u8> {
    let kind = match error {
        Error::Invalid(_) | Error::Refused(_) => "refused",
        _ => "failed",
    };
    let header = json!({"id": id, "error": {"kind": kind, "message": error.to_string()}});
    frame(kind::REPLY, &header, [])
}
