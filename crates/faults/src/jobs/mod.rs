//! What clients do, one file per way to use a run. Every job asks for one run or some, follows them to their end through
//! whatever happens, and notes what it is told; [`crate::verify`] looks at everything again when all is quiet.

mod cancel;
mod delete;
mod disconnect;
mod human;
mod plain;
mod queue;
mod stateless;
mod stream;
mod undo;

use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    api::{Api, run_of},
    ledger::{Kind, Place},
    random::Random,
    work::Work,
};

/// One client.
pub(crate) struct Client {
    pub(crate) api: Api,
    pub(crate) random: Random,
    /// Which of all clients it is.
    pub(crate) number: u64,
    /// How many runs it has asked for.
    pub(crate) asked: u64,
    /// Threads that all clients use.
    pub(crate) shared: Arc<Vec<String>>,
}

/// A way to use a run.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// Create, look again and again.
    Poll,
    /// Create and wait for the result.
    Wait,
    /// Leave in the middle of a request.
    Vanish,
    /// Several runs behind each other on one thread.
    Queue,
    /// A run behind those of other clients.
    Shared,
    /// On a temporary thread.
    Stateless,
    /// Several of them with one request.
    Batch,
    /// A stream that is left and joined again.
    Stream,
    /// A stream that cannot be resumed.
    PlainStream,
    /// A question and its answer.
    Human,
    /// A cancel.
    Cancel,
    /// A run that takes the place of another.
    Supersede,
    /// A run that is rolled back.
    RollBack,
    /// A run that takes the place of another, which is rolled back.
    Replace,
    /// A run that is deleted.
    DeleteRun,
    /// A thread that is deleted.
    Delete,
    /// A run that ends with its client.
    Disconnect,
}

/// The more often named, the more often done.
const JOBS: [Job; 25] = [
    Job::Poll,
    Job::Poll,
    Job::Wait,
    Job::Wait,
    Job::Vanish,
    Job::Vanish,
    Job::Queue,
    Job::Queue,
    Job::Shared,
    Job::Stateless,
    Job::Stateless,
    Job::Batch,
    Job::Stream,
    Job::Stream,
    Job::Stream,
    Job::PlainStream,
    Job::Human,
    Job::Cancel,
    Job::RollBack,
    Job::Replace,
    Job::DeleteRun,
    Job::Delete,
    Job::Delete,
    Job::Disconnect,
    Job::Disconnect,
];

impl Client {
    /// Does one job to its end.
    pub(crate) async fn job(&mut self) {
        // The rarest: a run that takes another's place is a cancel, too.
        let job = if self.random.percent(4) { Job::Supersede } else { self.random.pick(&JOBS) };
        match job {
            Job::Poll => self.poll().await,
            Job::Wait => self.wait().await,
            Job::Vanish => self.vanish().await,
            Job::Queue => self.queue().await,
            Job::Shared => self.share().await,
            Job::Stateless => self.stateless().await,
            Job::Batch => self.batch().await,
            Job::Stream => self.stream().await,
            Job::PlainStream => self.plain_stream().await,
            Job::Human => self.human().await,
            Job::Cancel => self.cancel().await,
            Job::Supersede => self.supersede().await,
            Job::RollBack => self.roll_back().await,
            Job::Replace => self.replace().await,
            Job::DeleteRun => self.delete_run().await,
            Job::Delete => self.delete().await,
            Job::Disconnect => self.disconnect().await,
        }
    }

    /// Time between two jobs. All clients together ask for some ten runs a second: fewer than could be done, so that every
    /// run has its share of kills.
    pub(crate) async fn rest(&mut self) {
        self.pause(0, 6000).await;
    }

    /// A tag that no other run has.
    fn tag(&mut self) -> String {
        self.asked += 1;
        format!("c{}r{}", self.number, self.asked)
    }

    fn work(&mut self) -> Work {
        let tag = self.tag();
        Work::draw(&mut self.random, tag)
    }

    /// A thread that is made with its first run.
    fn new_thread(&mut self) -> String {
        self.random.uuid()
    }

    /// Notes that work is about to be asked for on a thread, and gives the body of the request.
    fn thread_body(&self, work: &Work, thread: &str, may_be_cancelled: bool) -> Value {
        self.api.ledger.send(work, Place::Thread(thread.to_owned()), may_be_cancelled);
        let mut body = work.body();
        body["if_not_exists"] = json!("create");
        body["multitask_strategy"] = json!("enqueue");
        body
    }

    /// Asks for a run and notes that it is accepted as soon as that is known; `None` if it never is.
    async fn open(&self, path: &str, body: &Value, tag: &str) -> Option<Response> {
        let response = self.api.open(Method::POST, path, Some(body), None).await?;
        let status = response.status().as_u16();
        match run_of(&response) {
            Some(run) if status == 200 => {
                self.api.ledger.accept(tag, &run);
                Some(response)
            }
            _ => {
                let answer = response.text().await.unwrap_or_default();
                let text = format!("POST {path} was answered {status}: {answer}");
                self.api.ledger.violate(Kind::Server, text);
                None
            }
        }
    }

    /// Asks for a run in the background; its id, if it is known to be accepted.
    async fn create(&self, thread: &str, body: &Value, tag: &str) -> Option<String> {
        let response = self.open(&format!("/threads/{thread}/runs"), body, tag).await?;
        run_of(&response)
    }

    /// Asks until it is answered. 404: it was over or gone before, perhaps by a request whose answer was lost.
    async fn insist_on(&self, method: Method, path: &str) {
        let answer = self.api.insist(method.clone(), path, None).await;
        if !matches!(answer.status, 200..300 | 404) {
            let text = format!("{method} {path} was answered {}: {}", answer.status, answer.body);
            self.api.ledger.violate(Kind::Server, text);
        }
    }

    async fn follow(&mut self, thread: &str, run: &str) -> String {
        self.api.follow(thread, run, &mut self.random).await
    }

    async fn pause(&mut self, least: u64, most: u64) {
        tokio::time::sleep(self.random.millis(least, most)).await;
    }
}
