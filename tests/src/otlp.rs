//! A collector for tests: takes spans over OTLP/gRPC and keeps them.
//!
//! It is the receiving end of the protocol and nothing more, so that what a test sees is what any collector would:
//! services, traces, parents, attributes. Attributes are kept as text. It stands beside what it listens to and shares
//! no code with the sending side but the protocol's own types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Most spans that are kept; what comes after is refused, so that a test that floods it fails.
const SPANS: usize = 100_000;

/// One span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// `service.name` and `service.instance.id` of who sent it.
    pub service: String,
    /// Its trace.
    pub trace: Vec<u8>,
    /// Itself.
    pub id: Vec<u8>,
    /// What it is part of; empty if nothing.
    pub parent: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Beginning and end, Unix time in nanoseconds.
    pub times: (u64, u64),
}

/// A collector that listens until it is dropped.
#[derive(Debug)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn listen(address: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let service = TraceServiceServer::new(Receiver(Arc::clone(&spans)));
        let serving = tokio::spawn(async move {
            let served = Server::builder().add_service(service);
            // It ends with its task; what it could not take the senders count.
            let _ended = served.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Self { spans, serving })
    }

    /// What has arrived.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Receiver(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for group in request.into_inner().resource_spans {
            let resource = texts(group.resource.unwrap_or_default().attributes);
            let part = |name: &str| resource.get(name).cloned().unwrap_or_default();
            let service = format!("{} {}", part("service.name"), part("service.instance.id"));
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                if kept.len() == SPANS {
                    return Err(Status::resource_exhausted("too many spans for a test"));
                }
                kept.push(Span {
                    service: service.clone(),
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    name: span.name,
                    attributes: texts(span.attributes),
                    times: (span.start_time_unix_nano, span.end_time_unix_nano),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(set)) => set.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
