//! Lines for people: when, how important, what; then what is known beside, in grey where there are colours.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use serde_json::Value;
use tracing::Level;

use super::Line;

const GREY: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// What the text of a request's line says already, or what only machines want to know of it.
const OF_REQUESTS: [&str; 9] = [
    "method",
    "path",
    "status",
    "latency_ms",
    "ttfb_ms",
    "response_size_bytes",
    "route",
    "proto",
    "request_id",
];

/// Module whose lines are about requests.
const REQUESTS: &str = "agent_server_server::access_log";

/// One line of text and its end.
pub(super) fn line(line: &Line<'_>, color: bool) -> String {
    let (level, paint) = match line.level {
        Level::ERROR => ("ERROR", "\u{1b}[31m"),
        Level::WARN => ("WARN ", "\u{1b}[33m"),
        Level::INFO => ("INFO ", "\u{1b}[32m"),
        Level::DEBUG => ("DEBUG", "\u{1b}[34m"),
        Level::TRACE => ("TRACE", "\u{1b}[35m"),
    };
    let (grey, paint, plain) = if color { (GREY, paint, PLAIN) } else { ("", "", "") };
    let time = line.time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut out = format!("{grey}{time}{plain} {paint}{level}{plain} {}", line.message);
    let is_request = line.logger == REQUESTS;
    let more: Vec<_> = line
        .fields
        .iter()
        .filter(|(name, _)| !(is_request && OF_REQUESTS.contains(name)))
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            value => format!("{name}={value}"),
        })
        .collect();
    if !more.is_empty() {
        let written = write!(out, "  {grey}{}{plain}", more.join(" "));
        debug_assert!(written.is_ok(), "strings take everything");
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(logger: &str, color: bool, expected: &str) {
        let (run, status) = (json!("r"), json!(200));
        let text = super::line(
            &Line {
                time: DateTime::UNIX_EPOCH,
                level: Level::INFO,
                logger,
                message: "GET /ok 200 1ms",
                fields: &[("run_id", &run), ("status", &status)],
            },
            color,
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_a_line_says_is_not_said_again() {
        let text = "1970-01-01T00:00:00.000Z INFO  GET /ok 200 1ms  run_id=r";
        check(REQUESTS, false, &format!("{text}\n"));
        check("worker", false, &format!("{text} status=200\n"));
        check(
            REQUESTS,
            true,
            "\u{1b}[2m1970-01-01T00:00:00.000Z\u{1b}[0m \u{1b}[32mINFO \u{1b}[0m GET /ok 200 1ms  \
             \u{1b}[2mrun_id=r\u{1b}[0m\n",
        );
    }
}
