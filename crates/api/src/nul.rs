//! The NUL character, which many clients and their databases cannot hold, never leaves the server.

use bytes::Bytes;
use memchr::memmem;

/// NUL inside of JSON text, where it must be written so.
const ESCAPED: &[u8] = br"\u0000";
/// What stands for it instead, as upstream has it.
const REPLACEMENT: &str = "\u{fffd}";

/// Replaces NUL characters in the strings of JSON by U+FFFD. [`Reply`](crate::Reply) does so by itself; event streams and
/// bodies that are produced while they are sent have to.
///
/// JSON without any, which is nearly all, passes as it is.
pub fn without_nul(json: impl Into<Bytes>) -> Bytes {
    let json = json.into();
    match memmem::find(&json, ESCAPED) {
        Some(_) => replaced(&json).into(),
        None => json,
    }
}

fn replaced(json: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(json.len());
    let mut copied = 0;
    for start in memmem::find_iter(json, ESCAPED) {
        // After an odd number of backslashes this one is escaped itself, and the text speaks about the escape.
        let before = json[..start].iter().rev().take_while(|byte| **byte == b'\\').count();
        if before % 2 == 0 {
            clean.extend_from_slice(&json[copied..start]);
            clean.extend_from_slice(REPLACEMENT.as_bytes());
            copied = start + ESCAPED.len();
        }
    }
    clean.extend_from_slice(&json[copied..]);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_for_nul_is_replaced() {
        for (given, expected) in [
            (r#"{"a":"\u0001"}"#, r#"{"a":"\u0001"}"#),
            (r#"{"a":"x\u0000y"}"#, "{\"a\":\"x\u{fffd}y\"}"),
            (r#"{"\u0000":["\u0000\u0000"]}"#, "{\"\u{fffd}\":[\"\u{fffd}\u{fffd}\"]}"),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000""#, "\"\\\\\u{fffd}\""),
            (r#""\\\\u0000\u00000""#, "\"\\\\\\\\u0000\u{fffd}0\""),
        ] {
            assert_eq!(without_nul(given), expected, "{given}");
        }
    }
}
