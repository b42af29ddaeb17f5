//! A whole server in process: real router, real SQLite, a host whose every move the test decides.

mod host;
mod server;

pub(crate) use host::ScriptedHost;
#[expect(clippy::allow_attributes, reason = "not every test binary reads texts")]
#[allow(unused_imports)]
pub(crate) use server::{TestServer, text_of};
