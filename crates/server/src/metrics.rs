//! Figures about the server, for `GET /metrics`: requests counted here, the engine's counted by the domain
//! ([`agent_server_domain::measure`]), all of them in the registry of the process.
//!
//! Source: reference/assistants-crons-store-system.md, 4.3.

use std::sync::LazyLock;

use agent_server_client::types;
use agent_server_domain::measure::{BUCKETS_MS, Figures};
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, TextEncoder, proto::MetricFamily,
    register_gauge, register_gauge_vec, register_histogram_vec, register_int_counter_vec,
};
use tokio::time::Instant;

use crate::docs;

/// What every name of ours begins with, unless the operator wants something else there.
pub const PREFIX: &str = "lg_api_";

/// Requests to these, and to the parts of the page, say nothing about the work of the server.
const UNCOUNTED: [&str; 5] = ["/ok", "/info", "/metrics", "/docs", "/openapi.json"];

const UNIQUE: &str = "a name is registered once";
const REQUESTS_NAME: &str = "lg_api_http_requests_total";

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let labels = ["method", "path", "status"];
    register_int_counter_vec!(REQUESTS_NAME, "Requests that were answered", &labels).expect(UNIQUE)
});

static LATENCY: LazyLock<HistogramVec> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "lg_api_http_requests_latency",
        "Time from a request to the head of its answer, ms; the events of a stream follow it",
    );
    let options = options.buckets(BUCKETS_MS.into());
    register_histogram_vec!(options, &["method", "path"]).expect(UNIQUE)
});

static CUT_OFF: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Clients that were cut off: they took nothing (stalled), or events were gone before they took them (behind)";
    register_int_counter_vec!("lg_api_cut_off_clients_total", help, &["reason"]).expect(UNIQUE)
});

static LIMITED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Requests that a limit refused";
    register_int_counter_vec!("lg_api_limited_requests_total", help, &["limit"]).expect(UNIQUE)
});

fn gauge(name: &str, help: &str) -> Gauge {
    register_gauge!(name, help).expect(UNIQUE)
}

/// Gauges that are set when somebody asks.
struct Gauges {
    pending: Gauge,
    running: Gauge,
    oldest_wait: Gauge,
    workers_max: Gauge,
    workers_active: Gauge,
    workers_available: Gauge,
    memory: GaugeVec,
    loop_lag: GaugeVec,
}

static GAUGES: LazyLock<Gauges> = LazyLock::new(|| Gauges {
    pending: gauge("lg_api_num_pending_runs", "Runs that are due and wait"),
    running: gauge("lg_api_num_running_runs", "Runs that execute"),
    oldest_wait: gauge("lg_api_pending_runs_wait_time_max", "Longest wait of a pending run, ms"),
    workers_max: gauge("lg_api_workers_max", "Slots for runs"),
    workers_active: gauge("lg_api_workers_active", "Slots in use"),
    workers_available: gauge("lg_api_workers_available", "Slots that are free"),
    memory: register_gauge_vec!(
        "lg_api_worker_memory_bytes",
        "Memory that a worker process occupies",
        &["worker"]
    )
    .expect(UNIQUE),
    loop_lag: register_gauge_vec!(
        "lg_api_worker_loop_lag",
        "Time that a worker's event loop took, or has taken so far, to answer, ms",
        &["worker"]
    )
    .expect(UNIQUE),
});

/// Counts a request; a layer. Paths are those of the document, so that their number is bounded.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path_text = path.as_ref().map_or("", MatchedPath::as_str);
    if UNCOUNTED.contains(&path_text) || docs::PARTS.contains(&path_text) {
        return next.run(request).await;
    }
    let (method, begin) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    let method = method.as_str();
    REQUESTS.with_label_values(&[method, path_text, response.status().as_str()]).inc();
    let took = begin.elapsed().as_secs_f64() * 1e3;
    LATENCY.with_label_values(&[method, path_text]).observe(took);
    response
}

/// Why a client is cut off.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slow {
    /// It took nothing.
    Stalled,
    /// Events were gone before it took them.
    Behind,
}

/// Counts a client that was cut off.
pub(crate) fn count_cut_off(reason: Slow) {
    let reason = match reason {
        Slow::Stalled => "stalled",
        Slow::Behind => "behind",
    };
    CUT_OFF.with_label_values(&[reason]).inc();
}

/// Counts a request that a limit refused. Limits are those of the settings, so that their number is bounded.
pub(crate) fn count_limited(limit: &str) {
    LIMITED.with_label_values(&[limit]).inc();
}

/// The figures in the text format of Prometheus; our names begin with `prefix`.
pub(crate) fn prometheus(figures: &Figures, prefix: &str) -> String {
    set_gauges(figures);
    let mut families = prometheus::gather();
    if prefix != PREFIX {
        for family in &mut families {
            if let Some(rest) = family.name().strip_prefix(PREFIX) {
                let name = format!("{prefix}{rest}");
                family.set_name(name);
            }
        }
    }
    TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        String::new()
    })
}

/// The figures as JSON.
pub(crate) fn json(figures: &Figures) -> types::MetricsReport {
    let waits = figures.waits(false);
    let (max, active) = slots(figures);
    types::MetricsReport {
        queue: types::QueueMetrics {
            n_pending: waits.len() as i64,
            n_running: figures.queue.running as i64,
            pending_runs_wait_time_max_secs: waits.first().copied(),
            pending_runs_wait_time_med_secs: waits.get(waits.len() / 2).copied(),
            pending_unblocked_runs_wait_time_max_secs: figures.waits(true).first().copied(),
        },
        api: types::ApiMetrics { http_requests_total: requests(&prometheus::gather()) },
        workers: (max > 0).then(|| types::WorkerMetrics {
            max: max as i64,
            active: active as i64,
            available: max.saturating_sub(active) as i64,
        }),
        postgres: None,
        redis: None,
    }
}

fn requests(families: &[MetricFamily]) -> Vec<types::HttpRequestCount> {
    let family = families.iter().find(|family| family.name() == REQUESTS_NAME);
    let counts = family.map(MetricFamily::get_metric).unwrap_or_default();
    counts
        .iter()
        .map(|metric| {
            let label = |name: &str| {
                let labels = metric.get_label().iter();
                labels.filter(|label| label.name() == name).map(|label| label.value()).collect()
            };
            let status: String = label("status");
            types::HttpRequestCount {
                method: label("method"),
                path: label("path"),
                status: status.parse().unwrap_or_default(),
                count: metric.get_counter().get_value() as i64,
            }
        })
        .collect()
}

/// All slots of workers, and those in use.
fn slots(figures: &Figures) -> (usize, usize) {
    let workers = figures.workers.iter();
    workers.fold((0, 0), |(max, active), worker| (max + worker.room, active + worker.runs))
}

fn set_gauges(figures: &Figures) {
    let (max, active) = slots(figures);
    let gauges = &*GAUGES;
    gauges.pending.set(figures.queue.waiting.len() as f64);
    gauges.running.set(figures.queue.running as f64);
    gauges.oldest_wait.set(figures.waits(false).first().copied().unwrap_or_default() * 1e3);
    gauges.workers_max.set(max as f64);
    gauges.workers_active.set(active as f64);
    gauges.workers_available.set(max.saturating_sub(active) as f64);
    // Workers come and go.
    gauges.memory.reset();
    gauges.loop_lag.reset();
    for worker in &figures.workers {
        let label = worker.index.to_string();
        if let Some(bytes) = worker.memory_bytes {
            gauges.memory.with_label_values(&[&label]).set(bytes as f64);
        }
        gauges.loop_lag.with_label_values(&[&label]).set(worker.loop_lag_ms);
    }
}
