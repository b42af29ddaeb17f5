//! The last look, when all is quiet: everything that was accepted is there, over, and has left what it should.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::StreamExt as _;
use serde_json::Value;

use crate::{
    api::Api,
    ledger::{Kind, Place, Removal, Sent, is_terminal},
};

/// Requests at the same time.
const PARALLEL: usize = 8;

/// Checks everything that was asked for.
pub(crate) async fn verify(api: &Api) {
    let journal = api.ledger.journal();
    let mut threads: BTreeMap<String, Vec<Sent>> = BTreeMap::new();
    let mut others = vec![];
    for sent in api.ledger.all() {
        match &sent.place {
            Place::Thread(thread) => threads.entry(thread.clone()).or_default().push(sent),
            Place::Temporary | Place::Kept => others.push(sent),
        }
    }
    let threads = threads.iter().map(|(thread, sent)| check_thread(api, thread, sent));
    futures::stream::iter(threads).buffer_unordered(PARALLEL).collect::<()>().await;
    let others = others.iter().map(|sent| check_stateless(api, sent, &journal));
    futures::stream::iter(others).buffer_unordered(PARALLEL).collect::<()>().await;
    check_counts(api).await;
}

/// A run as it is listed.
struct Listed {
    run: String,
    status: String,
    sent: Sent,
}

/// Looks up who asked for the runs of a list, oldest first, and notes those that nobody did, or that are there twice.
fn listed(api: &Api, place: &str, runs: &Value) -> Vec<Listed> {
    let mut found: HashMap<String, String> = HashMap::new();
    let mut list = vec![];
    for run in runs.as_array().into_iter().flatten() {
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let (id, status) = (text("run_id"), text("status"));
        let tag = run["metadata"]["tag"].as_str().unwrap_or_default();
        api.ledger.observe(&id, &status);
        let Some(sent) = api.ledger.find(tag) else {
            api.ledger.violate(Kind::WrongState, format!("nobody asked for run {id} on {place}"));
            continue;
        };
        if let Some(other) = found.insert(tag.to_owned(), id.clone()) {
            let text = format!("runs {other} and {id} on {place} were asked for with one request");
            api.ledger.violate(Kind::WrongState, text);
        }
        list.push(Listed { run: id, status, sent });
    }
    // Ids are in the order of creation.
    list.sort_by(|one, other| one.run.cmp(&other.run));
    list
}

/// Nothing answers for a thread that was deleted, nor for its runs.
async fn check_gone(api: &Api, thread: &str, sent: &[Sent]) {
    let mut paths: Vec<_> =
        ["", "/state", "/runs", "/stream"].map(|end| format!("/threads/{thread}{end}")).into();
    for run in sent.iter().filter_map(|sent| sent.run.as_ref()) {
        paths.push(format!("/runs/{run}"));
        let ends = ["", "/join", "/stream"];
        paths.extend(ends.map(|end| format!("/threads/{thread}/runs/{run}{end}")));
    }
    for path in paths {
        // A stream that is there after all has no end: its body is not read.
        let status = loop {
            match api.open(reqwest::Method::GET, &path, None, None).await {
                Some(response) if response.status().as_u16() < 500 => break response.status(),
                _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        };
        if status != 404 {
            let text = format!("thread {thread} was deleted, and GET {path} is answered {status}");
            api.ledger.violate(Kind::Back, text);
        }
    }
}

async fn check_thread(api: &Api, thread: &str, sent: &[Sent]) {
    match api.ledger.thread_removal(thread) {
        Some(Removal::Told) => return check_gone(api, thread, sent).await,
        Some(Removal::Asked) if api.get(&format!("/threads/{thread}")).await.status == 404 => {
            return check_gone(api, thread, sent).await;
        }
        _ => {}
    }
    let runs = api.get(&format!("/threads/{thread}/runs?limit=1000")).await;
    let place = format!("thread {thread}");
    let list = listed(api, &place, &runs.body);
    let there: HashSet<_> = list.iter().map(|listed| listed.run.as_str()).collect();
    for sent in sent {
        match &sent.run {
            Some(run) if there.contains(run.as_str()) => match sent.removal {
                Some(Removal::Told) => {
                    let text = format!("run {run} of {place} was taken away and is there");
                    api.ledger.violate(Kind::Back, text);
                }
                Some(Removal::Asked) | None => {}
            },
            Some(_) if sent.removal.is_some() => {}
            Some(run) => {
                let text = format!("accepted, but not there: run {run} of {place}");
                api.ledger.violate(Kind::Lost, text);
            }
            None if list.iter().any(|listed| listed.sent.work.tag == sent.work.tag) => {
                api.ledger.count("runs accepted without an answer");
            }
            _ => {}
        }
    }
    for listed in &list {
        check_status(api, &place, listed);
    }
    let row = api.get(&format!("/threads/{thread}")).await;
    if row.status == 404 && list.is_empty() {
        // Never made.
        return;
    }
    let state = api.get(&format!("/threads/{thread}/state")).await.body;
    let asks = list.last().is_some_and(|listed| listed.sent.work.asks());
    let expected = if asks { "interrupted" } else { "idle" };
    let status = row.body["status"].as_str().unwrap_or_default();
    let was_cancelled = list.iter().any(|listed| listed.status == "interrupted");
    if status == "busy" {
        api.ledger.violate(Kind::Stuck, format!("{place} is busy"));
    } else if status != expected && !(was_cancelled && status == "interrupted") {
        let text = format!("{place} is {status}, not {expected}");
        api.ledger.violate(Kind::WrongStatus, text);
    }
    let step = state["metadata"]["step"].as_i64().unwrap_or_default();
    let (row, state) = (&row.body["values"]["log"], &state["values"]["log"]);
    // Before a step has ended, the state shows what its tasks have done, and the row does not.
    let in_between = was_cancelled
        && (step == -1 || list.last().is_some_and(|listed| listed.sent.work.graph == "fan"));
    if row != state && !in_between {
        let text = format!("{place}: its row says {row}, its state {state}");
        api.ledger.violate(Kind::WrongState, text);
    }
    check_log(api, &place, &list, state);
}

fn check_status(api: &Api, place: &str, listed: &Listed) {
    let Listed { run, status, sent } = listed;
    let graph = sent.work.graph;
    let may_be = status == "success" || (status == "interrupted" && sent.may_be_cancelled);
    if !is_terminal(status) {
        let text = format!("run {run} ({graph}) of {place} is {status}");
        api.ledger.violate(Kind::Stuck, text);
    } else if !may_be {
        let text = format!("run {run} ({graph}) of {place} is {status}");
        api.ledger.violate(Kind::WrongStatus, text);
    }
}

/// The log must hold the entries of each run once, in order, not mixed with those of others, and in the order of the runs
/// where that is known.
fn check_log(api: &Api, place: &str, list: &[Listed], log: &Value) {
    let log: Vec<&str> = log.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wrong = |what: &str| {
        let runs: Vec<_> = list
            .iter()
            .map(|each| format!("{} {} {}", each.sent.work.tag, each.sent.work.graph, each.status))
            .collect();
        let text = format!("{place}: {what}: {log:?} from [{}]", runs.join(", "));
        api.ledger.violate(Kind::WrongState, text);
    };
    let mut blocks: Vec<(&str, Vec<&str>)> = vec![];
    for entry in &log {
        let tag = entry.split(' ').next().unwrap_or_default();
        match blocks.last_mut() {
            Some((last, entries)) if *last == tag => entries.push(entry),
            _ => blocks.push((tag, vec![entry])),
        }
    }
    for listed in list {
        let (tag, entries) = (listed.sent.work.tag.as_str(), listed.sent.work.entries());
        let mut own = blocks.iter().filter(|(other, _)| *other == tag).map(|(_, found)| found);
        let (first, second) = (own.next(), own.next());
        let found: &[&str] = first.map_or(&[], |found| found);
        if second.is_some() {
            wrong(&format!("the entries of {tag} are torn apart"));
        } else if listed.status == "interrupted" {
            let is_part = found.len() <= entries.len()
                && entries.iter().zip(found).all(|(one, other)| one == other);
            if !is_part {
                wrong(&format!("{tag} was cancelled and left {found:?}"));
            }
        } else if entries != found {
            wrong(&format!("{tag} left {found:?} instead of {entries:?}"));
        }
    }
    let known = |tag: &str| list.iter().any(|listed| listed.sent.work.tag == tag);
    if let Some((tag, _)) = blocks.iter().find(|(tag, _)| !known(tag)) {
        wrong(&format!("{tag} has no run"));
    }
    // Requests that were not answered may have been committed later than others that were sent after them.
    let in_order = list.iter().all(|listed| listed.sent.run.is_some()) && of_one_client(list);
    let order: Vec<_> = list.iter().map(|listed| listed.sent.work.tag.as_str()).collect();
    let found: Vec<_> = blocks.iter().map(|(tag, _)| *tag).collect();
    let expected: Vec<_> = order.into_iter().filter(|tag| found.contains(tag)).collect();
    if in_order && found != expected {
        wrong("runs in the wrong order");
    }
}

fn of_one_client(list: &[Listed]) -> bool {
    let clients: HashSet<_> =
        list.iter().filter_map(|listed| listed.sent.work.tag.split('r').next()).collect();
    clients.len() <= 1
}

async fn check_stateless(api: &Api, sent: &Sent, journal: &HashSet<String>) {
    let Some(run) = &sent.run else { return };
    let undone = api.ledger.undone(&sent.work, journal);
    let found = api.get(&format!("/runs/{run}")).await;
    match (&sent.place, found.status) {
        (Place::Temporary, 404) if undone.is_empty() => {}
        (Place::Temporary, 404) => {
            let text = format!("run {run} is gone before {}", undone.join(", "));
            api.ledger.violate(Kind::Lost, text);
        }
        (Place::Kept, 200) => {
            let runs = Value::from(vec![found.body.clone()]);
            let thread = found.body["thread_id"].as_str().unwrap_or_default();
            let place = format!("thread {thread}");
            let list = listed(api, &place, &runs);
            list.iter().for_each(|listed| check_status(api, &place, listed));
            let state = api.get(&format!("/threads/{thread}/state")).await.body;
            check_log(api, &place, &list, &state["values"]["log"]);
        }
        (Place::Temporary, 200) => {
            let status = found.body["status"].as_str().unwrap_or_default();
            let text = format!("run {run} of a temporary thread is {status} and still there");
            api.ledger.violate(Kind::Stuck, text);
        }
        (_, status) => {
            api.ledger.violate(Kind::Lost, format!("accepted run {run} was answered {status}"));
        }
    }
}

/// Nothing is left in flight, known or not.
async fn check_counts(api: &Api) {
    let body = serde_json::json!({"status": "busy"});
    let answer = api.insist(reqwest::Method::POST, "/threads/count", Some(&body)).await;
    if answer.body != 0 {
        api.ledger.violate(Kind::Stuck, format!("{} threads are busy", answer.body));
    }
}
