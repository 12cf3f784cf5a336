//! Turns another cluster's endpoints into the EndpointSlices to write, or says why not: pure.
//!
//! Nothing is taken on trust: an address outside the pod networks that its cluster declared would let one cluster
//! send another's traffic anywhere, so one such address refuses the whole mirror. Names are derived from Service,
//! origin and address family, so that a slice is found again by the next process and two origins never meet. No
//! `targetRef` and no `nodeName`: neither exists here.

use std::net::IpAddr;

use ferry_proto::agent::v1::{self as wire, Mirror};
use ipnet::IpNet;
use k8s_openapi::{
    api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use sha2::{Digest as _, Sha256};

use crate::limits;

/// Who manages mirrored slices.
pub const MANAGED_BY: &str = "agent.ferry.dev";
/// Label: the cluster that the endpoints come from.
pub const ORIGIN: &str = "ferry.dev/origin-cluster";
/// Label: the Service.
pub const SERVICE: &str = "kubernetes.io/service-name";
/// Label: who manages a slice.
pub const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// The local Service.
#[derive(Clone, Debug)]
pub struct LocalService {
    /// Its UID.
    pub uid: String,
    /// Whether it is headless: proxies skip its slices by a label.
    pub headless: bool,
}

/// Why a mirror is refused: trying again does not help.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It comes from here.
    #[error("the endpoints come from this cluster itself")]
    Echo,
    /// Too many.
    #[error("{0} endpoints; at most {max} are mirrored", max = limits::ENDPOINTS)]
    Many(usize),
    /// Not an address of the family.
    #[error("`{address}` is not an address of type {address_type}")]
    Address {
        /// What came.
        address: String,
        /// What it should be.
        address_type: String,
    },
    /// Outside the declared networks.
    #[error(
        "{address} is outside the pod networks that cluster {origin} declared ({networks}); give that cluster's agent \
         the right --pod-cidrs"
    )]
    Outside {
        /// The address.
        address: IpAddr,
        /// The cluster.
        origin: String,
        /// What it declared.
        networks: String,
    },
    /// A network that is none.
    #[error("`{0}` is not a network in CIDR notation")]
    Network(String),
    /// Not IPv4 or IPv6.
    #[error("address type `{0}` is not mirrored; IPv4 and IPv6 are")]
    Family(String),
    /// A port that is none.
    #[error("port {0} is out of range")]
    Port(u32),
    /// No origin.
    #[error("`{0}` is not the name of a cluster")]
    Origin(String),
}

/// Checks `mirror`; `own` is this cluster's name.
///
/// # Errors
/// The first reason against it.
pub fn check(mirror: &Mirror, own: &str) -> Result<(), Refusal> {
    let label = |text: &str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if mirror.origin == own {
        return Err(Refusal::Echo);
    }
    if !label(&mirror.origin) {
        return Err(Refusal::Origin(mirror.origin.clone()));
    }
    if mirror.endpoints.len() > limits::ENDPOINTS {
        return Err(Refusal::Many(mirror.endpoints.len()));
    }
    if !mirror.endpoints.is_empty() && !matches!(mirror.address_type.as_str(), "IPv4" | "IPv6") {
        return Err(Refusal::Family(mirror.address_type.clone()));
    }
    if let Some(port) = mirror.ports.iter().find(|port| port.port == 0 || port.port > u32::from(u16::MAX)) {
        return Err(Refusal::Port(port.port));
    }
    let networks = mirror
        .origin_pod_cidrs
        .iter()
        .map(|text| text.parse::<IpNet>().map_err(|_| Refusal::Network(text.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    mirror.endpoints.iter().try_for_each(|endpoint| inside(mirror, &networks, endpoint))
}

fn inside(mirror: &Mirror, networks: &[IpNet], endpoint: &wire::Endpoint) -> Result<(), Refusal> {
    let address = endpoint
        .address
        .parse::<IpAddr>()
        .ok()
        .filter(|address| address.is_ipv4() == (mirror.address_type == "IPv4"))
        .ok_or_else(|| Refusal::Address {
            address: endpoint.address.clone(),
            address_type: mirror.address_type.clone(),
        })?;
    if networks.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    let networks = mirror.origin_pod_cidrs.join(", ");
    Err(Refusal::Outside { address, origin: mirror.origin.clone(), networks })
}

/// The slices of a checked `mirror`, at most [`limits::ENDPOINTS_IN_SLICE`] endpoints each; none for no endpoints.
pub fn build(mirror: &Mirror, service: &LocalService) -> Vec<EndpointSlice> {
    let ports: Vec<_> = mirror.ports.iter().map(port).collect();
    mirror
        .endpoints
        .chunks(limits::ENDPOINTS_IN_SLICE)
        .enumerate()
        .map(|(n, endpoints)| EndpointSlice {
            metadata: metadata(mirror, service, n),
            address_type: mirror.address_type.clone(),
            endpoints: endpoints.iter().map(endpoint).collect(),
            ports: Some(ports.clone()),
        })
        .collect()
}

/// Selects the slices that mirror `origin`'s endpoints of `service`.
pub fn selector(service: &str, origin: &str) -> String {
    format!("{SERVICE}={service},{SLICE_MANAGED_BY}={MANAGED_BY},{ORIGIN}={origin}")
}

fn metadata(mirror: &Mirror, service: &LocalService, n: usize) -> ObjectMeta {
    let mut labels: std::collections::BTreeMap<String, String> = [
        (SERVICE, mirror.service.as_str()),
        (SLICE_MANAGED_BY, MANAGED_BY),
        (ORIGIN, &mirror.origin),
        ("app.kubernetes.io/managed-by", "ferry"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if service.headless {
        labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
    }
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        name: mirror.service.clone(),
        uid: service.uid.clone(),
        ..OwnerReference::default()
    };
    ObjectMeta {
        name: Some(name(mirror, n)),
        namespace: Some(mirror.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}

fn name(mirror: &Mirror, n: usize) -> String {
    let identity = format!("{}\0{}\0{}", mirror.service, mirror.origin, mirror.address_type);
    let digest = Sha256::digest(identity);
    let short: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-ferry-{short}-{n}", mirror.service)
}

fn endpoint(endpoint: &wire::Endpoint) -> Endpoint {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    Endpoint {
        addresses: vec![endpoint.address.clone()],
        hostname: some(&endpoint.hostname),
        conditions: Some(EndpointConditions {
            ready: Some(endpoint.ready),
            serving: Some(endpoint.serving),
            terminating: Some(endpoint.terminating),
        }),
        zone: some(&endpoint.zone),
        ..Endpoint::default()
    }
}

fn port(port: &wire::EndpointPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        protocol: Some(if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() }),
        port: i32::try_from(port.port).ok(),
        app_protocol: (!port.app_protocol.is_empty()).then(|| port.app_protocol.clone()),
    }
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
