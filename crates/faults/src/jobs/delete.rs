//! Threads that are deleted while their runs are at work.

use std::time::Duration;

use reqwest::{Method, Response};

use super::Client;
use crate::{
    api::run_of,
    ledger::{Kind, Removal},
    sse::{Next, Reader},
    work::Work,
};

/// How long a stream may go on after its thread is gone.
const LAST: Duration = Duration::from_secs(15);
/// How long nodes may work after their run is gone: far more than it takes to tell the worker, or to notice that its server
/// has died.
const ECHO: Duration = Duration::from_secs(6);

/// Reads a stream until there is nothing more.
async fn drain(response: Response) -> Next {
    let mut reader = Reader::new(response);
    loop {
        match reader.next().await {
            Next::Event(_) => {}
            end => return end,
        }
    }
}

impl Client {
    /// Deletes a thread with a run at work and perhaps some behind it, while others listen.
    pub(super) async fn delete(&mut self) {
        let thread = self.new_thread();
        let mut works = vec![self.long_or_not()];
        let kills = self.api.kills();
        let mut body = self.thread_body(&works[0], &thread, false);
        body["stream_resumable"] = self.random.percent(50).into();
        let path = format!("/threads/{thread}/runs/stream");
        let mut streams = vec![];
        // Not known to be accepted, it is deleted all the same.
        if let Some(stream) = self.open(&path, &body, &works[0].tag).await {
            let run = run_of(&stream).unwrap_or_default();
            streams.push((format!("run {run}"), tokio::spawn(drain(stream))));
        }
        for _ in 0..self.random.below(3) {
            let work = self.long_or_not();
            let body = self.thread_body(&work, &thread, false);
            self.create(&thread, &body, &work.tag).await;
            works.push(work);
        }
        let path = format!("/threads/{thread}/stream");
        if let Some(stream) = self.api.open(Method::GET, &path, None, None).await
            && stream.status().is_success()
        {
            streams.push((format!("thread {thread}"), tokio::spawn(drain(stream))));
        }
        self.pause(0, 800).await;

        self.api.ledger.remove_thread(&thread, Removal::Asked);
        let path = format!("/threads/{thread}");
        if self.random.percent(25) {
            // Left in the middle of it: it may be deleted or not.
            let patience = self.random.millis(0, 5);
            let request = self.api.open(Method::DELETE, &path, None, None);
            if tokio::time::timeout(patience, request).await.is_err() {
                self.api.ledger.count("clients that left");
                streams.iter().for_each(|(_, stream)| stream.abort());
                return;
            }
        }
        self.insist_on(Method::DELETE, &path).await;
        self.api.ledger.remove_thread(&thread, Removal::Told);
        for (whose, stream) in streams {
            match tokio::time::timeout(LAST, stream).await {
                Ok(Ok(Next::End)) => {}
                // The kill broke it.
                _ if self.api.kills() != kills => {}
                other => {
                    let text = format!("stream of {whose} after its end: {other:?}");
                    self.api.ledger.violate(Kind::Stuck, text);
                }
            }
        }
        let answer = self.api.get(&path).await;
        if answer.status != 404 {
            let text = format!("GET {path} was answered {} after its deletion", answer.status);
            self.api.ledger.violate(Kind::Back, text);
        }
        tokio::time::sleep(ECHO).await;
        let early = self.api.ledger.journal();
        self.pause(1000, 1500).await;
        let late = self.api.ledger.journal();
        for work in works {
            let begins = format!("{} ", work.tag);
            if let Some(line) = late.difference(&early).find(|line| line.starts_with(&begins)) {
                let text = format!("thread {thread} is deleted and still works: {line}");
                self.api.ledger.violate(Kind::Back, text);
            }
        }
    }

    fn long_or_not(&mut self) -> Work {
        let tag = self.tag();
        match self.random.percent(60) {
            true => Work::long(&mut self.random, tag),
            false => Work::draw(&mut self.random, tag),
        }
    }
}
