//! The log: one line for each event, as JSON for machines or as text for people.
//!
//! A line says what its event says and in which circumstances: the fields of all spans around it (`request_id`, `run_id`, …)
//! stand beside its own.

mod fields;
mod json;
mod text;

use std::io::Write;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

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
    /// Outermost first.
    fields: &'a Map<String, Value>,
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
    fn line(&self, event: &Event<'_>, fields: &Fields) -> String {
        let metadata = event.metadata();
        let line = Line {
            time: Utc::now(),
            // What a graph logs has its own level.
            level: *metadata.level(),
            logger: fields.logger.as_deref().unwrap_or(metadata.target()),
            message: &fields.message,
            fields: &fields.map,
        };
        match self.format {
            Format::Json => json::line(&line),
            Format::Text { color } => text::line(&line, color),
        }
    }
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
        for span in cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.map.extend(of_span.map.clone());
            }
        }
        event.record(&mut fields);
        let line = self.line(event, &fields);
        // In one piece, so that lines of several threads do not mix. There is nobody to tell that nobody reads.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
