//! Typed client of the Agent Server API, generated from `openapi.json`.
//!
//! ```no_run
//! use agent_server_client::{Client, types, wire::RawJson};
//! use futures::StreamExt;
//!
//! # async fn example() -> Result<(), agent_server_client::Error> {
//! let client = Client::new("http://127.0.0.1:2024")?;
//! let thread = client.create_thread(&types::ThreadCreate::default()).await?;
//! let run = types::RunCreateStreamingStateful {
//!     input: Some(RawJson::from(serde_json::json!({"messages": [{"role": "user", "content": "hello"}]}))),
//!     ..types::RunCreateStreamingStateful::new("agent")
//! };
//! let mut events = client.stream_run(&thread.thread_id, &run).await?;
//! while let Some(event) = events.next().await {
//!     let event = event?;
//!     println!("{} {}", event.name, event.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Three places: [`Client`] has a method for every operation, [`types`] what they take and return, [`RunStream`] the events
//! of a run. Structs with required fields have a `new` that takes them; the others have a default.
//!
//! HTTPS is there as soon as the program that uses this crate depends on `reqwest` with one of its TLS features.
//!
//! Generated are `types`, `params` and the methods (`OUT_DIR/client.rs`, written by `agent-server-codegen`). Hand-written
//! is what does not follow from the document: [`wire`], errors, streams, and how the server is reached.

mod call;
mod client;
mod error;
mod event;
mod request;
mod stream;
pub mod wire;

// Descriptions of the document are Markdown written for readers of the API, not for rustdoc.
#[allow(clippy::all, clippy::pedantic, unreachable_pub, missing_docs, rustdoc::all, dead_code)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use bytes::Bytes;
pub use reqwest::StatusCode;

pub use crate::{
    call::RawResponse,
    client::{Client, ClientBuilder, Reconnect},
    error::Error,
    event::{Event, EventStream},
    generated::{params, types},
    request::Request,
    stream::RunStream,
};

/// The generated client underneath, for those who need status and headers of an answer.
pub mod raw {
    pub use progenitor_client::{ByteStream, Error, ResponseValue};

    pub use crate::generated::Client;
}

#[cfg(test)]
mod tests;
