//! K15: every node that holds a volume is alive and not given up.
//!
//! On a node that is not Ready nobody can say whether the pod still writes; and a node with the out-of-service taint
//! has its attachments deleted by force while the writer may live (H11). The step that waits for detach would end
//! UNKNOWN there, so the plan does not begin. Nodes are those that run a replica and those that any attachment of the
//! workload's volumes names.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::Node;

use super::{facts::Source, finding::refuse};

/// The taint by which a person says that a node is gone (KEP-2268).
pub(crate) const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Names of the nodes that run the slice's pods or that an attachment names.
pub(crate) fn concerned(facts: &Source) -> Vec<&str> {
    let pods = facts.shape.ordinals().filter_map(|ordinal| facts.pod(ordinal));
    let running = pods.filter_map(|pod| pod.object.spec.as_ref()?.node_name.as_deref());
    let attached = facts.attachments.iter().map(|attachment| attachment.spec.node_name.as_str());
    let mut names: Vec<_> = running.chain(attached).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    concerned(facts).into_iter().flat_map(|name| one(name, facts.nodes.get(name))).collect()
}

fn one(name: &str, node: Option<&Node>) -> Vec<Finding> {
    let subject = format!("Node/{name}");
    let Some(node) = node else {
        return vec![refuse(
            "K15-node-missing",
            subject,
            "no such node, but a pod or an attachment of the workload names it",
            "the node, so that it can be seen to let the disk go",
            "Find out whether the machine is off; Kubernetes then removes what it held, or a person must.",
        )];
    };
    let mut findings = Vec::new();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    if ready.map(|condition| condition.status.as_str()) != Some("True") {
        findings.push(refuse(
            "K15-node-not-ready",
            &subject,
            ready.map_or("no condition Ready".to_owned(), |condition| {
                format!(
                    "Ready is {}: {}",
                    condition.status,
                    condition.message.as_deref().unwrap_or("no message")
                )
            }),
            "Ready, so that its kubelet can be seen to unmount and detach",
            "Repair the node and plan again.",
        ));
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    if taints.into_iter().flatten().any(|taint| taint.key == OUT_OF_SERVICE) {
        findings.push(refuse(
            "K15-out-of-service",
            subject,
            format!("taint {OUT_OF_SERVICE}: its volumes are detached by force"),
            "no such taint",
            "Make sure that the machine is off, let Kubernetes move its pods, and remove the taint.",
        ));
    }
    findings
}

#[cfg(test)]
#[path = "k15_nodes_tests.rs"]
mod tests;
