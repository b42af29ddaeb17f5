//! A whole server in process: real router, real SQLite, a host whose every move the test decides.

mod host;
mod server;

pub(crate) use host::ScriptedHost;
pub(crate) use server::{TestServer, text_of};
