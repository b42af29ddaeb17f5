//! Server-sent events, as strictly as the document describes them.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) id: Option<String>,
}

/// Reads a finished stream.
///
/// # Errors
/// A line does not end with CR LF, a field is unknown, an event has no name, or its data is not JSON.
pub(crate) fn parse(stream: &[u8]) -> Result<Vec<Event>> {
    let text = std::str::from_utf8(stream).context("the stream is not UTF-8")?;
    let mut events = Vec::new();
    let Some(text) = text.strip_suffix("\r\n").or(text.is_empty().then_some("")) else {
        bail!("the stream ends in the middle of a line");
    };
    if text.is_empty() {
        return Ok(events);
    }
    let mut name = None;
    let mut data: Option<String> = None;
    let mut id = None;
    for line in text.split("\r\n") {
        ensure!(!line.contains(['\r', '\n']), "a line does not end with CR LF: {line:?}");
        if line.is_empty() {
            match (name.take(), data.take()) {
                // A comment may stand alone.
                (None, None) => {}
                (Some(name), Some(data)) => events.push(Event {
                    data: serde_json::from_str(&data)
                        .with_context(|| format!("the data of {name} is not JSON: {data}"))?,
                    name,
                    id: id.take(),
                }),
                (name, data) => bail!("half an event: name {name:?}, data {data:?}"),
            }
            continue;
        }
        match line
            .split_once(':')
            .map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value)))
        {
            Some(("", _)) => {}
            Some(("event", value)) => name = Some(value.to_owned()),
            Some(("data", value)) => {
                data =
                    Some(data.map_or_else(|| value.to_owned(), |data| format!("{data}\n{value}")));
            }
            Some(("id", value)) => id = Some(value.to_owned()),
            _ => bail!("an unknown line: {line:?}"),
        }
    }
    ensure!(name.is_none() && data.is_none(), "the stream ends in the middle of an event");
    Ok(events)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_and_comments_left_out() {
        let stream =
            b"event: metadata\r\ndata: {\"run_id\":\"1\"}\r\nid: 7\r\n\r\n: heartbeat\r\n\r\n";
        let event =
            Event { name: "metadata".into(), data: json!({ "run_id": "1" }), id: Some("7".into()) };
        assert_eq!(parse(stream).expect("well-formed"), [event]);
        assert_eq!(parse(b"").expect("nothing happened"), []);
    }

    #[test]
    fn malformed_streams_are_refused() {
        for stream in [
            "event: a\ndata: 1\n\n",
            "event: a\r\ndata: {\r\n\r\n",
            "data: 1\r\n\r\n",
            "event: a\r\ndata: 1\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(parse(stream.as_bytes()).is_err(), "{stream:?}");
        }
    }
}
