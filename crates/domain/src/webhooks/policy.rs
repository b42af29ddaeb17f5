//! Which addresses may be told of a run's end.
//!
//! Source: reference/auth-webhooks-encryption.md, 4.4. An address is looked at when a run asks for it, and again before
//! each try; what its name stands for is looked at by whoever connects, too, so that a name cannot change in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, ParseError, Url};

/// Names of this machine.
const LOCAL: [&str; 3] = ["localhost", "localhost.localdomain", "host.docker.internal"];

/// Names under which clouds tell machines their secrets.
const METADATA: [&str; 4] =
    ["metadata.google.internal", "metadata.amazonaws.com", "metadata", "instance-data"];

/// What addresses have to be like; the section `webhooks.url` of langgraph.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPolicy {
    /// Whether `http` is refused.
    pub require_https: bool,
    /// The only hosts, in lower case: exact names, or `*.example.com` for everything below one.
    pub allowed_domains: Option<Vec<String>>,
    /// The only ports.
    pub allowed_ports: Option<Vec<u16>>,
    /// Longest address, bytes.
    pub max_url_length: usize,
    /// Whether this machine and the server's own routes are refused.
    pub disable_loopback: bool,
    /// Whether private networks are refused.
    pub disable_private_ips: bool,
}

impl Default for UrlPolicy {
    fn default() -> Self {
        Self {
            require_https: false,
            allowed_domains: None,
            allowed_ports: None,
            max_url_length: 4096,
            disable_loopback: true,
            disable_private_ips: false,
        }
    }
}

/// Where an address that may be called leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A route of this server.
    Own,
    /// Another host, as `name:port`.
    Remote {
        /// Host and port.
        host: String,
        /// The name whose addresses still have to be looked at.
        unresolved: Option<String>,
    },
}

impl UrlPolicy {
    /// Refuses an address that the server must not call.
    ///
    /// # Errors
    /// The text for the caller.
    pub fn check(&self, address: &str) -> Result<Place, String> {
        if address.len() > self.max_url_length {
            return Err("Webhook URL too long".into());
        }
        let url = match Url::parse(address) {
            Ok(url) => url,
            // `//host/path` is no path of ours.
            Err(ParseError::RelativeUrlWithoutBase)
                if address.starts_with('/') && !address.starts_with("//") =>
            {
                return if self.disable_loopback {
                    Err(blocked("relative URL"))
                } else {
                    Ok(Place::Own)
                };
            }
            Err(ParseError::RelativeUrlWithoutBase) => {
                return Err("Invalid webhook hostname ''".into());
            }
            Err(error) => return Err(blocked(&error.to_string())),
        };
        if self.require_https && url.scheme() != "https" {
            return Err("Webhook must use https".into());
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(blocked(&format!("scheme '{}' not allowed", url.scheme())));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if self.allowed_ports.as_ref().is_some_and(|allowed| !allowed.contains(&port)) {
            return Err(format!("Webhook port {port} not allowed"));
        }
        let Some(host) = url.host() else { return Err(blocked("no host")) };
        let name = host.to_string().trim_end_matches('.').to_owned();
        if let Host::Domain(_) = host
            && let Some(reason) = self.blocked_name(&name)
        {
            return Err(blocked(reason));
        }
        let trusted = self.allows_domain(&name).ok_or("Webhook domain not allowed")?;
        let unresolved = match host {
            _ if trusted => None,
            Host::Domain(_) => Some(name.clone()),
            Host::Ipv4(ip) => self.check_addresses(&[ip.into()]).map(|()| None)?,
            Host::Ipv6(ip) => self.check_addresses(&[ip.into()]).map(|()| None)?,
        };
        Ok(Place::Remote { host: format!("{name}:{port}"), unresolved })
    }

    /// Refuses the addresses of a name if one of them must not be called, or there is none.
    ///
    /// # Errors
    /// The text for the caller.
    pub fn check_addresses(&self, addresses: &[IpAddr]) -> Result<(), String> {
        if addresses.is_empty() {
            return Err(blocked("DNS resolution failed"));
        }
        let reason = addresses.iter().find_map(|&ip| self.blocked_ip(ip));
        reason.map_or(Ok(()), |reason| Err(blocked(reason)))
    }

    /// Whether the addresses of a name need not be looked at, because the configuration names it.
    pub fn trusts(&self, name: &str) -> bool {
        self.allows_domain(name.trim_end_matches('.')) == Some(true)
    }

    /// `None` for a host that is not allowed, `Some(true)` for one that is named exactly.
    fn allows_domain(&self, name: &str) -> Option<bool> {
        let Some(allowed) = &self.allowed_domains else { return Some(false) };
        if allowed.iter().any(|domain| domain == name) {
            return Some(true);
        }
        let below = |domain: &String| {
            domain.strip_prefix('*').is_some_and(|end| {
                end.starts_with('.') && name.len() > end.len() && name.ends_with(end)
            })
        };
        allowed.iter().any(below).then_some(false)
    }

    /// `name` is in lower case, as the parser leaves it.
    fn blocked_name(&self, name: &str) -> Option<&'static str> {
        let local = LOCAL.contains(&name) || name.ends_with(".localhost");
        if local && self.disable_loopback {
            return Some("localhost address");
        }
        let internal = METADATA.contains(&name) || name.ends_with(".svc.cluster.local");
        internal.then_some("blocked hostname")
    }

    fn blocked_ip(&self, ip: IpAddr) -> Option<&'static str> {
        let special = match ip {
            IpAddr::V4(ip) if ip.is_loopback() => {
                return self.disable_loopback.then_some("loopback IP range");
            }
            IpAddr::V6(ip) if ip.is_loopback() => self.disable_loopback,
            IpAddr::V4(ip) => is_special_v4(ip),
            IpAddr::V6(ip) => is_special_v6(ip),
        };
        if special {
            return Some("blocked IP range");
        }
        (self.disable_private_ips && is_private(ip)).then_some("private IP range")
    }
}

/// A refusal of a host.
pub fn blocked(reason: &str) -> String {
    format!("Webhook host blocked: {reason}")
}

/// Networks of companies, homes and carriers.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
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
        let refusal = Err(format!("Webhook host blocked: {reason}"));
        assert_eq!(UrlPolicy::default().check(address), refusal, "{address}");
    }

    #[track_caller]
    fn check(policy: &UrlPolicy, address: &str, refusal: Option<&str>) {
        assert_eq!(policy.check(address).err().as_deref(), refusal, "{address}");
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
            check(&UrlPolicy::default(), address, None);
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
        check(&UrlPolicy::default(), &long, Some("Webhook URL too long"));
        check(&UrlPolicy::default(), "//example.com/x", Some("Invalid webhook hostname ''"));
    }

    #[test]
    fn the_configuration_restricts_in_order() {
        let policy = UrlPolicy {
            require_https: true,
            allowed_domains: Some(vec!["hooks.example.com".into(), "*.example.org".into()]),
            allowed_ports: Some(vec![443, 8443]),
            max_url_length: 60,
            ..UrlPolicy::default()
        };
        check(&policy, "https://hooks.example.com/x", None);
        check(&policy, "https://a.example.org:8443/x", None);
        check(&policy, "http://hooks.example.com/x", Some("Webhook must use https"));
        check(&policy, "https://a.example.org:9999/x", Some("Webhook port 9999 not allowed"));
        check(&policy, "https://example.org/x", Some("Webhook domain not allowed"));
        check(&policy, "https://evilexample.org/x", Some("Webhook domain not allowed"));
        check(&policy, "https://8.8.8.8/x", Some("Webhook domain not allowed"));
        let long = format!("https://hooks.example.com/{}", "x".repeat(60));
        check(&policy, &long, Some("Webhook URL too long"));
        assert!(policy.trusts("hooks.example.com") && !policy.trusts("a.example.org"));
    }

    #[test]
    fn this_machine_can_be_allowed_and_private_networks_refused() {
        let policy = UrlPolicy {
            disable_loopback: false,
            disable_private_ips: true,
            ..UrlPolicy::default()
        };
        assert_eq!(policy.check("/hook?a=1"), Ok(Place::Own));
        for address in ["http://localhost:1/x", "http://127.0.0.1:1/x", "http://[::1]/x"] {
            check(&policy, address, None);
        }
        let refusal = Some("Webhook host blocked: private IP range");
        for address in ["http://10.0.0.1/", "http://100.64.0.1/", "http://[fd00::1]/"] {
            check(&policy, address, refusal);
        }
        check(&policy, "http://0.0.0.0/", Some("Webhook host blocked: blocked IP range"));
    }

    #[test]
    fn a_name_is_as_good_as_its_worst_address() {
        let policy = UrlPolicy::default();
        let place = Place::Remote {
            host: "example.com:443".into(),
            unresolved: Some("example.com".into()),
        };
        assert_eq!(policy.check("https://example.com./x"), Ok(place));
        let of = |texts: &[&str]| {
            let addresses: Vec<IpAddr> = texts.iter().map(|ip| ip.parse().unwrap()).collect();
            policy.check_addresses(&addresses).err()
        };
        assert_eq!(of(&["8.8.8.8", "10.0.0.1"]), None);
        let refusal = |reason| Some(format!("Webhook host blocked: {reason}"));
        assert_eq!(of(&["8.8.8.8", "127.0.0.1"]), refusal("loopback IP range"));
        assert_eq!(of(&["8.8.8.8", "169.254.169.254"]), refusal("blocked IP range"));
        assert_eq!(of(&[]), refusal("DNS resolution failed"));
    }
}
