//! Typed client of the Agent Server API, generated from openapi.json.

mod generated {
    #![allow(clippy::all, clippy::pedantic, unreachable_pub, missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}
pub mod wire;

pub use generated::{Client, Error, types};
