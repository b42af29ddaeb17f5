//! Traces over OTLP: spans of the server, recorded by OpenTelemetry's SDK and sent in batches from a thread of its own.
//!
//! Spans are begun where the server works ([`agent_server_domain::trace`]), not derived from the log's: they are few, they may
//! begin before they are recorded, and their places in a trace survive a restart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_server_domain::{
    storage::Timestamp,
    trace::{OpenSpan, Recorder, SpanKind, TraceContext, Traces, Value},
};
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider, Span},
};
use tokio::runtime::Handle;

use crate::{config::telemetry::Telemetry, refusal::Result};

/// How long what is left may take to be sent when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// Sends traces.
#[derive(Debug)]
pub(crate) struct Otel(SdkTracerProvider);

impl Otel {
    /// Starts to send.
    ///
    /// Errors: the address or a header cannot be used.
    pub(crate) fn start(options: &Telemetry, runtime: &Handle) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(options.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let client =
            Client { client, runtime: runtime.clone(), is_failing: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&options.endpoint)
            .with_headers(options.headers.clone())
            .with_timeout(options.timeout)
            .build()?;
        let attributes = options.resource.iter().cloned();
        let attributes = attributes.map(|(name, value)| KeyValue::new(name, value));
        let share = match options.sampler.share {
            share if share >= 1.0 => Sampler::AlwaysOn,
            share if share <= 0.0 => Sampler::AlwaysOff,
            share => Sampler::TraceIdRatioBased(share),
        };
        let sampler = match options.sampler.parent_based {
            true => Sampler::ParentBased(Box::new(share)),
            false => share,
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_attributes(attributes).build())
            .build();
        Ok(Self(provider))
    }

    /// For those who begin spans.
    pub(crate) fn traces(&self) -> Traces {
        Traces::new(Arc::new(Sdk(self.0.tracer("agent-server"))))
    }

    /// Sends what is left.
    pub(crate) async fn shutdown(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!("the last traces may not have been sent: {error}");
        }
    }
}

/// The exporter's way out, with the HTTP client that the rest of the program has.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    /// The exporter's thread has none of its own.
    runtime: Handle,
    is_failing: AtomicBool,
}

impl Client {
    /// Says once that batches get lost, and once that they do not any more.
    fn note(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(why) if !was_failing => tracing::warn!("traces cannot be sent: {why}"),
            None if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let send = async move {
            let mut answer = client.execute(reqwest::Request::try_from(request)?).await?;
            let mut response = http::Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = std::mem::take(answer.headers_mut());
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        };
        let sent = self.runtime.spawn(send).await?;
        self.note(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        });
        sent
    }
}

struct Sdk(SdkTracer);

impl Recorder for Sdk {
    fn begin(
        &self,
        name: &str,
        kind: SpanKind,
        parent: Option<&TraceContext>,
        since: Option<Timestamp>,
    ) -> Box<dyn OpenSpan> {
        let mut builder = self.0.span_builder(name.to_owned()).with_kind(match kind {
            SpanKind::Server => opentelemetry::trace::SpanKind::Server,
            SpanKind::Internal => opentelemetry::trace::SpanKind::Internal,
            SpanKind::Client => opentelemetry::trace::SpanKind::Client,
            SpanKind::Producer => opentelemetry::trace::SpanKind::Producer,
            SpanKind::Consumer => opentelemetry::trace::SpanKind::Consumer,
        });
        if let Some(since) = since {
            builder = builder.with_start_time(since);
        }
        let around = match parent.and_then(remote) {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        Box::new(Open(self.0.build_with_context(builder, &around)))
    }
}

/// A place in a trace as the SDK knows it.
fn remote(context: &TraceContext) -> Option<SpanContext> {
    let mut parts = context.traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    // A state that cannot be read is left out, as the standard wants it.
    let state = context.tracestate.as_deref().and_then(|state| state.parse::<TraceState>().ok());
    let flags = TraceFlags::default().with_sampled(flags & 1 == 1);
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
}

/// Ends when it is dropped, as the SDK's spans do.
struct Open(Span);

impl OpenSpan for Open {
    fn context(&self) -> TraceContext {
        let context = self.0.span_context();
        let (trace, span) = (context.trace_id(), context.span_id());
        let state = context.trace_state().header();
        TraceContext {
            traceparent: format!("00-{trace}-{span}-{:02x}", u8::from(context.is_sampled())),
            tracestate: (!state.is_empty()).then_some(state),
        }
    }

    fn rename(&mut self, name: &str) {
        self.0.update_name(name.to_owned());
    }

    fn set(&mut self, key: &'static str, value: Value) {
        self.0.set_attribute(match value {
            Value::Text(text) => KeyValue::new(key, text),
            Value::Number(number) => KeyValue::new(key, number),
        });
    }

    fn fail(&mut self, why: &str) {
        self.0.set_status(Status::error(why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_trace_is_passed_on_as_it_was() {
        let provider = SdkTracerProvider::builder().build();
        let sdk = Sdk(provider.tracer("test"));
        let parent = TraceContext {
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            tracestate: Some("a=1,b=2".into()),
        };
        let child = sdk.begin("x", SpanKind::Internal, Some(&parent), None).context();
        assert!(child.traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert!(child.traceparent.ends_with("-01") && child.traceparent != parent.traceparent);
        assert_eq!(child.tracestate, parent.tracestate);

        let unsampled =
            TraceContext { traceparent: parent.traceparent.replace("-01", "-00"), ..parent };
        let child = sdk.begin("x", SpanKind::Internal, Some(&unsampled), None).context();
        assert!(child.traceparent.ends_with("-00"), "{child:?}");
    }
}
