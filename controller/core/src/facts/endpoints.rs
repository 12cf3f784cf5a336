//! Endpoints as clusters report them and as they are mirrored (network.md).
//!
//! A report is a cluster's own endpoints only; a mirror is one cluster's report on its way into another. Revisions
//! compare only within one process of the origin's agent, so each travels with that process's id.
//! Where they go, and when they have converged, is decided in `core::mirrors` and `migration::gate`.

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, ServiceName};

/// Own endpoints of one governed Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointsReport {
    /// The Service.
    pub service: ServiceName,
    /// Rises with each change in one agent process.
    pub revision: u64,
    /// Whether the Service exists there.
    pub service_exists: bool,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Ports of the slices.
    pub ports: Vec<EndpointPort>,
    /// IPv4 or IPv6.
    pub address_type: String,
}

/// One endpoint (discovery.k8s.io/v1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub address: String,
    /// The pod's host name; empty if the pod has none.
    pub hostname: String,
    /// Condition `ready`, as the origin's slice has it.
    pub ready: bool,
    /// Condition `serving`.
    pub serving: bool,
    /// Condition `terminating`.
    pub terminating: bool,
    /// Zone; empty if unknown.
    pub zone: String,
    /// Whether the pod itself is Ready (H21).
    pub pod_ready: bool,
    /// UID of the pod.
    pub pod_uid: String,
}

/// One port of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// Name; may be empty.
    pub name: String,
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// Number, 1 to 65535.
    pub port: u32,
    /// `appProtocol`; empty if none.
    pub app_protocol: String,
}

/// One cluster's endpoints, to be written in another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The cluster they come from.
    pub origin: ClusterName,
    /// Its report.
    pub report: EndpointsReport,
    /// Pod networks that the origin declared.
    pub origin_pod_cidrs: Vec<String>,
    /// `Resync.instance_id` of the origin.
    pub origin_instance_id: String,
}

/// Mirrored endpoints were written, or could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorApplied {
    /// The Service.
    pub service: ServiceName,
    /// The cluster they come from.
    pub origin: ClusterName,
    /// The revision now written.
    pub revision: u64,
    /// `Mirror.origin_instance_id`.
    pub origin_instance_id: String,
    /// Why it could not be written; empty when it was.
    pub error: String,
}
