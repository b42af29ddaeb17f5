//! Traces: which parts of the server's work belong to which request, also of another program.
//!
//! A [`TraceContext`] names a place in a trace. It comes in with a request, is kept with the runs that the request creates,
//! goes to the worker with each attempt, and out to receivers of webhooks. Spans are begun through [`Traces`], which costs
//! nothing where nobody listens.

use std::{fmt, sync::Arc};

use agent_server_storage::Timestamp;
use serde::{Deserialize, Serialize};

/// A place in a trace, as the W3C's headers write it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TraceContext {
    /// Trace, span and whether it is recorded.
    pub traceparent: String,
    /// What tracing systems add to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

/// Longest `tracestate` that is passed on, bytes: what the standard asks for at least.
const MAX_STATE: usize = 512;

impl TraceContext {
    /// Reads the headers of a request. What is not written as the standard says counts as absent.
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let traceparent = header("traceparent")?.trim();
        is_valid(traceparent).then(|| Self {
            traceparent: traceparent.to_owned(),
            tracestate: header("tracestate")
                .map(str::trim)
                .filter(|state| !state.is_empty() && state.len() <= MAX_STATE)
                .map(str::to_owned),
        })
    }
}

/// Whether a text is `version-trace-span-flags`; later versions may say more.
fn is_valid(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let named = |part: &str| part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let mut next = || parts.next().unwrap_or_default();
    let (version, trace, span, flags) = (next(), next(), next(), next());
    let more = parts.next().is_some();
    hex(version, 2)
        && version != "ff"
        && !(version == "00" && more)
        && hex(trace, 32)
        && named(trace)
        && hex(span, 16)
        && named(span)
        && hex(flags, 2)
}

/// What a span is to the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Answers somebody else's request.
    Server,
    /// A part of it.
    Internal,
    /// Asks somebody else.
    Client,
    /// Leaves work to be done later.
    Producer,
    /// Does that work.
    Consumer,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Who records spans.
pub trait Recorder: Send + Sync + 'static {
    /// Begins a span, now or at `since`.
    fn begin(
        &self,
        name: &str,
        kind: SpanKind,
        parent: Option<&TraceContext>,
        since: Option<Timestamp>,
    ) -> Box<dyn OpenSpan>;
}

/// A span that has not ended; dropping it ends it.
pub trait OpenSpan: Send + Sync {
    /// Its place, for spans below it.
    fn context(&self) -> TraceContext;
    /// Gives it another name.
    fn rename(&mut self, name: &str);
    /// Adds an attribute.
    fn set(&mut self, key: &'static str, value: Value);
    /// Says that it went wrong.
    fn fail(&mut self, why: &str);
}

/// A handle to whoever records spans, if anybody does.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<dyn Recorder>>);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.is_on()).finish()
    }
}

impl Traces {
    /// Traces that somebody records.
    pub fn new(recorder: Arc<dyn Recorder>) -> Self {
        Self(Some(recorder))
    }

    /// Whether anybody records.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span.
    pub fn begin(&self, name: &str, kind: SpanKind, parent: Option<&TraceContext>) -> Span {
        Span(self.0.as_ref().map(|recorder| recorder.begin(name, kind, parent, None)))
    }

    /// Begins a span that has lasted since then.
    pub(crate) fn begun(
        &self,
        name: &str,
        kind: SpanKind,
        parent: Option<&TraceContext>,
        since: Timestamp,
    ) -> Span {
        Span(self.0.as_ref().map(|recorder| recorder.begin(name, kind, parent, Some(since))))
    }
}

/// A span, or nothing where nobody records. It ends when it is dropped.
#[derive(Default)]
pub struct Span(Option<Box<dyn OpenSpan>>);

impl Span {
    /// Its place, for what is below it.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|span| span.context())
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: &str) {
        if let Some(span) = &mut self.0 {
            span.rename(name);
        }
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set(key, value.into());
        }
    }

    /// Says that it went wrong.
    pub fn fail(&mut self, why: &str) {
        if let Some(span) = &mut self.0 {
            span.fail(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[track_caller]
    fn check(traceparent: &str, tracestate: Option<&str>, state: Option<Option<&str>>) {
        let header = |name: &str| match name {
            "traceparent" => Some(traceparent),
            _ => tracestate,
        };
        let read = TraceContext::from_headers(header);
        let expected = state.map(|state| TraceContext {
            traceparent: traceparent.trim().into(),
            tracestate: state.map(str::to_owned),
        });
        assert_eq!(read, expected, "{traceparent}");
    }

    #[test]
    fn headers_are_read_as_the_standard_writes_them() {
        check(PARENT, None, Some(None));
        check(&format!(" {PARENT} "), Some("a=1,b=2"), Some(Some("a=1,b=2")));
        check(&PARENT.replacen("00", "cc", 1), Some(""), Some(None));
        check(&format!("{}-more", PARENT.replacen("00", "01", 1)), None, Some(None));
        check(PARENT, Some(&"x".repeat(513)), Some(None));
    }

    #[test]
    fn what_is_no_place_in_a_trace_counts_as_absent() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            check(wrong, None, None);
        }
        check(&format!("{PARENT}-more"), None, None);
    }
}
