//! Playing one scenario on one server: a request after the other, and what was answered.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method, Response};
use serde_json::{Map, Value, json};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    scenario::{Scenario, Step},
    sse,
};

/// Longest time for one answer, and for what is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Headers that are part of the contract.
const HEADERS: [&str; 10] = [
    "content-type",
    "content-location",
    "location",
    "x-pagination-total",
    "x-pagination-next",
    "allow",
    "cache-control",
    "x-accel-buffering",
    "retry-after",
    "preference-applied",
];

/// What a server answered.
pub(crate) struct Played {
    /// Answers by step: `{status, headers, body}` or `{status, headers, events}`; `null` where there is none to compare.
    pub(crate) answers: Vec<Value>,
    /// What the steps took, by name.
    pub(crate) taken: BTreeMap<String, String>,
    /// Why the scenario could not go on.
    pub(crate) stopped: Option<String>,
}

/// A server to play on.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) url: String,
}

struct Player<'a> {
    stage: &'a Stage,
    played: Played,
    opened: BTreeMap<String, JoinHandle<Result<Value>>>,
}

/// Plays all steps, or those before the first that cannot be done or that is not implemented.
pub(crate) async fn play(stage: &Stage, scenario: &Scenario, tag: &str) -> Played {
    let taken = BTreeMap::from([("tag".to_owned(), tag.to_owned())]);
    let played = Played { answers: vec![], taken, stopped: None };
    let mut player = Player { stage, played, opened: BTreeMap::new() };
    for step in &scenario.steps {
        match player.step(step).await {
            Ok(answer) => {
                let missing = answer["status"] == 501;
                player.played.answers.push(answer);
                if missing {
                    break;
                }
            }
            Err(error) => {
                player.played.stopped = Some(format!("{}: {error:#}", step.label()));
                break;
            }
        }
    }
    for (_, task) in player.opened {
        task.abort();
    }
    player.played
}

impl Player<'_> {
    /// Takes what later steps need from an answer, and what is to be compared: nothing of a silent one.
    fn taken_from(&mut self, step: &Step, answer: Value) -> Result<Value> {
        let compared = if step.silent && answer["status"] != 501 {
            Value::Null
        } else {
            self.without_address(&answer)
        };
        if let Err(error) = self.take(step, &answer) {
            // What cannot be gone on with is compared nevertheless.
            self.played.answers.push(compared);
            return Err(error);
        }
        Ok(compared)
    }

    async fn step(&mut self, step: &Step) -> Result<Value> {
        if step.pause > 0.0 {
            sleep(Duration::from_secs_f64(step.pause)).await;
        }
        if let Some(name) = &step.finish {
            let task = self.opened.remove(name).with_context(|| format!("{name} is not open"))?;
            let answer = timeout(LIMIT, task).await.context("no end")???;
            return self.taken_from(step, answer);
        }
        let request = self.request(step)?;
        if let Some(name) = &step.open {
            let (tell, told) = oneshot::channel();
            let (client, step_read) = (self.stage.client.clone(), step.clone());
            let task = tokio::spawn(async move {
                let response = client.execute(request).await?;
                let _ = tell.send(head(&response));
                read(response, &step_read).await
            });
            self.opened.insert(name.clone(), task);
            let head = timeout(LIMIT, told).await.context("no answer")??;
            return self.taken_from(&Step { silent: true, ..step.clone() }, head);
        }
        let since = Instant::now();
        loop {
            let again = request.try_clone().context("a body that cannot be sent twice")?;
            let answer = async { read(self.stage.client.execute(again).await?, step).await };
            let answer = timeout(LIMIT, answer).await.context("no end")??;
            let there = |(pointer, value): (&String, &Value)| {
                answer["body"].pointer(pointer) == Some(value)
            };
            let missing = answer["status"] == 501;
            if missing || step.until.iter().all(there) {
                return self.taken_from(step, answer);
            }
            if since.elapsed() > LIMIT {
                bail!("{:?} did not come: {answer}", step.until);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn request(&mut self, step: &Step) -> Result<reqwest::Request> {
        let (method, path) = step.call.split_once(' ').context("no method")?;
        let url = format!("{}{}", self.stage.url, self.fill(path)?);
        let mut request = self.stage.client.request(Method::from_bytes(method.as_bytes())?, url);
        if let Some(body) = &step.body {
            request = request.json(&self.fill_value(body)?);
        }
        if let Some(text) = &step.text {
            request = request.header("content-type", "application/json").body(text.clone());
        }
        for (name, value) in &step.headers {
            request = request.header(name, self.fill(value)?);
        }
        Ok(request.build()?)
    }

    /// Puts what was taken in place of `{name}`. Braces around anything but a name are left alone.
    fn fill(&mut self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let name = after.split_once('}').filter(|(name, _)| {
                let part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_');
                !name.is_empty() && name.bytes().all(part)
            });
            let Some((name, after)) = name else {
                filled.push('{');
                rest = after;
                continue;
            };
            if name.starts_with("new.") && !self.played.taken.contains_key(name) {
                #[expect(clippy::disallowed_methods, reason = "ids of a client")]
                let fresh = uuid::Uuid::new_v4().to_string();
                self.played.taken.insert(name.to_owned(), fresh);
            }
            let value = self.played.taken.get(name);
            filled.push_str(value.with_context(|| format!("nothing was taken as {name}"))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn fill_value(&mut self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => self.fill(text)?.into(),
            Value::Array(items) => {
                items.iter().map(|item| self.fill_value(item)).collect::<Result<_>>()?
            }
            Value::Object(members) => {
                let mut filled = Map::new();
                for (name, member) in members {
                    filled.insert(self.fill(name)?, self.fill_value(member)?);
                }
                filled.into()
            }
            other => other.clone(),
        })
    }

    /// Where a server listens is not compared.
    fn without_address(&self, answer: &Value) -> Value {
        let named = answer.to_string().replace(&self.stage.url, "<server>");
        serde_json::from_str(&named).expect("what was JSON still is")
    }

    fn take(&mut self, step: &Step, answer: &Value) -> Result<()> {
        if answer["status"] == 501 {
            return Ok(());
        }
        for (name, place) in &step.take {
            let value = match place.strip_prefix("header:") {
                Some(place) => {
                    let (header, segment) = place.split_once('/').context("no segment")?;
                    let path = answer["headers"][header].as_str().unwrap_or_default();
                    path.split('/').nth(segment.parse()?).map(str::to_owned)
                }
                None => {
                    let body = answer.get("events").unwrap_or(&answer["body"]);
                    body.pointer(place).and_then(Value::as_str).map(str::to_owned)
                }
            };
            let value = value.with_context(|| format!("nothing at {place} to take in {answer}"))?;
            self.played.taken.insert(name.clone(), value);
        }
        Ok(())
    }
}

fn head(response: &Response) -> Value {
    let mut headers = Map::new();
    for name in HEADERS {
        if let Some(value) = response.headers().get(name) {
            headers.insert(name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into());
        }
    }
    json!({"status": response.status().as_u16(), "headers": headers})
}

async fn read(response: Response, step: &Step) -> Result<Value> {
    let mut answer = head(&response);
    let is_stream = answer["headers"]["content-type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    if step.stream && is_stream {
        answer["events"] = events(response, step.events).await?.into();
    } else {
        let body = response.bytes().await?;
        answer["body"] = match serde_json::from_slice(&body) {
            Ok(json) => json,
            Err(_) => json!({"text": String::from_utf8_lossy(&body)}),
        };
    }
    Ok(answer)
}

async fn events(mut response: Response, most: Option<usize>) -> Result<Vec<Value>> {
    let mut events = vec![];
    let mut buffer = vec![];
    while let Some(bytes) = response.chunk().await? {
        buffer.extend_from_slice(&bytes);
        while let Some(event) = sse::take(&mut buffer)? {
            if !event.is_null() {
                events.push(event);
            }
            if Some(events.len()) == most {
                return Ok(events);
            }
        }
    }
    if !buffer.is_empty() {
        bail!("the stream ends in the middle of an event: {}", String::from_utf8_lossy(&buffer));
    }
    Ok(events)
}
