//! Taking JSON apart one level at a time.
//!
//! A body may hold megabytes that belong to the user and that no rule reads. Splitting finds the members of the
//! outermost object and leaves their values as text, so that those megabytes are scanned once and never built into a
//! tree.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Levels of nesting accepted inside fields that are not parsed here. It is the limit of the parser that workers use,
/// so what passes here can be read there.
pub(crate) const PAYLOAD_DEPTH: usize = 1024;
/// The same for fields that are parsed: less than our own parser takes, which sees what is around them, too.
pub(crate) const PARSED_DEPTH: usize = 100;

/// The members of one JSON object, in order, with their values as text.
pub(crate) struct Members<'a> {
    pub(crate) list: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// Whether a name came more than once; only its last member is kept, as parsers into dictionaries do.
    pub(crate) repeated: bool,
}

impl<'a> Members<'a> {
    /// Splits `text`; `None` if it is not one JSON object.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Splits `raw`; `None` if it is JSON but not an object.
    pub(crate) fn of_raw(raw: &'a RawValue) -> Option<Self> {
        Self::of(raw.get())
    }

    /// The value of a member.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.list.iter().find(|(name, _)| name == key).map(|(_, raw)| *raw)
    }

    /// The object as text again.
    pub(crate) fn to_text(&self) -> String {
        join(self.list.iter().map(|(key, raw)| (key.as_ref(), raw.get())))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members_;

        impl<'de> Visitor<'de> for Members_ {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut repeated = false;
                while let Some((Key(key), raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    match list.iter_mut().find(|(name, _)| *name == key) {
                        Some(member) => {
                            member.1 = raw;
                            repeated = true;
                        }
                        None => list.push((key, raw)),
                    }
                }
                Ok(Members { list, repeated })
            }
        }

        deserializer.deserialize_map(Members_)
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The elements of a JSON array as text; `None` if `text` is not one.
pub(crate) fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// Writes an object from members; the inverse of [`Members::of`].
pub(crate) fn join<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(key).to_string());
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

/// The smallest value of the same JSON type, which a schema that looks no deeper cannot tell from the original.
pub(crate) fn outline(raw: &RawValue) -> Value {
    match raw.get().as_bytes().first() {
        Some(b'{') => Value::Object(serde_json::Map::new()),
        Some(b'[') => Value::Array(Vec::new()),
        Some(b'"') => Value::String(String::new()),
        _ => serde_json::from_str(raw.get()).unwrap_or(Value::Null),
    }
}

/// Whether `raw` is nested more deeply than `limit`.
pub(crate) fn is_deeper(raw: &RawValue, limit: usize) -> bool {
    let text = raw.get().as_bytes();
    if text.len() <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_of_two_members_with_one_name_counts() {
        let members = Members::of(r#"{"a":1,"b":2,"a":[3]}"#).unwrap();
        let members: Vec<_> =
            members.list.iter().map(|(key, raw)| (key.as_ref(), raw.get())).collect();
        assert_eq!(members, [("a", "[3]"), ("b", "2")]);
    }

    #[test]
    fn joining_restores_what_was_split() {
        let text = r#"{"a\"b":{"x": 1},"c":"\u0000"}"#;
        let members = Members::of(text).unwrap();
        assert_eq!(members.to_text(), text);
    }

    #[test]
    fn anything_but_an_object_has_no_members() {
        for text in ["", "[]", "1", "{", r#"{"a":1}x"#, r#"{"a"}"#] {
            assert!(Members::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn outlines_keep_the_type() {
        for (text, expected) in [
            ("{\"a\":1}", "{}"),
            ("[1]", "[]"),
            ("\"x\"", "\"\""),
            ("1.5", "1.5"),
            ("null", "null"),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(outline(raw).to_string(), expected);
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let brackets = "[".repeat(PAYLOAD_DEPTH + 1);
        let deep = format!("{brackets}{}", "]".repeat(PAYLOAD_DEPTH + 1));
        assert!(is_deeper(&RawValue::from_string(deep).unwrap(), PAYLOAD_DEPTH));
        let text = format!(r#"["\"{brackets}"]"#);
        assert!(!is_deeper(&RawValue::from_string(text).unwrap(), PAYLOAD_DEPTH));
        let wide = format!("[{}[]]", "[],".repeat(PAYLOAD_DEPTH));
        assert!(!is_deeper(&RawValue::from_string(wide).unwrap(), PAYLOAD_DEPTH));
    }
}
