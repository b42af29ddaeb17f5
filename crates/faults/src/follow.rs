//! A follower of a thread: whatever happens, each of its runs is told to be over once, and ids only grow.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::Value;

use crate::{
    api::Api,
    ledger::Kind,
    sse::{Event, Id, Next, Reader},
};

/// Follows a thread until dropped, through every break of the stream.
pub(crate) async fn follow(api: Api, thread: String) {
    let path = format!("/threads/{thread}/stream?stream_mode=run_modes");
    let (mut last, mut over) = (None, HashSet::new());
    loop {
        let from = last.map(|(millis, seq): Id| format!("{millis}-{seq}"));
        let response = api.open(Method::GET, &path, None, from.as_deref()).await;
        // Until its first run, the thread is not there.
        if let Some(response) = response.filter(|response| response.status().is_success()) {
            let mut reader = Reader::new(response);
            while let Next::Event(event) = reader.next().await {
                take(&api, &thread, event, &mut last, &mut over);
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn take(api: &Api, thread: &str, event: Event, last: &mut Option<Id>, over: &mut HashSet<String>) {
    let wrong = |text: String| {
        api.ledger.violate(Kind::Stream, format!("stream of thread {thread}: {text}"));
    };
    if event.id.is_none() || event.id <= *last {
        wrong(format!("id {:?} of '{}' comes after {last:?}", event.id, event.name));
    }
    *last = event.id.max(*last);
    api.ledger.count("events told to followers of threads");
    if event.name != "metadata" {
        return;
    }
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let run = data["run_id"].as_str().unwrap_or_default();
    if data["status"] == "run_done" {
        if !over.insert(run.to_owned()) {
            wrong(format!("run {run} is over for the second time"));
        }
    } else if over.contains(run) {
        wrong(format!("run {run} begins after its end"));
    }
}
