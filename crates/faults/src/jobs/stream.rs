//! Streams that are left, broken and joined again.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;

use super::Client;
use crate::{
    api::run_of,
    ledger::{Kind, is_terminal},
    sse::{Event, Id, Next, Reader},
    work::Work,
};

/// What one client was told of a run.
#[derive(Default)]
struct Told {
    events: Vec<Event>,
}

impl Told {
    fn last(&self) -> Option<Id> {
        self.events.iter().rev().find_map(|event| event.id)
    }

    /// Takes an event in; says what is wrong with it.
    fn take(&mut self, event: Event) -> Result<(), String> {
        let last = self.last();
        let Some(id) = event.id else { return Err(format!("no id: {event:?}")) };
        if last.is_some_and(|last| id <= last) {
            return Err(format!("id {id:?} of '{}' comes after {last:?}", event.name));
        }
        self.events.push(event);
        Ok(())
    }
}

impl Client {
    /// A resumable stream. Joined again as often as it takes, it has to tell everything that a replay tells, once.
    pub(super) async fn stream(&mut self) {
        let (thread, work) = (self.new_thread(), self.work());
        let kills = self.api.kills();
        let mut body = self.thread_body(&work, &thread, false);
        body["stream_resumable"] = json!(true);
        body["stream_mode"] = json!(["values", "updates", "messages-tuple", "custom"]);
        let path = format!("/threads/{thread}/runs/stream");
        let Some(response) = self.open(&path, &body, &work.tag).await else { return };
        let Some(run) = run_of(&response) else { return };
        let path = format!("/threads/{thread}/runs/{run}");
        let mut told = Told::default();
        let mut response = Some(response);
        while !self.read(response.take(), &mut told, &run, true).await {
            self.pause(0, 300).await;
            response = self.join(&format!("{path}/stream"), told.last()).await;
        }
        self.check_over(&path, &run).await;
        let mut replay = Told::default();
        while !self.read(response.take(), &mut replay, &run, false).await {
            self.pause(0, 300).await;
            response = self.join(&format!("{path}/stream"), replay.last()).await;
        }
        let was_killed = self.api.kills() != kills;
        self.compare(&work, &run, &told.events, &replay.events, was_killed);
    }

    /// Reads until the stream ends: `true`; or breaks, or is left.
    async fn read(
        &mut self,
        response: Option<Response>,
        told: &mut Told,
        run: &str,
        may_leave: bool,
    ) -> bool {
        let Some(response) = response else { return false };
        let patience = match may_leave && self.random.percent(60) {
            true => self.random.millis(0, 600),
            false => Duration::from_secs(3600),
        };
        let mut reader = Reader::new(response);
        let reading = async {
            loop {
                match reader.next().await {
                    Next::Event(event) => {
                        if let Err(wrong) = told.take(event) {
                            let text = format!("stream of run {run}: {wrong}");
                            self.api.ledger.violate(Kind::Stream, text);
                        }
                    }
                    Next::End => return true,
                    Next::Broken => {
                        self.api.ledger.count("streams that were broken off");
                        return false;
                    }
                    Next::Silent => {
                        let text = format!("stream of run {run}: not even a heartbeat");
                        self.api.ledger.violate(Kind::Stream, text);
                        return false;
                    }
                }
            }
        };
        match tokio::time::timeout(patience, reading).await {
            Ok(ended) => ended,
            Err(_) => {
                self.api.ledger.count("streams that were left and joined again");
                false
            }
        }
    }

    async fn join(&self, path: &str, last: Option<Id>) -> Option<Response> {
        let last = last.map_or("-1".to_owned(), |(millis, seq)| format!("{millis}-{seq}"));
        let response = self.api.open(Method::GET, path, None, Some(&last)).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let kind = if status == 404 { Kind::Lost } else { Kind::Server };
            self.api.ledger.violate(kind, format!("GET {path} was answered {status}"));
        }
        (status == 200).then_some(response)
    }

    /// A stream ends after the end of the run is committed.
    async fn check_over(&self, path: &str, run: &str) {
        if let Some(status) = self.api.status(path, run).await
            && !is_terminal(&status)
        {
            let text = format!("the stream of run {run} has ended, and it is {status}");
            self.api.ledger.violate(Kind::Stream, text);
        }
    }

    fn compare(&self, work: &Work, run: &str, told: &[Event], replay: &[Event], was_killed: bool) {
        let missing: Vec<_> = replay.iter().filter(|event| !told.contains(event)).collect();
        if !missing.is_empty() {
            let text = format!(
                "stream of run {run} ({}): {} of {} replayed events were never told, the first is {:?}",
                work.graph,
                missing.len(),
                replay.len(),
                missing[0]
            );
            self.api.ledger.violate(Kind::Stream, text);
        }
        let unsaved: Vec<_> = told.iter().filter(|event| !replay.contains(event)).collect();
        self.api.ledger.add("events told that a kill took from replays", unsaved.len() as u64);
        if let Some(first) = unsaved.first()
            && !was_killed
        {
            let text = format!("stream of run {run}: {first:?} was told and is not replayed");
            self.api.ledger.violate(Kind::Stream, text);
        }
        let last = told.iter().rev().find(|event| event.name == "values");
        let state =
            last.and_then(|event| serde_json::from_str::<serde_json::Value>(&event.data).ok());
        match state {
            Some(state) => self.check_result(work, run, &state),
            None => {
                let text = format!("stream of run {run} ({}): no values", work.graph);
                self.api.ledger.violate(Kind::Stream, text);
            }
        }
    }

    /// A stream that cannot be resumed: joined again, it tells what comes from then on, and ends.
    pub(super) async fn plain_stream(&mut self) {
        let (thread, work) = (self.new_thread(), self.work());
        let body = self.thread_body(&work, &thread, false);
        let path = format!("/threads/{thread}/runs/stream");
        let Some(response) = self.open(&path, &body, &work.tag).await else { return };
        let Some(run) = run_of(&response) else { return };
        let path = format!("/threads/{thread}/runs/{run}");
        let mut response = Some(response);
        loop {
            if let Some(response) = response {
                let mut reader = Reader::new(response);
                let end = loop {
                    match reader.next().await {
                        Next::Event(_) => {}
                        end => break end,
                    }
                };
                match end {
                    Next::End => break,
                    Next::Silent => {
                        let text = format!("stream of run {run}: not even a heartbeat");
                        self.api.ledger.violate(Kind::Stream, text);
                    }
                    _ => self.api.ledger.count("streams that were broken off"),
                }
            }
            self.pause(0, 300).await;
            response = self.join(&format!("{path}/stream"), None).await;
        }
        self.check_over(&path, &run).await;
    }
}
