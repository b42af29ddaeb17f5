//! Lines for machines, with upstream's names: `timestamp`, `level`, `event`, `logger`, then whatever else is known.

use chrono::SecondsFormat;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Value, value::RawValue};
use tracing::Level;

use super::Line;

/// What every line begins with. A field of that name is none of these.
const FIRST: [&str; 4] = ["timestamp", "level", "event", "logger"];

/// Fields whose value is JSON written as text.
const OBJECTS: [&str; 2] = ["req_header", "res_header"];

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let level = match self.level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let time = self.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut object = serializer.serialize_map(None)?;
        for (name, text) in FIRST.iter().zip([&*time, level, self.message, self.logger]) {
            object.serialize_entry(name, text)?;
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| !FIRST.contains(name)) {
            let parsed = match value {
                Value::String(text) if OBJECTS.contains(name) => {
                    serde_json::from_str::<&RawValue>(text).ok()
                }
                _ => None,
            };
            match parsed {
                Some(json) => object.serialize_entry(name, json)?,
                None => object.serialize_entry(name, value)?,
            }
        }
        object.end()
    }
}

/// One JSON object and the end of the line.
pub(super) fn line(line: &Line<'_>) -> String {
    let mut text = serde_json::to_string(line).expect("texts and values are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_one_object() {
        let (id, one, no, headers) = (json!("r"), json!(1), json!("no"), json!(r#"{"a":"b"}"#));
        let text = super::line(&Line {
            time: DateTime::UNIX_EPOCH,
            level: Level::WARN,
            logger: "agent_server",
            message: "two\nlines",
            fields: &[("request_id", &id), ("n", &one), ("level", &no), ("req_header", &headers)],
        });
        assert_eq!(
            text,
            "{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"warning\",\"event\":\"two\\nlines\",\
             \"logger\":\"agent_server\",\"request_id\":\"r\",\"n\":1,\"req_header\":{\"a\":\"b\"}}\n"
        );
    }
}
