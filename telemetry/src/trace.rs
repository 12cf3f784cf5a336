//! Spans of a migration, sent to a collector over OTLP/gRPC; off unless an endpoint is given.
//!
//! Nobody hands a context on: a migration's trace and the span of a command follow from their ids, which every process
//! knows. So what the controller and two agents send falls in one trace although they never speak of traces, also
//! after one of them was restarted. A span is data with a beginning and an end, made when it is over; what is out when
//! a process dies is not sent.
//!
//! A queue that is full and a collector that is away cost spans, and are counted; they never hold anything up.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

pub use opentelemetry::Value;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    exposition::{Exposition, Labelled},
    limits,
};

/// Where spans go: `http://HOST:PORT` of a collector that takes OTLP/gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected http://HOST:PORT of a collector that takes OTLP/gRPC, found {0:?}; to send over TLS, let a collector beside \
     this process do it"
)]
pub struct NoEndpoint(String);

/// The exporter cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the export of traces to {endpoint}: {reason}")]
pub struct Error {
    endpoint: String,
    reason: String,
}

impl std::str::FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let authority = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let port = authority.and_then(|authority| authority.rsplit_once(':'));
        match port {
            Some((host, port))
                if !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok() =>
            {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(NoEndpoint(text.to_owned())),
        }
    }
}

/// The trace of a migration: the same wherever it is asked for.
#[must_use]
pub fn trace_of(trust_domain: &str, migration: &str) -> TraceId {
    let digest = digest(&["migration", trust_domain, migration]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    TraceId::from_bytes(bytes)
}

/// The span that these words name: the same wherever it is asked for.
#[must_use]
pub fn span_of(words: &[&str]) -> SpanId {
    let digest = digest(words);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    SpanId::from_bytes(bytes)
}

fn digest(words: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update(word.len().to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finalize().into()
}

/// One span that is over.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub id: SpanId,
    /// What it is part of.
    pub parent: Option<SpanId>,
    /// Whether another process sends the parent.
    pub parent_elsewhere: bool,
    /// What was done.
    pub name: Cow<'static, str>,
    /// Beginning.
    pub started: SystemTime,
    /// End.
    pub ended: SystemTime,
    /// Names as in docs/observability.md.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it did not succeed.
    pub failed: Option<String>,
}

/// What became of spans.
#[derive(Clone, Debug)]
struct Fate {
    exported: Counter,
    dropped: Counter,
    failed: Counter,
}

/// Sends spans, or does nothing. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Traces {
    queue: Option<(mpsc::Sender<Span>, Fate)>,
}

/// The task that sends.
#[derive(Debug)]
pub struct Sending(JoinHandle<()>);

impl Traces {
    /// Nothing is sent.
    #[must_use]
    pub const fn off() -> Self {
        Self { queue: None }
    }

    /// Sends to `endpoint` as the service `service`, of which there may be several, told apart by `instance`. To be
    /// called inside a runtime. `metric` counts spans by `result`.
    ///
    /// # Errors
    /// The exporter cannot be set up. A collector that is away is none.
    pub fn start(
        endpoint: &Endpoint,
        (service, instance): (&'static str, &str),
        fates: &Labelled<Counter, 1>,
    ) -> Result<(Self, Sending), Error> {
        let mut exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.0.clone())
            .with_timeout(limits::EXPORT_TIMEOUT)
            .build()
            .map_err(|error| Error { endpoint: endpoint.0.clone(), reason: error.to_string() })?;
        let resource = Resource::builder_empty()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        exporter.set_resource(&resource);
        let fate = Fate {
            exported: fates.of(["exported"]),
            dropped: fates.of(["dropped"]),
            failed: fates.of(["failed"]),
        };
        let (queue, spans) = mpsc::channel(limits::SPAN_QUEUE);
        let sending = tokio::spawn(send_all(exporter, spans, fate.clone()));
        Ok((Self { queue: Some((queue, fate)) }, Sending(sending)))
    }

    /// Whether spans are worth making.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Sends a span some time.
    pub fn send(&self, span: Span) {
        if let Some((queue, fate)) = &self.queue
            && queue.try_send(span).is_err()
        {
            fate.dropped.inc();
        }
    }
}

impl Sending {
    /// Waits until what was sent before all [`Traces`] were dropped is with the collector, or has taken too long.
    pub async fn finish(self) {
        // What was not sent in time is lost, as with a process that is killed.
        let _late = timeout(limits::FLUSH_TIMEOUT, self.0).await;
    }
}

/// The counter that [`Traces::start`] takes, under the program's own prefix.
pub fn fates(exposition: &mut Exposition, name: &'static str) -> Labelled<Counter, 1> {
    exposition.counters(
        name,
        ["result"],
        "Spans `exported` to the collector, `failed` to be, or `dropped` because too many waited",
    )
}

async fn send_all(exporter: SpanExporter, mut spans: mpsc::Receiver<Span>, fate: Fate) {
    let mut away = false;
    while let Some(first) = spans.recv().await {
        let mut batch = vec![data(first)];
        let until = Instant::now() + limits::SPAN_DELAY;
        while batch.len() < limits::SPANS_AT_ONCE {
            match timeout_at(until, spans.recv()).await {
                Ok(Some(span)) => batch.push(data(span)),
                Ok(None) | Err(_) => break,
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match exporter.export(batch).await {
            Ok(()) => {
                fate.exported.inc_by(count);
                away = false;
            }
            Err(error) => {
                fate.failed.inc_by(count);
                if !away {
                    tracing::warn!(%error, "cannot export traces; said once until it works again");
                }
                away = true;
            }
        }
    }
}

fn data(span: Span) -> SpanData {
    let flags = TraceFlags::SAMPLED;
    let attributes = span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect();
    SpanData {
        span_context: SpanContext::new(span.trace, span.id, flags, false, TraceState::NONE),
        parent_span_id: span.parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: span.parent_elsewhere,
        span_kind: SpanKind::Internal,
        name: span.name,
        start_time: span.started,
        end_time: span.ended.max(span.started),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: match span.failed {
            Some(description) => Status::Error { description: description.into() },
            None => Status::Ok,
        },
        instrumentation_scope: InstrumentationScope::builder("ferry").build(),
    }
}

/// Unix milliseconds as a time.
#[must_use]
pub fn at_ms(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
