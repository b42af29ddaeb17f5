//! Names to addresses that may be called.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use agent_server_domain::webhooks::UrlPolicy;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Time to find out the addresses of a name.
const LOOKUP: Duration = Duration::from_secs(5);

/// A name leads to an address that must not be called.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Gives the connector those addresses only that the policy has seen.
#[derive(Clone)]
pub(super) struct Resolver(Arc<UrlPolicy>);

impl Resolver {
    pub(super) fn new(policy: Arc<UrlPolicy>) -> Self {
        Self(policy)
    }

    /// The addresses of a name, whatever they are.
    pub(super) async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((name, 0))).await??;
        Ok(found.map(|address| address.ip()).collect())
    }

    async fn permitted(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let addresses = self.lookup(name).await?;
        if !self.0.trusts(name) {
            self.0.check_addresses(&addresses).map_err(Refused)?;
        }
        Ok(addresses)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.permitted(name.as_str()).await?;
            // The connector puts the port in.
            let places: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(places.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(policy: UrlPolicy) -> Resolver {
        Resolver::new(Arc::new(policy))
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to() {
        let refusal = resolver(UrlPolicy::default()).permitted("localhost").await.unwrap_err();
        assert!(refusal.downcast_ref::<Refused>().is_some(), "{refusal}");
        let open = UrlPolicy { disable_loopback: false, ..UrlPolicy::default() };
        assert!(!resolver(open).permitted("localhost").await.unwrap().is_empty());
        let trusted =
            UrlPolicy { allowed_domains: Some(vec!["localhost".into()]), ..UrlPolicy::default() };
        assert!(resolver(trusted).permitted("localhost").await.is_ok());
    }
}
