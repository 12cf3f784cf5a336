//! What generic gRPC tools ask: health and reflection, behind the same table as every other call.
//!
//! `grpc.health.v1` says SERVING for each service and NOT_SERVING from the moment the controller begins to stop; a
//! probe without a certificate asks `/readyz` of the metrics listener instead. Reflection shows the descriptors that
//! the wire is generated from, so that `grpcurl` with a viewer's certificate needs no `.proto` file. Both are new
//! ways to ask what was public in the repository all along; nothing of the ledger is in them.

use ferry_proto::{
    admin::v1::admin_service_server::SERVICE_NAME as ADMIN,
    agent::v1::agent_service_server::SERVICE_NAME as AGENT,
    enroll::v1::enroll_service_server::SERVICE_NAME as ENROLL,
};
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::health_reporter,
};
pub use tonic_reflection::server::Error as ReflectionError;
use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};

use crate::limits;

/// The health service, until `shutdown` is cancelled and from then on.
pub async fn health(shutdown: &CancellationToken) -> HealthServer<impl Health + use<>> {
    let (reporter, service) = health_reporter();
    for name in [ADMIN, AGENT, ENROLL] {
        reporter.set_service_status(name, ServingStatus::Serving).await;
    }
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        for name in ["", ADMIN, AGENT, ENROLL] {
            reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    });
    service.max_decoding_message_size(limits::MAX_ADMIN_MESSAGE_BYTES)
}

/// The reflection service.
///
/// # Errors
/// The descriptors cannot be read: they were generated wrong.
pub fn reflection() -> Result<ServerReflectionServer<impl ServerReflection>, ReflectionError> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(ferry_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    Ok(builder.build_v1()?.max_decoding_message_size(limits::MAX_ADMIN_MESSAGE_BYTES))
}
