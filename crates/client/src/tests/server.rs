//! A server that answers one request per connection, in the order of its script.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// How a body ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// As it should.
    Clean,
    /// In the middle of a chunk, as when the connection breaks.
    Broken,
}

/// An answer with these header lines.
pub(super) fn answer(status: &str, headers: &[&str], body: &str, end: End) -> String {
    let mut text =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n");
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str("\r\n");
    if !body.is_empty() {
        text.push_str(&format!("{:x}\r\n{body}\r\n", body.len()));
    }
    if let End::Clean = end {
        text.push_str("0\r\n\r\n");
    }
    text
}

pub(super) fn json(status: &str, body: &str) -> String {
    answer(status, &["content-type: application/json"], body, End::Clean)
}

pub(super) fn empty(status: &str) -> String {
    answer(status, &[], "", End::Clean)
}

pub(super) fn events(headers: &[&str], body: &str, end: End) -> String {
    let headers = [&["content-type: text/event-stream; charset=utf-8"], headers].concat();
    answer("200 OK", &headers, body, end)
}

/// A server that is running its script.
pub(super) struct Server {
    pub(super) base_url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Server {
    pub(super) async fn start(script: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = tokio::spawn(async move {
            let mut requests = vec![];
            for answer in script {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                requests.push(read_request(&mut socket).await);
                socket.write_all(answer.as_bytes()).await.expect("the client reads");
            }
            requests
        });
        Self { base_url, requests }
    }

    /// The requests that were made, once the script is over.
    pub(super) async fn requests(self) -> Vec<String> {
        self.requests.await.expect("the script was followed")
    }
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = vec![];
    loop {
        socket.read_buf(&mut bytes).await.expect("a request");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
            return text;
        }
    }
}
