//! Server-sent events as the wire has them: `event`, `data`, perhaps `id`, each line ended by CR LF.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// Takes the first whole event or comment off the buffer; `None` while it is incomplete.
///
/// A comment gives `null`.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Value>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let block: Vec<u8> = buffer.drain(..end + 4).collect();
    let text = std::str::from_utf8(&block[..end]).context("an event that is not UTF-8")?;
    let mut event = serde_json::Map::new();
    for line in text.split("\r\n") {
        ensure!(!line.contains(['\r', '\n']), "a line that does not end with CR LF: {line:?}");
        match line.split_once(": ") {
            Some(("", _)) => {}
            Some((field @ ("event" | "id"), value)) => {
                event.insert(field.to_owned(), value.into());
            }
            Some(("data", value)) => {
                let data = serde_json::from_str(value)
                    .with_context(|| format!("data that is not JSON: {value}"))?;
                event.insert("data".to_owned(), data);
            }
            _ => bail!("a line that is no field: {line:?}"),
        }
    }
    // The order of the fields is part of the wire.
    let fields: Vec<_> = event.keys().map(String::as_str).collect();
    ensure!(
        matches!(fields[..], [] | ["event", "data"] | ["event", "data", "id"]),
        "fields in another order: {fields:?}"
    );
    Ok(Some(if event.is_empty() { Value::Null } else { json!(event) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_events_are_taken_one_by_one() {
        let mut buffer =
            b": heartbeat\r\n\r\nevent: a\r\ndata: [1]\r\nid: 7-0\r\n\r\nevent: b".to_vec();
        assert_eq!(take(&mut buffer).expect("a comment"), Some(Value::Null));
        let event = json!({"event": "a", "data": [1], "id": "7-0"});
        assert_eq!(take(&mut buffer).expect("an event"), Some(event));
        assert_eq!(take(&mut buffer).expect("half an event"), None);
        assert_eq!(buffer, b"event: b");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["data: 1\r\nevent: a\r\n\r\n", "event: a\r\ndata: {\r\n\r\n", "a\nb\r\n\r\n"] {
            assert!(take(&mut text.as_bytes().to_vec()).is_err(), "{text:?}");
        }
    }
}
