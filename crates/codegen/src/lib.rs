//! OpenAPI document in, Rust text out: the generator behind the root build script and `cargo xtask`.
//!
//! Pure: text in, text out. [`client`] lowers the 3.1 document ([`lower`]) to the subset that progenitor accepts and calls
//! it; `api` generates the server half from the document as it is. [`build_main`] is what the build script calls. For
//! people who change the document there are [`Document::validate`], [`Document::format`] and [`Document::diff`].

mod api;
mod build;
pub mod client;
#[cfg(feature = "conformance")]
mod conformance;
pub mod diff;
mod document;
mod error;
pub mod lower;
pub mod names;

use serde_json::Value;

pub use build::build_main;
#[cfg(feature = "conformance")]
pub use conformance::conformance;
pub use document::{Document, read_document};
pub use error::Error;

/// Text of the client crate's generated module.
///
/// # Errors
/// The document has something that no rule covers, or progenitor refuses it.
pub fn generate_client(document: &Value) -> Result<String, Error> {
    client::generate(document)
}

/// Text of the api crate's generated module.
///
/// # Errors
/// The document has something that the generator does not understand.
pub fn generate_api(document: &Value) -> Result<String, Error> {
    api::api(document)
}
