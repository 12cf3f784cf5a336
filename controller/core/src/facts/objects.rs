//! Kubernetes objects and descriptions of workloads, as agents carry them.
//!
//! Objects stay JSON text, whole, so that a field that nobody here knows survives the crossing. The core reads into
//! them in one place only: the planner's fingerprint of what was approved.
//! Contents of Secrets never come here: agents name what is required and keep what is in it.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Ordinal, VolumeId};
use crate::slice::Slice;

/// A Kubernetes object, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// `metadata.uid` where it was read.
    pub uid: String,
    /// The object as JSON.
    pub json: String,
}

/// How bad a finding is; in the order in which they are worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Note,
    /// The migration may run; somebody should look first.
    Warn,
    /// The migration is refused.
    Refuse,
}

/// Result of one check of handoff.md section 4.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// K1 to K15; `P` for what the planner itself refuses.
    pub check: String,
    /// A stable code within the check, for example `K12-host-path`.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// What it is about: `kind/name`.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub remedy: String,
    /// The cluster it was found in; empty if in none. The core sets it: an agent speaks of its own cluster only.
    pub cluster: String,
}

/// A claim and its volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedVolume {
    /// The claim, whole.
    pub claim: Manifest,
    /// The PersistentVolume, whole.
    pub volume: Manifest,
    /// CSI driver.
    pub driver: String,
    /// `volumeHandle`.
    pub handle: String,
}

impl ClaimedVolume {
    /// Its identity, in the domain of its driver.
    #[must_use]
    pub fn id(&self) -> VolumeId {
        VolumeId::of_driver(&self.driver, &self.handle)
    }
}

/// One ordinal's volumes, one for each claim template, in the template's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdinalVolumes {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Its claims and volumes.
    pub volumes: Vec<ClaimedVolume>,
}

/// An ordinal that moved away, and what it had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedOrdinal {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Its epoch in the ledger.
    pub epoch: Epoch,
    /// Names of its claims.
    pub claims: Vec<String>,
    /// Its disks.
    pub volumes: Vec<VolumeId>,
}

/// An ordinal and its epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdinalEpoch {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// The epoch.
    pub epoch: Epoch,
}

/// A workload as the source describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// UID of the StatefulSet.
    pub uid: String,
    /// Its slice.
    pub slice: Slice,
    /// The StatefulSet, whole.
    pub stateful_set: Manifest,
    /// Name of the governing Service (`spec.serviceName`); empty if there is none.
    pub service: String,
    /// `spec.minReadySeconds`, in seconds.
    pub min_ready_seconds: u32,
    /// `spec.podManagementPolicy`.
    pub pod_management_policy: String,
    /// Budget *d*: pods that may be unavailable.
    pub budget: u32,
    /// Name of the PodDisruptionBudget that selects the pods; empty if none.
    pub disruption_budget: String,
    /// Each ordinal of the slice with its volumes, ascending.
    pub ordinals: Vec<OrdinalVolumes>,
    /// Objects that the pod template needs, that travel.
    pub dependencies: Vec<Manifest>,
    /// Objects that the pod template needs, that must be in the target already, as `kind/name`.
    pub required: Vec<String>,
    /// Seconds to wait for resolvers' caches after endpoints converged.
    pub dns_ttl_wait_seconds: u32,
    /// A pod of the slice, as an example for the target's admission dry run.
    pub sample_pod: Manifest,
    /// API writes that will be made in the source, one line each.
    pub planned_writes: Vec<String>,
    /// Where replicas take TCP connections now, for the target to try.
    #[serde(default)]
    pub listeners: Vec<Listener>,
}

/// An address and port at which a replica takes TCP connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The pod.
    pub pod: String,
    /// Its address.
    pub address: String,
    /// TCP port, 1 to 65535.
    pub port: u32,
}
