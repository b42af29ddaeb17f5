//! A whole server in process: real router, real SQLite, a host whose every move the test decides.

mod host;
pub(crate) mod server;

pub(crate) use host::ScriptedHost;
pub(crate) use server::TestServer;
