//! Which addresses may be told of a run's end.
//!
//! Source: reference/auth-webhooks-encryption.md, 4.4, with nothing configured. Names are not resolved here: that is for the
//! delivery, which has to look at the addresses it connects to anyway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, ParseError, Url};

/// Longest address, bytes.
const MAX_LENGTH: usize = 4096;

/// Names of this machine.
const LOCAL: [&str; 3] = ["localhost", "localhost.localdomain", "host.docker.internal"];

/// Names under which clouds tell machines their secrets.
const METADATA: [&str; 4] =
    ["metadata.google.internal", "metadata.amazonaws.com", "metadata", "instance-data"];

/// Refuses an address that the server must not call.
///
/// # Errors
/// The text for the caller.
pub fn check(address: &str) -> Result<(), String> {
    if address.len() > MAX_LENGTH {
        return Err("Webhook URL too long".into());
    }
    let url = match Url::parse(address) {
        Ok(url) => url,
        // Below the server's own address, wherever that is.
        Err(ParseError::RelativeUrlWithoutBase) if address.starts_with('/') => {
            return Err(blocked("relative URL"));
        }
        Err(ParseError::RelativeUrlWithoutBase) => {
            return Err("Invalid webhook hostname ''".into());
        }
        Err(error) => return Err(blocked(&error.to_string())),
    };
    reason(&url).map_or(Ok(()), |reason| Err(blocked(&reason)))
}

fn blocked(reason: &str) -> String {
    format!("Webhook host blocked: {reason}")
}

/// Why an address must not be called.
fn reason(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some(format!("scheme '{}' not allowed", url.scheme()));
    }
    match url.host() {
        Some(Host::Domain(name)) => blocked_name(name.trim_end_matches('.')),
        Some(Host::Ipv4(ip)) => blocked_ip(ip.into()),
        Some(Host::Ipv6(ip)) => blocked_ip(ip.into()),
        None => Some("no host"),
    }
    .map(str::to_owned)
}

/// `name` is in lower case, as the parser leaves it.
fn blocked_name(name: &str) -> Option<&'static str> {
    if LOCAL.contains(&name) || name.ends_with(".localhost") {
        return Some("localhost address");
    }
    let internal = METADATA.contains(&name) || name.ends_with(".svc.cluster.local");
    internal.then_some("blocked hostname")
}

fn blocked_ip(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => Some("loopback IP range"),
        IpAddr::V4(ip) => is_special_v4(ip).then_some("blocked IP range"),
        IpAddr::V6(ip) => is_special_v6(ip).then_some("blocked IP range"),
    }
}

/// Nothing that could be a receiver. Private networks are allowed.
fn is_special_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && matches!(b, 18 | 19))
        || a >= 224
        // A cloud's metadata service in the range for carriers.
        || ip == Ipv4Addr::new(100, 100, 100, 200)
}

fn is_special_v6(ip: Ipv6Addr) -> bool {
    let head = ip.segments();
    let is_v4_inside = head[..5] == [0; 5] && matches!(head[5], 0 | 0xffff);
    let is_nat64 = head[..2] == [0x64, 0xff9b];
    let is_documentation = head[..2] == [0x2001, 0xdb8];
    // `fd00:ec2::254`
    let is_metadata = head == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
    is_v4_inside
        || is_nat64
        || is_documentation
        || is_metadata
        || ip.is_multicast()
        || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(address: &str, reason: &str) {
        assert_eq!(check(address), Err(format!("Webhook host blocked: {reason}")), "{address}");
    }

    #[test]
    fn ordinary_and_private_addresses_are_allowed() {
        for address in [
            "https://example.com/hook?a=1",
            "http://10.0.0.1/x",
            "http://192.168.1.1:9999/",
            "https://[fd00::1]/x",
            "https://8.8.8.8/",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn addresses_of_this_machine_are_refused() {
        refused("http://127.0.0.1:9/x", "loopback IP range");
        refused("http://0x7f.1/x", "loopback IP range");
        refused("http://LOCALHOST/x", "localhost address");
        refused("http://host.docker.internal./x", "localhost address");
        refused("https://[::1]/x", "blocked IP range");
        refused("/hook", "relative URL");
    }

    #[test]
    fn addresses_that_are_no_receivers_are_refused() {
        for address in [
            "http://169.254.169.254/latest",
            "http://0.0.0.0/",
            "http://192.0.0.1/",
            "http://198.51.100.7/",
            "http://198.19.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[fe80::1]/",
            "http://[ff02::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::a00:1]/",
        ] {
            refused(address, "blocked IP range");
        }
        refused("http://metadata.google.internal/", "blocked hostname");
        refused("http://api.default.svc.cluster.local/", "blocked hostname");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        refused("ftp://example.com/x", "scheme 'ftp' not allowed");
        let long = format!("https://example.com/{}", "x".repeat(4096));
        assert_eq!(check(&long), Err("Webhook URL too long".into()));
    }
}
