//! The rules of the Agent Server: no HTTP, no SQL, no processes, no clock of its own.
//!
//! [`Domain`] is the one handle that the server sees; a module per resource adds its verbs to it. What the domain needs
//! from outside is in [`ports`].

mod error;
pub mod ports;

pub use agent_server_storage as storage;
pub use error::{Error, Result};
