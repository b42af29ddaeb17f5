//! A load client that costs next to nothing: one connection, prepared bytes out, answers counted.
//!
//! On a machine where server and client share the cores, a comfortable client would be measured instead of the server.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// One keep-alive connection.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, its body complete.
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}: not JSON", self.status))
    }
}

struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
    request_with(method, path, &[], body)
}

/// The bytes of a request with headers.
pub(crate) fn request_with(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: Option<&str>,
) -> Vec<u8> {
    let body = body.unwrap_or("");
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a prepared request and reads the whole answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let mut body = vec![];
        let head = self.read(|bytes| body.extend_from_slice(bytes)).await?;
        if head.close {
            *self = Self::open(self.address).await?;
        }
        Ok(Answer { status: head.status, body })
    }

    /// Sends a request and hands each piece of the body over as it comes.
    pub(crate) async fn stream(
        &mut self,
        request: &[u8],
        on_bytes: impl FnMut(&[u8]),
    ) -> Result<u16> {
        self.stream.write_all(request).await?;
        let head = self.read(on_bytes).await?;
        if head.close {
            *self = Self::open(self.address).await?;
        }
        Ok(head.status)
    }

    /// Sends a request and reads the head of the answer, whose body is left to come.
    pub(crate) async fn begin(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        Ok(self.head().await?.status)
    }

    async fn fill(&mut self) -> Result<usize> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        Ok(read)
    }

    async fn head(&mut self) -> Result<Head> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 48];
            let mut response = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(size) = response.parse(&self.buffer)? {
                let mut head = Head {
                    status: response.code.unwrap_or(0),
                    length: None,
                    chunked: false,
                    close: false,
                };
                for header in response.headers.iter() {
                    let value = std::str::from_utf8(header.value).unwrap_or("");
                    match header.name.to_ascii_lowercase().as_str() {
                        "content-length" => head.length = value.parse().ok(),
                        "transfer-encoding" => head.chunked = value.contains("chunked"),
                        "connection" => head.close = value.eq_ignore_ascii_case("close"),
                        _ => {}
                    }
                }
                self.buffer.drain(..size);
                return Ok(head);
            }
            if self.fill().await? == 0 {
                bail!("the server closed the connection before it answered");
            }
        }
    }

    async fn read(&mut self, mut on_bytes: impl FnMut(&[u8])) -> Result<Head> {
        let mut head = self.head().await?;
        if head.chunked {
            self.chunks(on_bytes).await?;
            return Ok(head);
        }
        let Some(mut left) = head.length.or((head.status == 204).then_some(0)) else {
            // Neither length nor chunks: the body ends with the connection.
            loop {
                on_bytes(&self.buffer);
                self.buffer.clear();
                if self.fill().await? == 0 {
                    head.close = true;
                    return Ok(head);
                }
            }
        };
        while left > 0 {
            let now = left.min(self.buffer.len());
            on_bytes(&self.buffer[..now]);
            self.buffer.drain(..now);
            left -= now;
            if left > 0 && self.fill().await? == 0 {
                bail!("the server closed the connection in the middle of an answer");
            }
        }
        Ok(head)
    }

    async fn chunks(&mut self, mut on_bytes: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let (start, size) = loop {
                if let Ok(httparse::Status::Complete(found)) =
                    httparse::parse_chunk_size(&self.buffer)
                {
                    break found;
                }
                if self.fill().await? == 0 {
                    bail!("the server closed the connection in the middle of an answer");
                }
            };
            let size = usize::try_from(size)?;
            while self.buffer.len() < start + size + 2 {
                if self.fill().await? == 0 {
                    bail!("the server closed the connection in the middle of an answer");
                }
            }
            on_bytes(&self.buffer[start..start + size]);
            self.buffer.drain(..start + size + 2);
            if size == 0 {
                return Ok(());
            }
        }
    }
}
