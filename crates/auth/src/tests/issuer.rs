//! An issuer: publishes its configuration and its keys on a port of this machine, and counts who asks.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// What the issuer answers.
#[derive(Default)]
pub(super) struct Answers {
    /// Its keys.
    pub(super) keys: Vec<Value>,
    /// Whom its configuration describes; its own address if empty.
    pub(super) name: String,
    /// A status line instead of any answer.
    pub(super) instead: Option<&'static str>,
}

pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) answers: Arc<Mutex<Answers>>,
    asked: watch::Receiver<u32>,
    _server: AbortOnDropHandle<()>,
}

impl Issuer {
    pub(super) async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Answers { keys, ..Answers::default() }));
        let (count, asked) = watch::channel(0);
        let server = serve(listener, url.clone(), Arc::clone(&answers), count);
        Self { url, answers, asked, _server: AbortOnDropHandle::new(tokio::spawn(server)) }
    }

    pub(super) fn keys_url(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// How often the keys were asked for.
    pub(super) fn asked(&self) -> u32 {
        *self.asked.borrow()
    }

    /// Returns once the keys were asked for that often.
    pub(super) async fn asked_at_least(&self, times: u32) {
        self.asked.clone().wait_for(|asked| *asked >= times).await.unwrap();
    }
}

async fn serve(
    listener: TcpListener,
    url: String,
    answers: Arc<Mutex<Answers>>,
    count: watch::Sender<u32>,
) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let path = path(&mut socket).await;
        let (status, body) = {
            let answers = answers.lock();
            let name = if answers.name.is_empty() { &url } else { &answers.name };
            match (answers.instead, path.as_str()) {
                (Some(status), _) => (status, json!({})),
                (None, "/keys") => ("200 OK", json!({"keys": answers.keys})),
                (None, "/.well-known/openid-configuration") => {
                    ("200 OK", json!({"issuer": name, "jwks_uri": format!("{url}/keys")}))
                }
                _ => ("404 Not Found", json!({})),
            }
        };
        if path == "/keys" {
            count.send_modify(|count| *count += 1);
        }
        let body = body.to_string();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {url}/keys\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn path(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "half a request");
    }
    String::from_utf8(bytes).unwrap().split(' ').nth(1).unwrap().to_owned()
}
