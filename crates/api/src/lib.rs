//! Server half of the API, generated from `openapi.json`.
//!
//! For each operation of the document there is an entry in [`OPERATIONS`] and a method in the trait of its tag, with
//! typed path, query and body and an enum of the documented answers. A type that implements all traits is served by
//! [`router`]. A method that is missing does not compile; a request that does not follow the document does not arrive.
//!
//! Generated are tables, traits and the lines that connect them (`OUT_DIR/api.rs`, written by `agent-server-codegen`).
//! Hand-written is all that works alike for every operation: start with [`routes`](crate::Options) for routing,
//! `extract` for parameters, `validate` for bodies and `reply` for answers. What belongs to one operation only has no
//! place here.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod body;
mod context;
mod extract;
mod nul;
mod operation;
mod rejection;
mod reply;
mod reserved;
mod routes;
mod schema;
mod split;
mod validate;

use std::sync::LazyLock;

use axum::response::IntoResponse;
use serde_json::Value;

pub use agent_server_client::types;

pub use crate::body::Body;
pub use crate::context::{Context, RequestId};
pub use crate::extract::{listed, parse_uuid};
pub use crate::nul::without_nul;
pub use crate::operation::{
    Location, Operation, Parameter, RequestBody, ResponseSchema, ResponseSpec,
};
pub use crate::rejection::Rejection;
pub use crate::reply::{Empty, Raw, Reply};
pub use crate::routes::Options;

// Descriptions of the document are Markdown written for readers of the API, not for rustdoc.
#[allow(rustdoc::all, clippy::doc_lazy_continuation)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/api.rs"));
}

pub use crate::generated::*;

/// The document as written.
pub const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json"));

/// The document, parsed once and kept, which takes megabytes; a server does without.
pub fn document() -> &'static Value {
    static PARSED: LazyLock<Value> = LazyLock::new(parse_document);
    &PARSED
}

/// The document, parsed for the caller alone.
pub fn parse_document() -> Value {
    serde_json::from_str(DOCUMENT).expect("the build script parsed the same text")
}

/// What the traits of all tags need from the type that implements them.
///
/// It is cloned for every request, so it should be a handle.
pub trait Service: Clone + Send + Sync + 'static {
    /// Failure of a handler. Requests refused by the generated layer arrive here as [`Rejection`]s, so that all errors
    /// leave the server in one form.
    type Error: IntoResponse + From<Rejection> + Send;
}

#[cfg(test)]
mod tests;
