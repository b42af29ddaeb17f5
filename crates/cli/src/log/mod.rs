//! The log: one line for each event, as JSON for machines or as text for people.
//!
//! A line says what its event says and in which circumstances: the fields of all spans around it (`request_id`, `run_id`, …)
//! stand beside its own.

mod fields;
mod json;
mod text;

use std::io::Write;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{Extensions, LookupSpan},
};

use fields::Fields;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object per line.
    Json,
    /// Text.
    Text {
        /// Whether with colours.
        color: bool,
    },
}

/// What a line says.
struct Line<'a> {
    time: DateTime<Utc>,
    level: Level,
    /// Where it comes from: the module, or the logger of a graph.
    logger: &'a str,
    message: &'a str,
    /// Outermost first, each name once.
    fields: &'a [(&'a str, &'a Value)],
}

/// Writes events to stderr.
pub(crate) struct Log {
    format: Format,
}

impl Log {
    /// A log in this format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    #[expect(clippy::disallowed_methods, reason = "the log says when something happened to us")]
    fn line(&self, event: &Event<'_>, around: &[Extensions<'_>], fields: &Fields) -> String {
        let metadata = event.metadata();
        let around = around.iter().filter_map(|span| span.get::<Fields>());
        let line = Line {
            time: Utc::now(),
            // What a graph logs has its own level.
            level: *metadata.level(),
            logger: fields.logger.as_deref().unwrap_or(metadata.target()),
            message: &fields.message,
            fields: &merged(around.chain([fields])),
        };
        match self.format {
            Format::Json => json::line(&line),
            Format::Text { color } => text::line(&line, color),
        }
    }
}

/// All fields, each name once: where it stood first, with what was said last.
fn merged<'a>(all: impl Iterator<Item = &'a Fields>) -> Vec<(&'a str, &'a Value)> {
    let mut merged: Vec<(&str, &Value)> = vec![];
    for (name, value) in all.flat_map(|fields| &fields.list) {
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => merged.push((name, value)),
        }
    }
    merged
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans: Vec<_> =
            cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()).collect();
        let around: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let line = self.line(event, &around, &fields);
        // In one piece, so that lines of several threads do not mix. There is nobody to tell that nobody reads.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
