//! What a cluster's network does to replicas that are half here and half there: read once, on both sides.
//!
//! The namespace's labels and NetworkPolicies, the pod networks of the other cluster, and whether the nodes cache DNS.
//! [`try_listeners`] is the one look that leaves the cluster: it opens a TCP connection to where a replica answers and
//! closes it again, without a byte, within [`limits::ROUTE_TIMEOUT`]. What these facts mean is said by the checks K14.

use std::{collections::BTreeMap, io, net::IpAddr};

use ferry_proto::agent::v1::Listener;
use futures::{StreamExt, stream::FuturesUnordered, try_join};
use k8s_openapi::api::{
    apps::v1::DaemonSet, core::v1::Namespace, discovery::v1::EndpointSlice, networking::v1::NetworkPolicy,
};
use kube::ResourceExt;
use tokio::net::TcpStream;

use super::read::{self, Exists, Optional};
use crate::{context::Context, limits, outcome::Stop};

/// Who manages the EndpointSlices that Kubernetes makes from a selector.
const KUBERNETES: &str = "endpointslice-controller.k8s.io";
/// Where and how the cache of each node is installed, as Kubernetes documents it.
const NODE_LOCAL_DNS: (&str, &str) = ("kube-system", "node-local-dns");

/// Network facts of one side.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Labels of the workload's namespace; empty if it does not exist.
    pub namespace_labels: BTreeMap<String, String>,
    /// NetworkPolicies of the namespace.
    pub policies: Optional<NetworkPolicy>,
    /// Whether NodeLocal DNSCache is installed under its usual name.
    pub node_local_dns: Exists,
    /// Pod networks that the other cluster declared.
    pub other_cidrs: Vec<String>,
}

impl Network {
    /// Reads them.
    pub(crate) async fn read(ctx: &Context, other_cidrs: &[String]) -> Result<Self, Stop> {
        let namespace = ctx.command.namespace.as_str();
        let (found, policies, node_local_dns) = try_join!(
            read::get_global::<Namespace>(ctx, namespace),
            read::permitted::<NetworkPolicy>(ctx, namespace),
            read::exists::<DaemonSet>(ctx, NODE_LOCAL_DNS.0, NODE_LOCAL_DNS.1),
        )?;
        Ok(Self {
            namespace_labels: found.map(|namespace| namespace.object.labels().clone()).unwrap_or_default(),
            policies: policies.map(|policy| policy.object),
            node_local_dns,
            other_cidrs: other_cidrs.to_vec(),
        })
    }
}

/// Where ready endpoints of slices made by Kubernetes take TCP connections: one port of each pod, then their next.
pub(crate) fn listeners(slices: &[EndpointSlice]) -> Vec<Listener> {
    let mut found = Vec::new();
    for slice in slices {
        let manager = slice.labels().get("endpointslice.kubernetes.io/managed-by").map(String::as_str);
        let ports = slice.ports.iter().flatten().filter(|port| port.protocol.as_deref() != Some("UDP"));
        let ports = ports.filter(|port| port.protocol.as_deref() != Some("SCTP"));
        let numbers: Vec<u32> =
            ports.filter_map(|port| u32::try_from(port.port?).ok().filter(|number| *number > 0)).collect();
        let all = slice.endpoints.iter().filter(|_| manager == Some(KUBERNETES));
        let ready = all.filter(|one| one.conditions.as_ref().is_none_or(|state| state.ready != Some(false)));
        for endpoint in ready {
            let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone()).unwrap_or_default();
            let Some(address) = endpoint.addresses.first() else { continue };
            let each = numbers.iter().enumerate();
            found.extend(each.map(|(rank, port)| {
                (rank, Listener { pod: pod.clone(), address: address.clone(), port: *port })
            }));
        }
    }
    found.sort_by(|(a, one), (b, other)| (a, &one.pod, one.port).cmp(&(b, &other.pod, other.port)));
    found.into_iter().map(|(_, listener)| listener).take(limits::LISTENERS).collect()
}

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// A connection was opened.
    Yes,
    /// Something at that address said no.
    Refused,
    /// No answer, or no way: what the system said.
    No(String),
}

/// Opens a connection to one after another at the same time; ends with the first that opens, else when all have failed.
pub(crate) async fn try_listeners(listeners: &[Listener]) -> Vec<(Listener, Reached)> {
    let tries = listeners.iter().take(limits::LISTENERS);
    let mut tries: FuturesUnordered<_> =
        tries.map(|listener| async move { (listener.clone(), reach(listener).await) }).collect();
    let mut tried = Vec::new();
    while let Some((listener, reached)) = tries.next().await {
        let is_open = reached == Reached::Yes;
        tried.push((listener, reached));
        if is_open {
            break;
        }
    }
    tried
}

async fn reach(listener: &Listener) -> Reached {
    let Ok(address) = listener.address.parse::<IpAddr>() else {
        return Reached::No("no address".to_owned());
    };
    let port = u16::try_from(listener.port).unwrap_or(0);
    match tokio::time::timeout(limits::ROUTE_TIMEOUT, TcpStream::connect((address, port))).await {
        Ok(Ok(_)) => Reached::Yes,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Reached::Refused,
        Ok(Err(error)) => Reached::No(error.to_string()),
        Err(_) => Reached::No(format!("no answer within {} s", limits::ROUTE_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
