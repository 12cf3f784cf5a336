//! What a cluster holds and how it is, as its agent sees it.
//!
//! Inventories are whole: what is missing from one is gone from that cluster's view. They are volatile but for the
//! volumes, which the ledger keeps.
//! How they become ledger entries is in `volume`.

use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, Epoch, Ordinal, Workload};
use crate::slice::Slice;

/// Everything a controller that has just started needs to know of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// The agent's own version.
    pub agent_version: String,
    /// UID of the namespace kube-system: the cluster's identity.
    pub cluster_uid: String,
    /// `gitVersion` of the API server.
    pub kubernetes_version: String,
    /// Pod networks, CIDR notation.
    pub pod_cidrs: Vec<String>,
    /// The epochs kept in the cluster.
    pub epochs: Vec<KeptEpoch>,
    /// The inventory at this moment.
    pub inventory: Inventory,
    /// Ids of commands that this process is carrying out now.
    pub commands_in_progress: Vec<CommandId>,
    /// New for each start of the agent's process.
    pub instance_id: String,
    /// Health at this moment.
    pub health: Health,
}

/// One ordinal's fencing number as the cluster keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEpoch {
    /// The workload.
    pub workload: Workload,
    /// The ordinal.
    pub ordinal: Ordinal,
    /// The highest epoch that this cluster has accepted.
    pub epoch: Epoch,
}

/// How the cluster is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the API server answered the last probe.
    pub api_server_ok: bool,
    /// Round trip of that probe, in milliseconds.
    pub api_server_latency_ms: u32,
    /// Nodes in the cluster.
    pub nodes: u32,
    /// Nodes whose condition Ready is True.
    pub nodes_ready: u32,
    /// Age of the oldest watch's last event or bookmark, in milliseconds.
    pub watch_lag_ms: u64,
    /// What is wrong, in words a person can act on; empty when nothing is.
    pub message: String,
    /// `gitVersion` of the API server now (H25: it may fall).
    pub kubernetes_version: String,
}

/// Every StatefulSet and every volume of a StatefulSet in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Rises with each inventory of one agent process.
    pub revision: u64,
    /// StatefulSets.
    pub workloads: Vec<InventoryWorkload>,
    /// Volumes.
    pub volumes: Vec<InventoryVolume>,
    /// Guards that somebody else took away or changed.
    pub guard_faults: Vec<GuardFault>,
}

/// A guard that is not as its agent put it up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardFault {
    /// The workload that it guards.
    pub workload: Workload,
    /// Which part of it was changed or deleted, and by whom where that can be told.
    pub message: String,
}

/// One StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryWorkload {
    /// Its identity.
    pub workload: Workload,
    /// `metadata.uid`.
    pub uid: String,
    /// The slice its spec asks for.
    pub slice: Slice,
    /// `status.availableReplicas`.
    pub available: u32,
}

/// One volume as this cluster sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryVolume {
    /// CSI driver; `in-tree/<plugin>` for a volume that is not CSI.
    pub driver: String,
    /// `volumeHandle`; empty for a volume that is not CSI.
    pub handle: String,
    /// PersistentVolume.
    pub pv_name: String,
    /// Its UID.
    pub pv_uid: String,
    /// `status.phase` of the PersistentVolume.
    pub pv_phase: String,
    /// `spec.persistentVolumeReclaimPolicy`.
    pub reclaim_policy: String,
    /// Name of the claim that the PersistentVolume names; empty if none.
    pub claim_name: String,
    /// UID of that claim if it exists and is bound to this PersistentVolume; else empty.
    pub claim_uid: String,
    /// The workload whose claim template and ordinal the claim's name matches.
    pub workload: Workload,
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Nodes for which a VolumeAttachment of this PersistentVolume exists, attached or not (H10).
    pub attachment_nodes: Vec<String>,
    /// `ferry.dev/epoch` of the PersistentVolume; 0 if absent.
    pub epoch: Epoch,
    /// `spec.capacity.storage`, in bytes.
    pub capacity_bytes: u64,
}
