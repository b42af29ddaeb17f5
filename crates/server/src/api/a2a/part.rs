//! Parts as clients send them, of either dialect: told apart by their members, whatever their `kind` says.

use serde_json::{Map, Value, json};

use super::{
    super::rpc::{Failure, Outcome},
    CONTENT_TYPE,
    model::{File, Part, Source},
};

/// Members that say what a part is; the last two are files of version 1.0.
const CONTENTS: [&str; 5] = ["text", "file", "data", "raw", "url"];
/// Media types of user interfaces, which agents here have none of.
const INTERFACES: [&str; 2] = ["application/json+a2ui", "application/a2ui+json"];

fn refused(why: impl Into<String>) -> Failure {
    Failure::new(CONTENT_TYPE, why)
}

/// Reads a part.
pub(super) fn read(part: &Value) -> Outcome<Part> {
    let kinds = "A2A agents support 'text', 'data', and 'file' parts only.";
    let Value::Object(part) = part else {
        return Err(refused(format!("Each message part must be an object. {kinds}")));
    };
    let given: Vec<&str> = CONTENTS
        .into_iter()
        .filter(|name| part.get(*name).is_some_and(|value| !value.is_null()))
        .collect();
    match given.as_slice() {
        [] => Err(refused(format!("Unsupported part type. {kinds}"))),
        ["text"] => match &part["text"] {
            Value::String(text) => Ok(Part::Text(text.clone())),
            _ => Err(refused("TextPart must contain a string in the 'text' field")),
        },
        ["data"] => data(part),
        ["file"] => file(&part["file"]),
        ["raw"] => Ok(Part::File(File {
            source: bytes(&part["raw"], "raw")?,
            media_type: text(part, "mediaType"),
            name: text(part, "filename"),
        })),
        ["url"] => Ok(Part::File(File {
            source: uri(&part["url"], "url")?,
            media_type: text(part, "mediaType"),
            name: text(part, "filename"),
        })),
        several => {
            let names = several.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>();
            Err(refused(format!(
                "Each message part must contain exactly one of 'text', 'file', or 'data'. Got multiple: [{}].",
                names.join(", ")
            )))
        }
    }
}

fn data(part: &Map<String, Value>) -> Outcome<Part> {
    let media_type = part.get("metadata").and_then(|metadata| metadata["mimeType"].as_str());
    if media_type.is_some_and(|media_type| INTERFACES.contains(&media_type)) {
        return Err(Failure::params("A2UI is not enabled for this agent"));
    }
    match &part["data"] {
        data @ Value::Object(_) => Ok(Part::Data(data.clone())),
        _ => Err(refused("DataPart must contain a JSON object in the 'data' field")),
    }
}

fn file(file: &Value) -> Outcome<Part> {
    let Value::Object(file) = file else {
        return Err(refused("FilePart must contain an object in the 'file' field"));
    };
    let given = |name: &str| file.get(name).filter(|value| !value.is_null());
    let source = match (given("bytes"), given("uri")) {
        (Some(content), None) => bytes(content, "bytes")?,
        (None, Some(content)) => uri(content, "uri")?,
        (None, None) => {
            return Err(refused("FilePart 'file' must contain either 'bytes' or 'uri'."));
        }
        (Some(_), Some(_)) => {
            return Err(refused("FilePart 'file' must contain only one of 'bytes' or 'uri'."));
        }
    };
    Ok(Part::File(File { source, media_type: text(file, "mimeType"), name: text(file, "name") }))
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn bytes(content: &Value, name: &str) -> Outcome<Source> {
    match content.as_str() {
        Some(text) if is_base64(text) => Ok(Source::Bytes(text.to_owned())),
        _ => Err(refused(format!("FilePart '{name}' must be base64 text"))),
    }
}

/// Never fetched: what the graph makes of it is its own business.
fn uri(content: &Value, name: &str) -> Outcome<Source> {
    match content.as_str() {
        Some(text) if !text.is_empty() => Ok(Source::Uri(text.to_owned())),
        _ => Err(refused(format!("FilePart '{name}' must be a string"))),
    }
}

/// Whether text is base64, of the usual or of the URL alphabet, with or without padding.
pub(super) fn is_base64(text: &str) -> bool {
    let content = text.trim_end_matches('=');
    let padding = text.len() - content.len();
    let known =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    content.bytes().all(known)
        && content.len() % 4 != 1
        && (padding == 0 || (padding <= 2 && text.len().is_multiple_of(4)))
}

/// A file as a content block of a message.
pub(super) fn block(file: &File) -> Value {
    let kind = file.media_type.as_deref().and_then(|name| name.split('/').next());
    let kind = kind.filter(|kind| ["image", "audio", "video"].contains(kind)).unwrap_or("file");
    let mut block = match &file.source {
        Source::Bytes(bytes) => json!({"type": kind, "base64": bytes}),
        Source::Uri(uri) => json!({"type": kind, "url": uri}),
    };
    if let Some(media_type) = &file.media_type {
        block["mime_type"] = json!(media_type);
    }
    if let Some(name) = &file.name {
        block["extras"] = json!({"filename": name});
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_from_other_text() {
        for text in ["", "aGk=", "aGk", "YQ==", "-_8="] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["a", "a===", "aGk==", "a b=", "ä", "=aGk"] {
            assert!(!is_base64(text), "{text}");
        }
    }

    #[test]
    fn files_of_both_dialects_are_one() {
        let old = json!({"file": {"uri": "https://x/y.png", "mimeType": "image/png", "name": "y"}});
        let new = json!({"url": "https://x/y.png", "mediaType": "image/png", "filename": "y"});
        let part = read(&old).expect("a part");
        assert_eq!(part, read(&new).expect("a part"));
        let Part::File(file) = part else { panic!("a file") };
        assert_eq!(
            block(&file),
            json!({"type": "image", "url": "https://x/y.png", "mime_type": "image/png", "extras": {"filename": "y"}})
        );
    }
}
