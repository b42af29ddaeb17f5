//! Event streams over connections that break.

use futures::{StreamExt, TryStreamExt};

use super::{
    RUN, THREAD, client, id,
    server::{End, Server, empty, events, json},
};
use crate::{Error, Event, RunStream, StatusCode, params, types};

/// Header lines that name the run.
fn located() -> [String; 2] {
    [
        format!("location: /threads/{THREAD}/runs/{RUN}/stream"),
        format!("content-location: /threads/{THREAD}/runs/{RUN}"),
    ]
}

fn part(body: &str, end: End) -> String {
    let headers = located();
    events(&[&headers[0], &headers[1]], body, end)
}

fn status(status: &str) -> String {
    json("200 OK", &format!(r#"{{"status":"{status}"}}"#))
}

async fn stream(server: &Server) -> RunStream {
    let body = types::RunCreateStreamingStateful::new("agent");
    client(&server.base_url).stream_run(&id(THREAD), &body).await.expect("a stream")
}

async fn names(stream: RunStream) -> Result<Vec<String>, Error> {
    stream.map_ok(|event| event.name).try_collect().await
}

/// First line and id of the last event of each request.
async fn seen(server: Server) -> Vec<(String, Option<String>)> {
    let requests = server.requests().await;
    let last_id = |text: &String| {
        text.lines().find_map(|line| line.strip_prefix("last-event-id: ")).map(str::to_owned)
    };
    let first_line = |text: &String| {
        text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned()
    };
    requests.iter().map(|text| (first_line(text), last_id(text))).collect()
}

fn at(path: &str) -> String {
    format!("GET /threads/{THREAD}/runs/{RUN}{path}")
}

#[tokio::test]
async fn the_run_is_known_before_the_first_event() {
    let server = Server::start(vec![part("event: end\n\n", End::Clean)]).await;
    let stream = stream(&server).await;
    assert_eq!((stream.thread_id(), stream.run_id()), (Some(id(THREAD)), Some(id(RUN))));
    assert!(names(stream).await.expect("the end").is_empty());
    let requests = server.requests().await;
    assert!(requests[0].contains("accept: text/event-stream\r\n"));
    assert!(requests[0].ends_with(r#"{"assistant_id":"agent"}"#));
}

#[tokio::test]
async fn a_broken_stream_goes_on_behind_its_last_event() {
    let server = Server::start(vec![
        part("event: values\ndata: 1\nid: 7-0\n\nevent: val", End::Broken),
        empty("503 Service Unavailable"),
        part("event: values\ndata: 2\nid: 7-1\n\n", End::Broken),
        part("event: values\ndata: 3\nid: 7-2\n\n", End::Clean),
        status("success"),
    ])
    .await;
    let events: Vec<Event> = stream(&server).await.try_collect().await.expect("three events");
    assert_eq!(events.iter().map(|event| event.data.get()).collect::<Vec<_>>(), ["1", "2", "3"]);
    let expected = [
        (format!("POST /threads/{THREAD}/runs/stream"), None),
        (at("/stream"), Some("7-0".to_owned())),
        (at("/stream"), Some("7-0".to_owned())),
        (at("/stream"), Some("7-1".to_owned())),
        (at(""), None),
    ];
    assert_eq!(seen(server).await, expected);
}

#[tokio::test]
async fn a_stream_closed_before_the_run_has_ended_goes_on() {
    let server = Server::start(vec![
        part("event: values\ndata: 1\n\n", End::Clean),
        status("running"),
        part("event: values\ndata: 2\n\n", End::Clean),
        json("404 Not Found", r#"{"detail":"Run not found"}"#),
    ])
    .await;
    assert_eq!(names(stream(&server).await).await.expect("two events").len(), 2);
    let lines: Vec<_> = seen(server).await.into_iter().map(|(line, _)| line).skip(1).collect();
    assert_eq!(lines, [at(""), at("/stream"), at("")]);
}

#[tokio::test]
async fn an_error_event_is_the_last_one() {
    let server = Server::start(vec![part(
        "event: error\ndata: {\"error\":\"ValueError\"}\n\n",
        End::Broken,
    )])
    .await;
    assert_eq!(names(stream(&server).await).await.expect("one event"), ["error"]);
}

#[tokio::test]
async fn attempts_are_counted_since_the_last_event() {
    let broken = || part("", End::Broken);
    let server = Server::start(vec![
        part("event: values\ndata: 1\n\n", End::Broken),
        broken(),
        broken(),
        part("event: values\ndata: 2\n\n", End::Broken),
        broken(),
        broken(),
        broken(),
    ])
    .await;
    let mut stream = stream(&server).await;
    assert!(stream.next().await.is_some_and(|event| event.is_ok()));
    assert!(stream.next().await.is_some_and(|event| event.is_ok()));
    let error = stream.next().await.expect("an end").expect_err("lost");
    assert!(matches!(&error, Error::Disconnected { attempts: 3, source: Some(_) }), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_refusal_to_go_on_is_final() {
    let server =
        Server::start(vec![part("", End::Broken), json("404 Not Found", r#"{"detail":"gone"}"#)])
            .await;
    let error = names(stream(&server).await).await.expect_err("a refusal");
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn other_servers_are_not_followed() {
    let location = format!("location: http://elsewhere.invalid/threads/{THREAD}/runs/{RUN}/stream");
    let server = Server::start(vec![events(&[&location], "", End::Broken)]).await;
    let error = names(stream(&server).await).await.expect_err("lost");
    assert!(matches!(error, Error::Disconnected { attempts: 0, source: Some(_) }));
}

#[tokio::test]
async fn a_joined_stream_goes_on_with_its_own_parameters() {
    let server = Server::start(vec![
        part("event: updates\ndata: 1\nid: 9-0\n\n", End::Broken),
        part("event: end\ndata: null\n\n", End::Clean),
    ])
    .await;
    let params = params::JoinRunStream {
        stream_mode: Some(vec!["values".to_owned(), "updates".to_owned()]),
        last_event_id: Some("-1".to_owned()),
        ..Default::default()
    };
    let stream = client(&server.base_url).join_run_stream_with(&id(THREAD), &id(RUN), params).await;
    assert_eq!(names(stream.expect("a stream")).await.expect("one event"), ["updates"]);
    let line = at("/stream?stream_mode=%5B%22values%22%2C%22updates%22%5D");
    let expected = [(line.clone(), Some("-1".to_owned())), (line, Some("9-0".to_owned()))];
    assert_eq!(seen(server).await, expected);
}

#[tokio::test]
async fn the_stream_of_a_thread_has_no_end() {
    let server = Server::start(vec![
        events(&[], "event: metadata\ndata: {}\nid: 1-0\n\n", End::Clean),
        events(&[], "event: metadata\ndata: {}\nid: 1-1\n\n", End::Clean),
    ])
    .await;
    let params = params::JoinThreadStream {
        stream_modes: Some(vec!["lifecycle".to_owned(), "run_modes".to_owned()]),
        ..Default::default()
    };
    let mut stream = client(&server.base_url)
        .join_thread_stream_with(&id(THREAD), params)
        .await
        .expect("a stream");
    assert_eq!((stream.thread_id(), stream.run_id()), (Some(id(THREAD)), None));
    for expected in ["1-0", "1-1"] {
        let event = stream.next().await.expect("an event").expect("an event");
        assert_eq!(event.id.as_deref(), Some(expected));
    }
    let line = format!("GET /threads/{THREAD}/stream?stream_modes=lifecycle%2Crun_modes");
    assert_eq!(seen(server).await, [(line.clone(), None), (line, Some("1-0".to_owned()))]);
}

#[tokio::test]
async fn what_is_no_event_stream_is_refused() {
    let server =
        Server::start(vec![json("200 OK", "{}"), json("409 Conflict", r#"{"detail":"busy"}"#)])
            .await;
    let body = types::RunCreateStreamingStateless::new("agent");
    let client = client(&server.base_url);
    let error = client.stream_stateless_run(&body).await.map(drop).expect_err("no stream");
    assert!(matches!(error, Error::Decode { .. }));
    let error = client.stream_stateless_run(&body).await.map(drop).expect_err("a refusal");
    assert_eq!(error.detail(), Some("busy"));
}
