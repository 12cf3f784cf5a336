//! What a node's own word is worth (handoff.md, K15, step 6, H11).
//!
//! That a pod and its VolumeAttachment are gone proves nothing if somebody or something forced them away while the
//! machine still writes. A node counts as alive and honest if it is the same object and the same boot as when the pod
//! ran there, Ready, and without the out-of-service taint; and its Lease must have been renewed after the pod's end.
//! Only the node's clock is used: one renewal is compared with an earlier one.

use ferry_proto::agent::v1::{NodeIdentity, VolumeId};
use serde_json::Value;

use super::object;

/// The taint by which a person declares a node dead; the attach-detach controller then detaches by force.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Where nodes keep their Leases.
pub(crate) const LEASES: &str = "kube-node-lease";

/// What is wrong with the node; nothing if it is Ready and in service.
pub(crate) fn fault(node: &Value) -> Option<String> {
    forced(node).or_else(|| {
        let mut conditions = object::items(node, "/status/conditions").iter();
        let ready = conditions.find(|condition| object::text(condition, "/type") == "Ready");
        match ready.map(|ready| (object::text(ready, "/status"), object::text(ready, "/message"))) {
            Some(("True", _)) => None,
            Some((status, message)) => Some(format!("is not Ready (status {status}: {message})")),
            None => Some("says nothing about being Ready".to_owned()),
        }
    })
}

/// Whether its volumes are detached by force.
pub(crate) fn forced(node: &Value) -> Option<String> {
    let mut taints = object::items(node, "/spec/taints").iter();
    taints
        .find(|taint| object::text(taint, "/key") == OUT_OF_SERVICE)
        .map(|_| format!("has the taint {OUT_OF_SERVICE}"))
}

/// How `node` is not the one of `expected` any more.
pub(crate) fn changed(node: Option<&Value>, expected: &NodeIdentity) -> Option<String> {
    let Some(node) = node else { return Some("does not exist any more".to_owned()) };
    let found = object::node_identity(node);
    if found.uid != expected.uid {
        Some(format!("has uid {}, expected {}: it was registered anew", found.uid, expected.uid))
    } else if found.boot_id != expected.boot_id {
        Some(format!("has boot id {}, expected {}: it was booted since", found.boot_id, expected.boot_id))
    } else {
        None
    }
}

/// Whether the kubelet says that the disk is in use.
pub(crate) fn uses(node: &Value, id: &VolumeId) -> bool {
    let name = format!("kubernetes.io/csi/{}^{}", id.driver, id.handle);
    object::items(node, "/status/volumesInUse").iter().any(|volume| volume.as_str() == Some(&name))
}

/// When a node's Lease was renewed last, by its own clock.
pub(crate) fn renewal(lease: Option<&Value>) -> Option<jiff::Timestamp> {
    object::text(lease?, "/spec/renewTime").parse().ok()
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
