//! Builds the report of one Service from the tables of its namespace: pure.
//!
//! Conditions are copied as the slice has them, with the defaults of the API where they are absent (`ready` absent is
//! true, `serving` absent is as `ready`). A Service with both address families is reported by its first one. Whether
//! a pod is Ready comes from the pod itself, and only if it is still the pod that the endpoint names.

use ferry_proto::agent::v1::{Endpoint, EndpointPort, EndpointsReport};

use crate::{
    limits,
    watch::{object, table::Table},
};

/// What is kept of a namespace.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) services: Table<Service>,
    pub(super) slices: Table<Slice>,
    pub(super) pods: Table<Pod>,
}

impl Tables {
    /// Whether each was filled once.
    pub(super) fn is_complete(&self) -> bool {
        self.services.is_complete() && self.slices.is_complete() && self.pods.is_complete()
    }
}

/// A Service: its first address family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    family: String,
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    service: String,
    address_type: String,
    endpoints: Vec<object::Endpoint>,
    ports: Vec<object::Port>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pod {
    uid: String,
    ready: bool,
}

pub(super) fn service(object: object::Service) -> (String, Option<Service>) {
    let family = object.spec.ip_families.into_iter().next().unwrap_or_else(|| "IPv4".to_owned());
    (object.metadata.name, Some(Service { family }))
}

pub(super) fn slice(object: object::EndpointSlice) -> (String, Option<Slice>) {
    let slice = Slice {
        service: object.metadata.labels.service,
        address_type: object.address_type,
        endpoints: object.endpoints.unwrap_or_default(),
        ports: object.ports.unwrap_or_default(),
    };
    (object.metadata.name, Some(slice))
}

pub(super) fn pod(object: object::Pod) -> (String, Option<Pod>) {
    (object.metadata.name, Some(Pod { uid: object.metadata.uid, ready: object.status.is_ready() }))
}

/// The report of `service`, with revision 0.
pub(super) fn build(namespace: &str, service: &str, tables: &Tables) -> EndpointsReport {
    let known = tables.services.at(service);
    let address_type = known.map_or("IPv4", |service| &service.family);
    let slices = || {
        let of_service = move |slice: &&Slice| slice.service == service && slice.address_type == address_type;
        tables.slices.iter().map(|(_, slice)| slice).filter(of_service)
    };
    let mut endpoints: Vec<_> = slices()
        .flat_map(|slice| &slice.endpoints)
        .flat_map(|endpoint| endpoint.addresses.iter().map(move |address| of(tables, endpoint, address)))
        .collect();
    endpoints
        .sort_by(|a, b| (&a.hostname, &a.address, &a.pod_uid).cmp(&(&b.hostname, &b.address, &b.pod_uid)));
    if endpoints.len() > limits::ENDPOINTS {
        tracing::warn!(
            namespace,
            service,
            endpoints = endpoints.len(),
            most = limits::ENDPOINTS,
            "not all reported"
        );
        endpoints.truncate(limits::ENDPOINTS);
    }
    let mut ports: Vec<_> = slices().flat_map(|slice| &slice.ports).filter_map(port).collect();
    ports.sort_by(|a, b| (&a.name, a.port, &a.protocol).cmp(&(&b.name, b.port, &b.protocol)));
    ports.dedup();
    EndpointsReport {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        revision: 0,
        service_exists: known.is_some(),
        endpoints,
        ports,
        address_type: address_type.to_owned(),
    }
}

fn of(tables: &Tables, endpoint: &object::Endpoint, address: &str) -> Endpoint {
    let pod = endpoint.target_ref.as_ref();
    let ready = endpoint.conditions.ready.unwrap_or(true);
    Endpoint {
        address: address.to_owned(),
        hostname: endpoint.hostname.clone().unwrap_or_default(),
        ready,
        serving: endpoint.conditions.serving.unwrap_or(ready),
        terminating: endpoint.conditions.terminating.unwrap_or(false),
        zone: endpoint.zone.clone().unwrap_or_default(),
        pod_ready: pod.is_some_and(|named| {
            tables.pods.at(&named.name).is_some_and(|pod| pod.uid == named.uid && pod.ready)
        }),
        pod_uid: pod.map(|named| named.uid.clone()).unwrap_or_default(),
    }
}

/// A port; none for one without a number, which means all ports and cannot be said to the controller.
fn port(port: &object::Port) -> Option<EndpointPort> {
    Some(EndpointPort {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        port: port.port.filter(|number| *number != 0)?,
        app_protocol: port.app_protocol.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
