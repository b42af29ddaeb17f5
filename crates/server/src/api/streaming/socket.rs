//! The event protocol over a WebSocket: commands and events on one connection.
//!
//! Source: reference/event-streaming-v2.md, sections 6.6 and 8.

use std::{sync::Arc, time::Duration};

use agent_server_api::{Context, OPERATIONS, Rejection, RequestId, without_nul};
use axum::{
    Router,
    extract::{
        FromRequestParts as _, Path, Request, State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};

use super::{
    super::Api,
    command::{self, Command, Outcome},
    event::ProtocolEvent,
    feed::{Feed, Next},
    filter::Filter,
    session::{self, Session},
    start,
};
use crate::error::Error;

pub(crate) const PATH: &str = "/threads/{thread_id}/stream/events";

/// How long a client gets to answer that the connection ends. One that still sends would lose what was said last.
const FAREWELL: Duration = Duration::from_secs(5);

/// The route of the connection, which the document cannot describe.
pub(crate) fn websocket(api: Api) -> Router {
    Router::new().route(PATH, get(upgrade).with_state(api))
}

async fn upgrade(State(api): State<Api>, Path(thread): Path<String>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        let mut refusal = Rejection::method_not_allowed().into_response();
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return refusal;
    };
    let operation = OPERATIONS.iter().find(|operation| operation.path == PATH);
    let Some(operation) = operation else { return Rejection::not_found().into_response() };
    let known = parts.extensions.remove::<RequestId>();
    let RequestId(request_id) = known.unwrap_or_else(|| RequestId::from_headers(&parts.headers));
    // Headers of the connection are not those of its commands.
    let cx = Context {
        operation,
        headers: HeaderMap::new(),
        uri: parts.uri,
        request_id,
        extensions: parts.extensions,
    };
    let limit = api.options.max_body_bytes;
    let upgrade = upgrade.max_message_size(limit).max_frame_size(limit);
    upgrade.on_upgrade(move |socket| async move {
        let mut connection = Connection {
            api,
            cx: Arc::new(cx),
            thread,
            socket,
            session: Session::default(),
            started: FuturesUnordered::new(),
        };
        if let Err(Gone) = connection.talk().await {
            tracing::debug!("a client of the event protocol has left");
        }
    })
}

/// Nobody reads any more.
struct Gone;

impl From<axum::Error> for Gone {
    fn from(_: axum::Error) -> Self {
        Self
    }
}

struct Connection {
    api: Api,
    cx: Arc<Context>,
    thread: String,
    socket: WebSocket,
    session: Session,
    /// Commands that start runs, in progress: each comes to its end although the connection may not.
    started: FuturesUnordered<JoinHandle<(Command, Outcome)>>,
}

impl Connection {
    async fn talk(&mut self) -> Result<(), Gone> {
        let mut feed = match self.api.open_feed(&self.cx, &self.thread).await {
            Ok(Some(feed)) => feed,
            Ok(None) | Err(Error::Refused(_)) => return self.close("thread stream ended").await,
            Err(error) => {
                tracing::error!(?error, "the events of a thread could not be read");
                return self.close("thread stream ended").await;
            }
        };
        let stop = self.api.domain.stopping();
        // Before somebody has subscribed nothing is read: the first subscription gets all that is kept.
        let mut reads = false;
        loop {
            tokio::select! {
                message = self.socket.recv() => match message {
                    None => return Ok(()),
                    Some(message) => match message? {
                        Message::Text(text) => {
                            reads |= self.command(text.as_bytes(), &mut feed).await?;
                        }
                        Message::Binary(bytes) => reads |= self.command(&bytes, &mut feed).await?,
                        // Answered by whoever reads on.
                        Message::Close(_) => return self.end().await,
                        Message::Ping(_) | Message::Pong(_) => {}
                    },
                },
                Some(started) = self.started.next(), if !self.started.is_empty() => {
                    if let Ok((command, outcome)) = started {
                        self.answer(&command, &outcome).await?;
                    }
                }
                events = feed.next(), if reads => match events {
                    Ok(Some(events)) => self.send_wanted(events).await?,
                    Ok(None) => return self.close("thread stream ended").await,
                    Err(error) => {
                        tracing::error!(%error, "the events of a thread could not be read");
                        return self.close("thread stream ended").await;
                    }
                },
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Carries out a command; says whether events are read from now on.
    async fn command(&mut self, text: &[u8], feed: &mut Feed) -> Result<bool, Gone> {
        let command = match Command::read(text) {
            Ok(command) => command,
            Err(no_command) => {
                self.send(command::refusal(&no_command)).await?;
                return Ok(false);
            }
        };
        let outcome = match command.method.as_str() {
            "run.start" => {
                self.start(command, None);
                return Ok(false);
            }
            "input.respond" => match start::responses(&command.params) {
                Ok(responses) => match self.session.check_namespaces(&responses) {
                    Ok(()) => {
                        self.start(command, Some(responses));
                        return Ok(false);
                    }
                    Err(failure) => Err(failure),
                },
                Err(failure) => Err(failure),
            },
            "subscription.subscribe" => match session::filter(&command.method, &command.params) {
                Ok(filter) => return self.subscribe(&command, filter, feed).await,
                Err(failure) => Err(failure),
            },
            "subscription.reconnect" => {
                let read = session::filter(&command.method, &command.params).and_then(|filter| {
                    let since = session::since(&command.params)?;
                    match self.session.has_run() {
                        true => Ok(filter.behind(since)),
                        false => Err(session::no_run()),
                    }
                });
                match read {
                    Ok(filter) => return self.subscribe(&command, filter, feed).await,
                    Err(failure) => Err(failure),
                }
            }
            "subscription.unsubscribe" => self.session.unsubscribe(&command.params),
            "agent.getTree" => {
                self.catch_up(feed).await?;
                self.session.tree()
            }
            _ => session::without_connection(&self.api.domain, &command.method, &command.params),
        };
        self.answer(&command, &outcome).await?;
        Ok(false)
    }

    fn start(&self, command: Command, responses: Option<Vec<start::Response>>) {
        let (api, cx, thread) = (self.api.clone(), Arc::clone(&self.cx), self.thread.clone());
        self.started.push(tokio::spawn(async move {
            let outcome = match responses {
                None => api.run_start(&cx, &thread, &command.params).await,
                Some(responses) => {
                    api.input_respond(&cx, &thread, &command.params, responses).await
                }
            };
            (command, outcome)
        }));
    }

    /// Adds a subscription, answers, and then sends it what came before.
    async fn subscribe(
        &mut self,
        command: &Command,
        filter: Filter,
        feed: &mut Feed,
    ) -> Result<bool, Gone> {
        let given = command.params.value("subscription_id");
        let id = match given.as_str().filter(|_| command.method == "subscription.reconnect") {
            Some(id) => id.to_owned(),
            None => self.api.domain.ids().random().to_string(),
        };
        let earlier = self.earlier(feed).await;
        self.session.subscribe(id.clone(), filter.clone());
        let replayed = earlier.into_iter().filter(|event| filter.passes(event));
        let replayed: Vec<_> = replayed.collect();
        let result = json!({"subscription_id": id, "replayed_events": replayed.len()});
        // The answer first: clients drop events of subscriptions that they do not know yet.
        self.answer(command, &Ok(result)).await?;
        for event in replayed {
            self.session.delivered = self.session.delivered.max(event.seq);
            self.send(event.to_json()).await?;
        }
        Ok(true)
    }

    /// What is kept of the thread, up to the last event that the connection has read. The first time that is all there is
    /// by now.
    async fn earlier(&mut self, feed: &mut Feed) -> Vec<ProtocolEvent> {
        if feed.seq() == 0 {
            let events = all(feed, u64::MAX).await;
            for event in &events {
                self.session.see(event);
            }
            return events;
        }
        match self.api.open_feed(&self.cx, &self.thread).await {
            Ok(Some(mut again)) => all(&mut again, feed.seq()).await,
            Ok(None) | Err(_) => vec![],
        }
    }

    /// Reads what is there.
    async fn catch_up(&mut self, feed: &mut Feed) -> Result<(), Gone> {
        let events = all(feed, u64::MAX).await;
        self.send_wanted(events).await
    }

    async fn send_wanted(&mut self, events: Vec<ProtocolEvent>) -> Result<(), Gone> {
        for event in events {
            if self.session.see(&event) {
                self.send(event.to_json()).await?;
            }
        }
        Ok(())
    }

    async fn answer(&mut self, command: &Command, outcome: &Outcome) -> Result<(), Gone> {
        let seq = self.session.delivered;
        self.send(command::answer(&command.id, outcome, Some(seq))).await
    }

    async fn send(&mut self, json: Bytes) -> Result<(), Gone> {
        let text = Utf8Bytes::try_from(without_nul(json)).map_err(|_| Gone)?;
        Ok(self.socket.send(Message::Text(text)).await?)
    }

    async fn close(&mut self, reason: &'static str) -> Result<(), Gone> {
        let frame = CloseFrame { code: close_code::ERROR, reason: reason.into() };
        self.socket.send(Message::Close(Some(frame))).await?;
        let _ = timeout(FAREWELL, self.end()).await;
        Ok(())
    }

    /// Reads until the connection has ended as the protocol has it: what one side says last, the other answers.
    async fn end(&mut self) -> Result<(), Gone> {
        while self.socket.recv().await.transpose()?.is_some() {}
        Ok(())
    }
}

/// Events of a feed without waiting, up to a place.
async fn all(feed: &mut Feed, until: u64) -> Vec<ProtocolEvent> {
    let mut all = vec![];
    while feed.seq() < until
        && let Ok(Next::Events(events)) = feed.look().await
    {
        all.extend(events);
    }
    all.retain(|event| event.seq <= until);
    all
}
