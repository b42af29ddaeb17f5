//! Changing one string inside JSON; everything else keeps the bytes that it has.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// Puts `text` in place of the string at `path`; `*` stands for every element of an array. Where the path does not lead
/// to a string, nothing changes.
pub(crate) fn with_text(json: &str, path: &[&str], text: &str) -> serde_json::Result<String> {
    let json = json.trim();
    match path.split_first() {
        None if json.starts_with('"') => serde_json::to_string(text),
        Some((&"*", rest)) if json.starts_with('[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json)?;
            let elements: serde_json::Result<Vec<_>> =
                elements.iter().map(|element| with_text(element.get(), rest, text)).collect();
            Ok(format!("[{}]", elements?.join(",")))
        }
        Some((name, rest)) if json.starts_with('{') => {
            let members: Members<'_> = serde_json::from_str(json)?;
            let members: serde_json::Result<Vec<_>> = members
                .0
                .iter()
                .map(|(key, value)| {
                    let value = match key == name {
                        true => Cow::Owned(with_text(value.get(), rest, text)?),
                        false => Cow::Borrowed(value.get()),
                    };
                    Ok(format!("{}:{value}", serde_json::to_string(key)?))
                })
                .collect();
            Ok(format!("{{{}}}", members?.join(",")))
        }
        _ => Ok(json.to_owned()),
    }
}

/// The members of an object in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::with_text;

    #[track_caller]
    fn check(json: &str, path: &str, expected: &str) {
        let path: Vec<_> = path.split('.').collect();
        assert_eq!(with_text(json, &path, "new").unwrap(), expected);
    }

    #[test]
    fn only_the_string_changes() {
        check(r#"{"n":1.50,"id":"old","x":"old"}"#, "id", r#"{"n":1.50,"id":"new","x":"old"}"#);
        check(r#"{"a":{"id":"old"}, "é\n":1e2}"#, "a.id", r#"{"a":{"id":"new"},"é\n":1e2}"#);
        check(
            r#"[{"at":{"id":"old"}},{"at":null},3]"#,
            "*.at.id",
            r#"[{"at":{"id":"new"}},{"at":null},3]"#,
        );
    }

    #[test]
    fn what_is_not_there_stays_away() {
        for json in [r#"{"id":5}"#, "{}", "null", r#"["id"]"#] {
            check(json, "id", json);
        }
    }
}
