//! Lines for machines, with upstream's names: `timestamp`, `level`, `event`, `logger`, then whatever else is known.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use tracing::Level;

use super::Line;

/// Fields whose value is JSON written as text.
const OBJECTS: [&str; 2] = ["req_header", "res_header"];

/// One JSON object and the end of the line.
pub(super) fn line(line: &Line<'_>) -> String {
    let level = match line.level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let mut object = Map::new();
    object
        .insert("timestamp".into(), line.time.to_rfc3339_opts(SecondsFormat::Micros, true).into());
    object.insert("level".into(), level.into());
    object.insert("event".into(), line.message.into());
    object.insert("logger".into(), line.logger.into());
    for (name, value) in line.fields {
        let parsed = match value {
            Value::String(text) if OBJECTS.contains(&name.as_str()) => {
                serde_json::from_str(text).ok()
            }
            _ => None,
        };
        // A field of that name is none of the four.
        if !object.contains_key(name) {
            object.insert(name.clone(), parsed.unwrap_or_else(|| value.clone()));
        }
    }
    format!("{}\n", json!(object))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_line_is_one_object() {
        let fields =
            json!({"request_id": "r", "n": 1, "level": "no", "req_header": "{\"a\":\"b\"}"});
        let text = super::line(&Line {
            time: DateTime::UNIX_EPOCH,
            level: Level::WARN,
            logger: "agent_server",
            message: "two\nlines",
            fields: fields.as_object().unwrap(),
        });
        assert_eq!(
            text,
            "{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"warning\",\"event\":\"two\\nlines\",\
             \"logger\":\"agent_server\",\"request_id\":\"r\",\"n\":1,\"req_header\":{\"a\":\"b\"}}\n"
        );
    }
}
