//! The client against a server that follows a script.

mod calls;
mod examples;
mod server;
mod streams;

use std::time::Duration;

use crate::{Client, Reconnect};

const THREAD: &str = "7f3c2b1e-5d48-4b0a-9c6d-2f1e8a7b6c50";
const RUN: &str = "01a20971-596e-76d8-a016-ae04fc089e78";

/// A client that does not wait between attempts.
fn client(base_url: &str) -> Client {
    let reconnect =
        Reconnect { attempts: 3, first_delay: Duration::ZERO, max_delay: Duration::ZERO };
    Client::builder(base_url).api_key("secret").reconnect(reconnect).build().expect("a client")
}

fn id(text: &str) -> uuid::Uuid {
    text.parse().expect("a UUID")
}
