//! What is kept of each object: see the parent module for why so little.
//!
//! Each function says under which key an object is kept, and what of it; `None` for an object that no report needs.
//! Volumes and claims are kept when their claim's name ends in an ordinal, whether or not the StatefulSet is known:
//! it may arrive later.

use ipnet::IpNet;

use super::{ordinal_of, quantity};
use crate::{executor::epochs::PREFIX, watch::object};

/// In-tree volume plugins by the name of their field in a PersistentVolume's spec (k8s.io/api core/v1
/// PersistentVolumeSource).
const IN_TREE: [&str; 21] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

/// A StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Set {
    pub(crate) uid: String,
    pub(crate) start: u32,
    pub(crate) replicas: u32,
    pub(crate) available: u32,
    pub(crate) templates: Vec<String>,
}

/// A PersistentVolume.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Volume {
    pub(crate) uid: String,
    pub(crate) driver: String,
    pub(crate) handle: String,
    pub(crate) phase: String,
    pub(crate) reclaim_policy: String,
    pub(crate) claim: Option<ClaimKey>,
    pub(crate) ours: bool,
    pub(crate) epoch: u64,
    pub(crate) capacity_bytes: u64,
}

/// The claim that a PersistentVolume names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClaimKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// A claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) uid: String,
    pub(crate) volume: String,
}

/// A VolumeAttachment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attachment {
    pub(crate) volume: String,
    pub(crate) node: String,
}

/// A Node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) ready: bool,
    pub(crate) pod_cidrs: Vec<IpNet>,
}

/// `ferry-epochs-<workload>`: ordinal and epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Epochs {
    pub(crate) workload: String,
    pub(crate) kept: Vec<(u32, u64)>,
}

pub(crate) fn set(object: object::StatefulSet) -> (String, Option<Set>) {
    let spec = object.spec;
    let set = Set {
        start: spec.ordinals.start,
        replicas: spec.replicas.unwrap_or(1),
        available: object.status.available_replicas,
        templates: spec.volume_claim_templates.into_iter().map(|template| template.metadata.name).collect(),
        uid: object.metadata.uid.clone(),
    };
    (object.metadata.key(), Some(set))
}

pub(crate) fn volume(object: object::Volume) -> (String, Option<Volume>) {
    let key = object.metadata.name;
    let spec = object.spec;
    let ours = object.metadata.labels.managed_by == "ferry";
    let claim =
        spec.claim_ref.map(|claim| ClaimKey { namespace: claim.namespace, name: claim.name, uid: claim.uid });
    if !ours && claim.as_ref().is_none_or(|claim| ordinal_of(&claim.name).is_none()) {
        return (key, None);
    }
    let (driver, handle) = match spec.csi {
        Some(csi) => (csi.driver, csi.volume_handle),
        None => {
            let plugin =
                IN_TREE.into_iter().find(|plugin| spec.rest.contains_key(*plugin)).unwrap_or("unknown");
            (format!("in-tree/{plugin}"), String::new())
        }
    };
    let volume = Volume {
        uid: object.metadata.uid,
        driver,
        handle,
        phase: object.status.phase,
        reclaim_policy: spec.persistent_volume_reclaim_policy,
        claim,
        ours,
        epoch: object.metadata.annotations.epoch.parse().unwrap_or(0),
        capacity_bytes: quantity::bytes(&spec.capacity.storage).unwrap_or(0),
    };
    (key, Some(volume))
}

pub(crate) fn claim(object: object::Claim) -> (String, Option<Claim>) {
    let key = object.metadata.key();
    let kept = ordinal_of(&object.metadata.name).is_some() && !object.spec.volume_name.is_empty();
    let claim = kept.then_some(Claim { uid: object.metadata.uid, volume: object.spec.volume_name });
    (key, claim)
}

pub(crate) fn attachment(object: object::Attachment) -> (String, Option<Attachment>) {
    let volume = object.spec.source.persistent_volume_name;
    let kept = !volume.is_empty();
    (object.metadata.name, kept.then_some(Attachment { volume, node: object.spec.node_name }))
}

pub(crate) fn node(object: object::Node) -> (String, Option<Node>) {
    let spec = object.spec;
    let mut cidrs = spec.pod_cidrs;
    if cidrs.is_empty() {
        cidrs.push(spec.pod_cidr);
    }
    let pod_cidrs = cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect();
    (object.metadata.name, Some(Node { ready: object.status.is_ready(), pod_cidrs }))
}

pub(crate) fn epochs(object: object::ConfigMap) -> (String, Option<Epochs>) {
    let key = object.metadata.key();
    let epochs = object.metadata.name.strip_prefix(PREFIX).map(|workload| Epochs {
        workload: workload.to_owned(),
        kept: object.data.iter().filter_map(|(k, v)| Some((k.parse().ok()?, v.parse().ok()?))).collect(),
    });
    (key, epochs)
}

/// A policy or a binding: its version, as guards note it.
pub(crate) fn admission(object: object::Admission) -> (String, Option<String>) {
    let version = format!("{}/{}", object.metadata.uid, object.metadata.generation);
    (object.metadata.name, Some(version))
}
