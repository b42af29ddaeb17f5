//! The versions of the protocol and what differs between them.

use serde_json::{Value, json};

use super::super::rpc::Failure;
use crate::API_VERSION;

/// Versions that begin with `initialize`, oldest first.
const WITH_HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The version in which every request stands for itself.
const WITHOUT_HANDSHAKE: &str = "2026-07-28";
/// The protocol's code for a version that the server does not speak.
const UNSUPPORTED: i64 = -32022;

/// What a request is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// One of those with a handshake: what matters here is the same in all.
    Old,
    /// Results name their type, and closing the connection cancels.
    New,
}

impl Version {
    /// The version that the header of a request names; without it an old one, which had no header.
    pub(super) fn of_request(header: Option<&str>) -> Result<Self, Failure> {
        match header {
            None | Some("") => Ok(Self::Old),
            Some(WITHOUT_HANDSHAKE) => Ok(Self::New),
            Some(version) if WITH_HANDSHAKE.contains(&version) => Ok(Self::Old),
            Some(version) => Err(Failure {
                code: UNSUPPORTED,
                message: format!("Unsupported protocol version: {version}"),
                data: Some(json!({"supported": supported(), "requested": version})),
            }),
        }
    }

    /// What a result says of itself, where it does.
    pub(super) fn result_type(self) -> Option<&'static str> {
        (self == Self::New).then_some("complete")
    }

    /// A result in the form of this version.
    pub(super) fn complete(self, mut result: Value) -> Value {
        if let Some(result_type) = self.result_type()
            && let Value::Object(members) = &mut result
        {
            members.insert("resultType".into(), json!(result_type));
            if members.contains_key("tools") {
                members.extend(uncached());
            }
        }
        result
    }
}

/// What tells clients to ask again: assistants come and go.
fn uncached() -> [(String, Value); 2] {
    [("ttlMs".into(), json!(0)), ("cacheScope".into(), json!("private"))]
}

fn supported() -> Vec<&'static str> {
    WITH_HANDSHAKE.into_iter().chain([WITHOUT_HANDSHAKE]).collect()
}

/// The version that `initialize` agrees on: the wanted one, else the newest that has `initialize`.
pub(super) fn negotiated(wanted: Option<&str>) -> &'static str {
    WITH_HANDSHAKE
        .into_iter()
        .find(|version| Some(*version) == wanted)
        .unwrap_or(WITH_HANDSHAKE[WITH_HANDSHAKE.len() - 1])
}

/// What the server is, for clients that do not shake hands.
pub(super) fn discovered() -> Value {
    let mut result = json!({
        "supportedVersions": supported(),
        "capabilities": {"tools": {"listChanged": false}},
        "serverInfo": {"name": "LangGraph", "version": API_VERSION},
    });
    if let Value::Object(members) = &mut result {
        members.extend(uncached());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_versions_are_echoed_and_others_get_the_newest() {
        assert_eq!(negotiated(Some("2024-11-05")), "2024-11-05");
        for other in [None, Some("2019-01-01"), Some(WITHOUT_HANDSHAKE)] {
            assert_eq!(negotiated(other), "2025-11-25");
        }
    }

    #[test]
    fn unknown_headers_are_told_what_is_spoken() {
        assert_eq!(Version::of_request(None).expect("old"), Version::Old);
        assert_eq!(Version::of_request(Some("2025-06-18")).expect("old"), Version::Old);
        let failure = Version::of_request(Some("2031-01-01")).expect_err("unknown");
        assert_eq!((failure.code, failure.data.is_some()), (-32022, true));
    }
}
