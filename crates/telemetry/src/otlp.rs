//! Spans of requests whose traces are kept, sent to a collector: OTLP over HTTP, in JSON.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use edge_cache_core::TierName;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Event, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use tokio::sync::{mpsc, oneshot};

use crate::finished::{Finished, OnFinished, protocol};

/// Spans that wait to be sent at most; what comes beyond is dropped and counted.
const WAITING_MAX: usize = 2048;
/// Spans sent at once at most.
const BATCH: usize = 512;
/// Longest time that a span waits.
const PAUSE: Duration = Duration::from_secs(1);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("no spans can be sent to {endpoint}")]
pub struct OtlpError {
    endpoint: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Sends spans to a collector, in a task of its own. Spans are dropped, and counted, where the collector is too slow.
#[derive(Clone, Debug)]
pub struct OtlpSpans {
    waiting: mpsc::Sender<Item>,
    dropped: Arc<AtomicU64>,
    scope: InstrumentationScope,
}

impl OtlpSpans {
    /// Begins to send to `endpoint`, `http://HOST:4318/v1/traces`. It must be called on a Tokio runtime.
    ///
    /// # Errors
    /// When the endpoint is none.
    pub fn start(endpoint: &str) -> Result<Self, OtlpError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(endpoint)
            .with_timeout(Duration::from_secs(5))
            .build();
        let mut exporter =
            exporter.map_err(|error| OtlpError { endpoint: endpoint.to_owned(), source: Box::new(error) })?;
        exporter.set_resource(&Resource::builder_empty().with_service_name("edge-cache").build());
        let (waiting, spans) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::<AtomicU64>::default();
        tokio::spawn(send(exporter, spans, Arc::clone(&dropped)));
        let scope = InstrumentationScope::builder("edge-cache").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { waiting, dropped, scope })
    }

    /// Spans that were lost because the collector took them too slowly, or not at all.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl OnFinished for OtlpSpans {
    fn finished(&self, request: &Finished<'_>) {
        let span = Box::new(span(request, self.scope.clone()));
        if self.waiting.try_send(Item::Span(span)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (sent, is_sent) = oneshot::channel();
            if self.waiting.send(Item::Flush(sent)).await.is_ok() {
                // Whoever sends has ended: then nothing waits.
                drop(is_sent.await);
            }
        })
    }
}

/// What the sender is given.
#[derive(Debug)]
enum Item {
    Span(Box<SpanData>),
    /// What came before is to be sent now; then this is told.
    Flush(oneshot::Sender<()>),
}

async fn send(exporter: SpanExporter, mut items: mpsc::Receiver<Item>, dropped: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    loop {
        let mut told = None;
        let deadline = tokio::time::Instant::now() + PAUSE;
        let mut is_open = true;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(deadline, items.recv()).await {
                Ok(Some(Item::Span(span))) => batch.push(*span),
                Ok(Some(Item::Flush(sent))) => {
                    told = Some(sent);
                    break;
                }
                Ok(None) => {
                    is_open = false;
                    break;
                }
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            let sent = batch.len() as u64;
            if let Err(error) = exporter.export(std::mem::take(&mut batch)).await {
                dropped.fetch_add(sent, Ordering::Relaxed);
                tracing::debug!(error = &error as &dyn std::error::Error, sent, "the collector took no spans");
            }
        }
        if let Some(told) = told {
            // Nobody may be waiting any more.
            drop(told.send(()));
        }
        if !is_open {
            return;
        }
    }
}

/// A server's span, with the attributes that OpenTelemetry's conventions for HTTP name, and each decision as an event.
fn span(request: &Finished<'_>, scope: InstrumentationScope) -> SpanData {
    let began = u64::try_from(request.at.as_millis()).unwrap_or(0);
    let start_time = UNIX_EPOCH + Duration::from_millis(began);
    let status = request.status.as_u16();
    let mut attributes = vec![
        KeyValue::new("http.request.method", request.method.as_str().to_owned()),
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("http.route", request.route.to_owned()),
        KeyValue::new("url.path", request.uri.path().to_owned()),
        KeyValue::new("network.protocol.version", protocol(request.version).trim_start_matches("HTTP/")),
        KeyValue::new("http.response.body.size", i64::try_from(request.body_bytes).unwrap_or(i64::MAX)),
        KeyValue::new("edge_cache.result", request.outcome.served.as_str()),
        KeyValue::new("edge_cache.tier", request.outcome.tier.map_or("origin", TierName::as_str)),
        KeyValue::new("edge_cache.cache_status", request.cache_status.to_owned()),
    ];
    if let Some(host) = request.host.map(HeaderValue::as_bytes) {
        attributes.push(KeyValue::new("server.address", String::from_utf8_lossy(host).into_owned()));
    }
    if let Some(client) = request.client {
        attributes.push(KeyValue::new("client.address", client.to_string()));
    }
    if let Some(age) = request.age {
        attributes.push(KeyValue::new("edge_cache.age", i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    }
    SpanData {
        span_context: context(request.context.trace, request.context.id.0),
        parent_span_id: request
            .context
            .parent
            .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_be_bytes())),
        parent_span_is_remote: request.context.parent.is_some(),
        span_kind: SpanKind::Server,
        name: format!("{} {}", request.method, request.route).into(),
        start_time,
        end_time: start_time + request.took,
        attributes,
        dropped_attributes_count: 0,
        events: events(request, start_time),
        links: SpanLinks::default(),
        // Of a server's span only what is its own fault is an error.
        status: if request.status.is_server_error() { Status::error(status.to_string()) } else { Status::Unset },
        instrumentation_scope: scope,
    }
}

fn events(request: &Finished<'_>, began: SystemTime) -> SpanEvents {
    let mut events = SpanEvents::default();
    for step in request.trail.into_iter().flat_map(|trail| trail.steps()) {
        let who = vec![KeyValue::new("edge_cache.who", step.who)];
        events.events.push(Event::new(step.what, began + step.at, who, 0));
    }
    events
}

fn context(trace: u128, span: u64) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.to_be_bytes()),
        SpanId::from_bytes(span.to_be_bytes()),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}
