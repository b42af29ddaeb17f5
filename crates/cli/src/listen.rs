//! Choosing the port.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, lookup_host};

use crate::{
    config::http::Http,
    refusal::{Refusal, Result},
};

/// How many ports after the default one are tried before any free one is taken.
const NEIGHBOURS: u16 = 100;

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The listener.
    pub(crate) listener: TcpListener,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The default port, if it was taken and another one had to be.
    pub(crate) instead_of: Option<u16>,
}

/// Binds the address of the settings. A port that was asked for is taken or refused; the default one is only a wish, so
/// that two projects can be served at a time.
///
/// Errors: a refusal if the address cannot be had.
pub(crate) async fn bind(http: &Http) -> Result<Bound> {
    let asked = http.port.unwrap_or(http.default_port);
    let mut instead_of = None;
    let listener = match try_bind(&http.host, asked).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && http.port.is_none() => {
            instead_of = Some(asked);
            next_free(&http.host, asked).await
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| {
        let place = format!("{}:{asked}", http.host);
        Refusal::usage(match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("{place} is in use; choose another port with --port")
            }
            _ => format!("cannot listen on {place}: {error}"),
        })
    })?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address, instead_of })
}

async fn try_bind(host: &str, port: u16) -> io::Result<TcpListener> {
    // Host names have several addresses; the first one decides, so that "in use" is not hidden by the next family.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = lookup_host((host, port))
        .await?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    TcpListener::bind(address).await
}

async fn next_free(host: &str, taken: u16) -> io::Result<TcpListener> {
    for port in taken.saturating_add(1)..=taken.saturating_add(NEIGHBOURS) {
        match try_bind(host, port).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    try_bind(host, 0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(port: Option<u16>, default_port: u16) -> Http {
        Http {
            host: "127.0.0.1".into(),
            port,
            default_port,
            max_body_bytes: 1,
            patience: None,
            metric_prefix: String::new(),
            configurable_headers: agent_server_server::HeaderRules::default(),
            cors: agent_server_server::Cors::default(),
            logged_headers: agent_server_server::HeaderRules::default(),
            mount_prefix: None,
            api_url: None,
        }
    }

    #[tokio::test]
    async fn default_port_gives_way_and_asked_for_port_does_not() {
        let taken = bind(&http(Some(0), 0)).await.unwrap();
        assert_eq!(taken.instead_of, None);
        let port = taken.address.port();

        let other = bind(&http(None, port)).await.unwrap();
        assert_ne!(other.address.port(), port);
        assert_eq!(other.instead_of, Some(port));

        let error = bind(&http(Some(port), 2024)).await.unwrap_err();
        assert_eq!(crate::refusal::exit_code(&error), 2);
        let expected = format!("127.0.0.1:{port} is in use; choose another port with --port");
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn unknown_host_is_refused() {
        let http = Http { host: "256.1.1.1".into(), ..http(Some(0), 0) };
        let error = bind(&http).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on 256.1.1.1:0: "), "{error}");
    }
}
