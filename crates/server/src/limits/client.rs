//! Where a request comes from, for callers of whom nothing else is known.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::HeaderMap;

use crate::stall::Peer;

/// What a caller has of an address of version 6: the rest of it anybody chooses as they like.
const OWN_BITS: u32 = 64;

/// The address of the client, or of its network; what `proxies` of our own say about it is believed.
pub(super) fn address(request: &Request, proxies: usize) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|peer| peer.0.0.ip());
    forwarded(request.headers(), proxies).or(peer).map(of_network)
}

/// What the outermost proxy has noted. Each appends the address that it was asked from, so whatever the client itself sends
/// stands further to the left.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").iter();
    let noted: Vec<_> =
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let place = noted.len().checked_sub(proxies).filter(|_| proxies > 0)?;
    let text = std::str::from_utf8(noted[place]).ok()?.trim();
    // Some note the port as well.
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

fn of_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(address.to_bits() >> OWN_BITS << OWN_BITS).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(peer: &str, forwarded: &[&str], proxies: usize, expected: &str) {
        let mut request = Request::new(Body::empty());
        let peer = SocketAddr::new(peer.parse().unwrap(), 7);
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        for value in forwarded {
            request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
        }
        let expected = expected.parse().ok();
        assert_eq!(address(&request, proxies), expected, "{forwarded:?} behind {proxies}");
    }

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        check("10.0.0.1", &[], 0, "10.0.0.1");
        check("10.0.0.1", &["1.1.1.1"], 0, "10.0.0.1");
        check("10.0.0.1", &["9.9.9.9, 1.1.1.1"], 1, "1.1.1.1");
        check("10.0.0.1", &["9.9.9.9, 1.1.1.1", "10.0.0.2"], 2, "1.1.1.1");
        check("10.0.0.1", &["1.1.1.1:80"], 1, "1.1.1.1");
        // Past the proxies, or from one that says nothing.
        check("10.0.0.1", &["1.1.1.1"], 2, "10.0.0.1");
        check("10.0.0.1", &[], 1, "10.0.0.1");
        check("10.0.0.1", &["unknown"], 1, "10.0.0.1");
    }

    #[test]
    fn an_address_of_version_6_is_its_network() {
        check("2001:db8:1:2:3:4:5:6", &[], 0, "2001:db8:1:2::");
        check("::ffff:10.0.0.1", &[], 0, "10.0.0.1");
    }
}
