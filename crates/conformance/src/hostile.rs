//! Bodies that no client sends and that must not hurt: every operation that reads JSON gets each of them.
//!
//! Which documented status they have is left to the server; a failure of it, a hang or a broken answer is not.

use serde_json::Value;

/// Levels of nesting; a parser that recurses without a limit ends its process with it.
const DEEP: usize = 200_000;

/// The bodies: name and bytes. `plain` is a good body; what is wrong is added to it where it is an object.
pub(crate) fn bodies(plain: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
    let members = (0..10_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
    let text = [
        ("hostile: deep arrays", nested("[", "]")),
        ("hostile: deep objects", nested("{\"a\":", "}")),
        ("hostile: deep member", with(plain, &format!("\"metadata\":{}", nested("[", "]")))),
        ("hostile: deep input", with(plain, &format!("\"input\":{}", nested("{\"a\":", "}")))),
        ("hostile: long text", with(plain, &format!("\"other\":\"{}\"", "x".repeat(1 << 20)))),
        ("hostile: many members", with(plain, &format!("\"metadata\":{{{members}}}"))),
        ("hostile: NUL in a value", with(plain, r#""metadata":{"k":"a\u0000b"}"#)),
        ("hostile: NUL in a name", with(plain, r#""metadata":{"a\u0000b":1}"#)),
        ("hostile: NUL in config", with(plain, r#""config":{"configurable":{"a\u0000b":1}}"#)),
        ("hostile: half a surrogate pair", with(plain, r#""metadata":{"k":"\ud800"}"#)),
        (
            "hostile: large numbers",
            with(plain, r#""metadata":{"k":[1e400,-1e400,123456789012345678901234567890]}"#),
        ),
        ("hostile: not a number", with(plain, r#""metadata":{"k":NaN}"#)),
        ("hostile: a member twice", with(plain, r#""metadata":{"k":1},"metadata":{"k":2}"#)),
        ("hostile: byte order mark", format!("\u{feff}{plain}")),
        ("hostile: only spaces", " ".repeat(1000)),
        ("hostile: prototype", with(plain, r#""__proto__":{"a":1},"metadata":{"__proto__":1}"#)),
    ];
    let mut bodies: Vec<_> =
        text.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    let utf_16 = plain.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    bodies.push(("hostile: UTF-16", utf_16));
    bodies
}

/// The text of an object with members written behind its own, which they may repeat: the last of them counts.
fn with(plain: &Value, members: &str) -> String {
    let text = plain.to_string();
    match text.strip_suffix('}') {
        Some("{") => format!("{{{members}}}"),
        Some(rest) => format!("{rest},{members}}}"),
        None => format!("{{{members}}}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_added_where_there_is_an_object() {
        for (plain, expected) in [
            (json!({}), r#"{"k":1}"#),
            (json!({ "a": {} }), r#"{"a":{},"k":1}"#),
            (json!([{ "a": 1 }]), r#"{"k":1}"#),
        ] {
            assert_eq!(with(&plain, r#""k":1"#), expected);
        }
    }
}
