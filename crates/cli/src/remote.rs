//! A running server that a command asks: its address, and the key that it wants.

use agent_server_client::{Client, ClientBuilder};
use clap::Args;

use crate::env::{self, Env};

/// Variables that hold the key of a client, as the SDKs read them: the first that is set counts. Our own is before them.
const KEYS: [&str; 3] = ["LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"];

/// A running server.
#[derive(Args, Clone, Debug)]
pub(crate) struct Remote {
    /// Address of the server
    // The default is where `agent-server dev` puts it.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:2024",
        env = "AGENT_SERVER_URL"
    )]
    url: String,
    /// Key that the server asks for; LANGGRAPH_API_KEY and LANGSMITH_API_KEY are read after our own variable
    #[arg(
        id = "api-key",
        long,
        value_name = "KEY",
        env = "AGENT_SERVER_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
}

impl Remote {
    /// A client of the server, to be added to.
    pub(crate) fn client(&self) -> ClientBuilder {
        let mut builder = Client::builder(&self.url);
        if let Some(key) = self.key(&Env::of_process()) {
            builder = builder.api_key(key);
        }
        builder
    }

    fn key<'a>(&'a self, env: &'a Env) -> Option<&'a str> {
        let of_sdks = || KEYS.into_iter().find_map(|name| env.get(name)).map(env::unquoted);
        // A variable that is set to nothing is not set.
        self.api_key.as_deref().filter(|key| !key.is_empty()).or_else(of_sdks)
    }
}
