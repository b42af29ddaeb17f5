//! An attempt in the log and in a trace: what every line about it says, and the span that lasts as long as it does.

use std::{sync::OnceLock, time::Duration};

use agent_server_storage::{Timestamp, runs::RunStatus};
use parking_lot::Mutex;

use super::{
    origin::{self, Origin},
    sink::Buffer,
};
use crate::{
    Domain,
    ports::RunOrder,
    trace::{Span, SpanKind},
};

/// Set when the attempt is launched; until then there is nothing to say.
#[derive(Default)]
pub(super) struct Circumstances {
    log: OnceLock<tracing::Span>,
    /// Ends with the attempt's buffer.
    trace: Mutex<Span>,
}

impl Circumstances {
    /// The span of the log; that of the caller before the attempt was launched.
    pub(super) fn log(&self) -> tracing::Span {
        self.log.get().cloned().unwrap_or_else(tracing::Span::current)
    }

    /// The run is over.
    pub(super) fn ended(&self, status: RunStatus, after: Duration) {
        let word = status.as_str();
        let mut trace = self.trace.lock();
        trace.set("langgraph.run_status", word);
        if matches!(status, RunStatus::Error | RunStatus::Timeout) {
            trace.fail(word);
        }
        let run_exec_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.log().in_scope(|| tracing::info!(status = word, run_exec_ms, "run ended: {word}"));
    }
}

impl Buffer {
    /// What is logged from now on is about the attempt.
    pub(super) fn enter(&self) -> tracing::span::EnteredSpan {
        self.circumstances.log().entered()
    }
}

impl Domain {
    /// Names the attempt in log and trace; the order then says where in the trace it stands.
    pub(super) fn trace_attempt(
        &self,
        order: RunOrder,
        buffer: &Buffer,
        due: Timestamp,
    ) -> RunOrder {
        let (lease, graph_id) = (order.lease, order.graph_id.as_str());
        let circumstances = &buffer.circumstances;
        // At the most important level, so that it is there however little is logged.
        let span = tracing::error_span!(
            "attempt",
            run_id = %lease.run_id,
            thread_id = %lease.thread_id,
            assistant_id = %order.assistant_id,
            graph_id,
            attempt = lease.attempt,
            request_id = tracing::field::Empty,
        );
        let traces = &self.0.options.traces;
        if span.is_disabled() && !traces.is_on() {
            return order;
        }
        let Origin { trace: parent, request_id } = origin::of(&order.kwargs);
        if let Some(request_id) = request_id {
            span.record("request_id", request_id);
        }
        // Only the first launch of a buffer is one.
        let _ = circumstances.log.set(span);
        if !traces.is_on() {
            return order;
        }
        let parent = parent.as_ref();
        let name = |span: &mut Span| {
            span.set("langgraph.run_id", lease.run_id.to_string());
            span.set("langgraph.thread_id", lease.thread_id.to_string());
            span.set("langgraph.graph_id", graph_id);
            span.set("langgraph.attempt", i64::from(lease.attempt));
        };
        name(&mut traces.begun("wait in queue", SpanKind::Internal, parent, due));
        let mut attempt = traces.begin("attempt", SpanKind::Consumer, parent);
        name(&mut attempt);
        attempt.rename(&format!("run {graph_id}"));
        attempt.set("langgraph.assistant_id", order.assistant_id.to_string());
        let trace = attempt.context();
        *circumstances.trace.lock() = attempt;
        RunOrder { trace, ..order }
    }
}
