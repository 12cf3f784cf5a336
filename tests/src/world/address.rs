//! The address plan: one flat network without a way out, in which no two clusters share a range.
//!
//! A bridge carries 172.30.0.0/24: the control planes' addresses first, then twenty for the nodes of each
//! cluster. Pods of cluster k have 10.(61+k).0.0/16, a /24 for each node and the upper half for simulated
//! nodes; services 10.(71+k).0.0/16. What only a control plane's own parts talk to stays on 127.0.1.(1+k).
//! Every run has the same addresses, for each has a network namespace of its own.

use std::net::Ipv4Addr;

use super::limits;

/// The bridge that joins control planes and nodes.
pub(super) const BRIDGE: &str = "ferry0";

const LINK: [u8; 3] = [172, 30, 0];
const FIRST_NODE: u8 = 15;
const PODS: u8 = 61;
const SERVICES: u8 = 71;

/// The addresses of the cluster at a position in the world.
#[derive(Clone, Copy)]
pub(super) struct Plan(u8);

impl Plan {
    /// The plan for the cluster at `index`, which is below [`limits::MAX_CLUSTERS`].
    pub(super) fn new(index: usize) -> Self {
        assert!(index < limits::MAX_CLUSTERS, "a world has {} clusters at most", limits::MAX_CLUSTERS);
        Self(u8::try_from(index).unwrap_or(u8::MAX))
    }

    /// Where the API server and the DNS server listen.
    pub(super) fn control_plane(self) -> Ipv4Addr {
        Ipv4Addr::new(LINK[0], LINK[1], LINK[2], 1 + self.0)
    }

    /// Where etcd, the controller manager and the scheduler listen: out of the nodes' and pods' reach.
    pub(super) fn loopback(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 1, 1 + self.0)
    }

    /// The range of all the cluster's pods.
    pub(super) fn pods(self) -> String {
        format!("10.{}.0.0/16", PODS + self.0)
    }

    /// The part of [`Plan::pods`] that simulated nodes draw from.
    pub(super) fn simulated_pods(self) -> String {
        format!("10.{}.128.0/17", PODS + self.0)
    }

    /// The range of the cluster's virtual service addresses.
    pub(super) fn services(self) -> String {
        format!("10.{}.0.0/16", SERVICES + self.0)
    }

    /// The virtual address of the API server: the first of [`Plan::services`].
    pub(super) fn first_service(self) -> Ipv4Addr {
        Ipv4Addr::new(10, SERVICES + self.0, 0, 1)
    }

    /// The address of the node with `number`, counted from 1.
    pub(super) fn node(self, number: u8) -> Ipv4Addr {
        let nodes = u8::try_from(limits::MAX_NODES).unwrap_or(u8::MAX);
        assert!((1..=nodes).contains(&number), "a cluster has {nodes} nodes at most");
        Ipv4Addr::new(LINK[0], LINK[1], LINK[2], FIRST_NODE + self.0 * nodes + number)
    }

    /// The range of that node's pods.
    pub(super) fn node_pods(self, number: u8) -> String {
        format!("10.{}.{number}.0/24", PODS + self.0)
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
