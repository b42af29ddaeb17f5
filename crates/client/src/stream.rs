//! Event streams that survive a broken connection.
//!
//! What is remembered: where the stream can be taken up (`Location` for a run that the call created, the call's own
//! address otherwise) and the id of the last event. When the connection breaks, or ends although the run has not, the
//! stream is opened again with `Last-Event-ID`. Runs that were not created with `stream_resumable` have no ids: events that
//! happened in between are lost for them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use reqwest::{
    Method, Url,
    header::{CONTENT_LOCATION, HeaderMap, HeaderName, LOCATION},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Client, Error, Event, EventStream,
    call::{self, Call},
    client::Reconnect,
};

/// The events of a run, or of all runs of a thread.
///
/// A stream of a run ends when the run does; the outcome is among the events, or is read with
/// [`Client::get_run`]. A stream of a thread does not end. After an error the stream is over.
pub struct RunStream {
    thread_id: Option<Uuid>,
    run_id: Option<Uuid>,
    events: BoxStream<'static, Result<Event, Error>>,
}

impl RunStream {
    /// Makes the call and returns its events.
    pub(crate) async fn open(client: &Client, call: Call) -> Result<Self, Error> {
        let by_location = call.method != Method::GET;
        let (own_url, last_id) = (call.url(client)?, call.last_event_id.clone());
        let response = call.send(client).await?;
        let resume_url = if by_location {
            located(client, response.headers(), &LOCATION)
        } else {
            Some(own_url)
        };
        let run_url = located(client, response.headers(), &CONTENT_LOCATION);
        let address = run_url.as_ref().or(resume_url.as_ref());
        let (thread_id, run_id) = match address {
            Some(url) => (segment_behind(url, "threads"), segment_behind(url, "runs")),
            None => (None, None),
        };
        let connection = Connection {
            client: client.clone(),
            events: Some(EventStream::new(response.bytes_stream())),
            resume_url,
            last_id,
            attempts: 0,
            finished: false,
        };
        Ok(Self { thread_id, run_id, events: connection.into_events().boxed() })
    }

    /// The thread, where the server names one.
    pub fn thread_id(&self) -> Option<Uuid> {
        self.thread_id
    }

    /// The run, known before the first event arrives.
    pub fn run_id(&self) -> Option<Uuid> {
        self.run_id
    }
}

impl Stream for RunStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

/// The current connection and what is needed to make the next one.
struct Connection {
    client: Client,
    /// `None` between two connections.
    events: Option<EventStream>,
    resume_url: Option<Url>,
    last_id: Option<String>,
    /// Attempts to reconnect since the last event.
    attempts: u32,
    /// An event said that nothing else follows, or an error was handed out.
    finished: bool,
}

impl Connection {
    fn into_events(self) -> impl Stream<Item = Result<Event, Error>> + Send {
        futures::stream::unfold(self, |mut connection| async move {
            let event = connection.next().await?;
            connection.finished |= event.is_err();
            Some((event, connection))
        })
    }

    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            let cause = match self.events.as_mut() {
                None => None,
                Some(events) => match events.next().await {
                    Some(Ok(event)) if event.is_end() => return None,
                    Some(Ok(event)) => return Some(Ok(self.note(event))),
                    _ if self.finished => return None,
                    Some(Err(error)) if error.is_transient() => Some(error),
                    Some(Err(error)) => return Some(Err(error)),
                    None if has_ended(&self.client, self.resume_url.as_ref()).await => return None,
                    None => None,
                },
            };
            if self.finished {
                return None;
            }
            self.events = None;
            match self.reopen(cause).await {
                Ok(events) => self.events = Some(events),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn note(&mut self, event: Event) -> Event {
        self.attempts = 0;
        self.finished = event.is_error();
        if event.id.is_some() {
            self.last_id.clone_from(&event.id);
        }
        event
    }

    async fn reopen(&mut self, mut cause: Option<Error>) -> Result<EventStream, Error> {
        let policy = self.client.reconnect;
        let lost = |attempts, cause: Option<Error>| Error::Disconnected {
            attempts,
            source: cause.map(Box::new),
        };
        let Some(url) = self.resume_url.clone() else { return Err(lost(0, cause)) };
        while self.attempts < policy.attempts {
            tokio::time::sleep(delay(policy, self.attempts)).await;
            self.attempts += 1;
            match call::open(self.client.http.get(url.clone()), self.last_id.as_deref()).await {
                Ok(response) => return Ok(EventStream::new(response.bytes_stream())),
                Err(error) if error.is_transient() => cause = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(lost(self.attempts, cause))
    }
}

/// Whether a connection that the server closed was the end of the run. Without a run to ask for, closing is the end, except
/// for threads, whose streams have none.
async fn has_ended(client: &Client, resume_url: Option<&Url>) -> bool {
    #[derive(Deserialize)]
    struct Run {
        status: String,
    }
    let Some(url) = resume_url else { return true };
    let Some(run_url) = run_url(url) else { return false };
    let answer = async {
        let response = client.http.get(run_url).send().await?;
        if !response.status().is_success() {
            return Err(Error::from_response(response).await);
        }
        let body = response.bytes().await?;
        serde_json::from_slice::<Run>(&body).map_err(|error| Error::decode(error, body))
    };
    match answer.await {
        Ok(run) => !matches!(run.status.as_str(), "pending" | "running"),
        // A run that cannot be found has been deleted after its end, as runs without a thread are.
        Err(error) => !error.is_transient(),
    }
}

/// Pause before an attempt: doubled each time, limited, plus a random part of up to a quarter.
fn delay(policy: Reconnect, attempt: u32) -> Duration {
    let pause =
        policy.first_delay.saturating_mul(2u32.saturating_pow(attempt)).min(policy.max_delay);
    // Every `RandomState` has keys of its own, which is all the randomness that is needed here.
    let random = RandomState::new().build_hasher().finish() % 1_000;
    pause + pause.mul_f64(random as f64 / 4_000.0)
}

/// The address in a header of the answer: a path of this server, or an address of the same origin. Anything else is not
/// followed, since the key would go there.
fn located(client: &Client, headers: &HeaderMap, name: &HeaderName) -> Option<Url> {
    let text = headers.get(name)?.to_str().ok()?;
    if text.starts_with('/') && !text.starts_with("//") {
        return client.url(text).ok();
    }
    Url::parse(text).ok().filter(|url| url.origin() == client.base_url.origin())
}

/// Address of the run whose events are at `…/runs/{run_id}/stream`.
fn run_url(stream_url: &Url) -> Option<Url> {
    let path = stream_url.path().strip_suffix("/stream")?;
    segment_behind(stream_url, "runs")?;
    let mut url = stream_url.clone();
    url.set_path(path);
    url.set_query(None);
    Some(url)
}

/// The id in the path behind a collection.
fn segment_behind(url: &Url, collection: &str) -> Option<Uuid> {
    let mut segments = url.path_segments()?.skip_while(|segment| *segment != collection);
    segments.nth(1)?.parse().ok()
}
