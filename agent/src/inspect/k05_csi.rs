//! K5: each volume is CSI, its driver is in both clusters, and detach can be proven.
//!
//! An in-tree volume has no handle that another cluster could take. A driver with `attachRequired: false` makes no
//! VolumeAttachment, so its absence proves nothing (I1): refused until an adapter for that driver supplies proof of
//! detach. In the target the driver has to be registered, on a node at least, with the Secrets that the volumes name
//! by namespace and name: they do not travel.

use std::collections::BTreeSet;

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeSpec, SecretReference,
};
use serde_json::Value;

use super::{
    facts::{Source, Target},
    finding::{note, refuse, warn},
    read::{Exists, Seen},
};

/// Fields of a PersistentVolume's spec that are no volume source.
const NOT_A_SOURCE: [&str; 8] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeMode",
];

/// Name of a volume's source as its spec has it, `csi` or an in-tree plugin; nothing if it has none.
pub(crate) fn source_of(volume: &Seen<PersistentVolume>) -> Option<String> {
    let spec = volume.json.get("spec")?.as_object()?;
    let other = "volumeAttributesClassName";
    let source = spec.iter().find(|(key, value)| {
        !NOT_A_SOURCE.contains(&key.as_str()) && key.as_str() != other && matches!(value, Value::Object(_))
    });
    source.map(|(key, _)| key.clone())
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut drivers = BTreeSet::new();
    for (name, volume) in &facts.volumes {
        let subject = format!("PersistentVolume/{name}");
        let csi = volume.object.spec.as_ref().and_then(|spec| spec.csi.as_ref());
        match (csi, source_of(volume).as_deref()) {
            (Some(csi), _) => {
                drivers.insert(csi.driver.as_str());
            }
            // Named by K12, with what to do about them.
            (None, Some("hostPath" | "local")) => {}
            (None, source) => findings.push(refuse(
                "K5-in-tree",
                subject,
                format!("an in-tree volume: {}", source.unwrap_or("no source")),
                "a CSI volume: driver and volumeHandle are what both clusters know a disk by",
                "Migrate the volume to its CSI driver first (CSI migration leaves the in-tree object as it is).",
            )),
        }
    }
    for driver in drivers {
        match facts.drivers.get(driver) {
            Some(registered) if registered.spec.attach_required == Some(false) => {
                findings.push(attach_not_required(driver));
            }
            Some(_) => {}
            None => findings.push(warn(
                "K5-driver-unregistered",
                format!("CSIDriver/{driver}"),
                "no CSIDriver object in the source; Kubernetes then assumes that attach is required",
                "the driver's own CSIDriver object",
                "Install the driver's CSIDriver object, so that what it says of attaching can be read.",
            )),
        }
    }
    findings
}

/// Checks the target.
pub(crate) fn check_target(facts: &Target, volumes: &[PersistentVolume]) -> Vec<Finding> {
    let specs = volumes.iter().filter_map(|volume| volume.spec.as_ref()?.csi.as_ref());
    let drivers: BTreeSet<_> = specs.map(|csi| csi.driver.as_str()).collect();
    let mut findings = Vec::new();
    for driver in drivers {
        match facts.drivers.get(driver) {
            None => findings.push(refuse(
                "K5-driver-missing",
                format!("CSIDriver/{driver}"),
                "no CSIDriver object in the target",
                "the driver that serves the workload's volumes",
                "Install the driver in the target, set to reach the same storage, and plan again.",
            )),
            Some(registered) if registered.spec.attach_required == Some(false) => {
                findings.push(attach_not_required(driver));
            }
            Some(_) => findings.extend(on_no_node(facts, driver)),
        }
    }
    for (secret, exists) in &facts.volume_secrets {
        match exists {
            Exists::Yes => {}
            Exists::No => findings.push(refuse(
                "K5-secret-missing",
                format!("Secret/{secret}"),
                "not in the target, but a volume names it",
                "the Secret, under the same namespace and name",
                "Create it in the target: the driver needs it to attach or mount the volume. Secrets never travel.",
            )),
            Exists::Unknown(said) => findings.push(note(
                "K5-secret-unreadable",
                format!("Secret/{secret}"),
                format!("the agent may not ask for it: {said}"),
                "that it exists",
                "Make sure yourself that it is in the target, or let the agent get it.",
            )),
        }
    }
    findings
}

/// Secrets that `volume` names, as `namespace/name`.
pub(crate) fn secrets(volume: &PersistentVolumeSpec) -> Vec<String> {
    volume.csi.as_ref().map(csi_secrets).unwrap_or_default()
}

fn csi_secrets(csi: &CSIPersistentVolumeSource) -> Vec<String> {
    let references = [
        &csi.node_stage_secret_ref,
        &csi.node_publish_secret_ref,
        &csi.node_expand_secret_ref,
        &csi.controller_publish_secret_ref,
        &csi.controller_expand_secret_ref,
    ];
    references.into_iter().flatten().filter_map(named).collect()
}

fn named(reference: &SecretReference) -> Option<String> {
    Some(format!("{}/{}", reference.namespace.as_ref()?, reference.name.as_ref()?))
}

fn on_no_node(facts: &Target, driver: &str) -> Option<Finding> {
    let mut registered = facts.csi_nodes.iter().flat_map(|node| node.spec.drivers.iter());
    if registered.any(|found| found.name == driver) {
        return None;
    }
    Some(refuse(
        "K5-driver-on-no-node",
        format!("CSIDriver/{driver}"),
        "registered in the target, but by no node's kubelet (CSINode)",
        "the driver's node plugin on the nodes that are to run the replicas",
        "Run the driver's node plugin (a DaemonSet, as a rule) in the target and plan again.",
    ))
}

fn attach_not_required(driver: &str) -> Finding {
    refuse(
        "K5-attach-not-required",
        format!("CSIDriver/{driver}"),
        "attachRequired: false: no VolumeAttachment says when the disk is let go",
        "attachRequired: true, so that detach can be proven before the other cluster attaches",
        "Such volumes cannot be moved yet: there is no adapter for this driver that proves detach.",
    )
}

#[cfg(test)]
#[path = "k05_csi_tests.rs"]
mod tests;
