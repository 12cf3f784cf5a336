//! Commands to agents: what one cluster is asked to do, with everything it needs to decide on its own.
//!
//! A command is data and is journalled before it is sent (I6). The same id is the same command, sent any number of
//! times; a retry after a refusal is a new command with a new id, so that a late duplicate of the old answer is not
//! taken for the answer to the new question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::{ClaimedVolume, Description, FinishedOrdinal, Manifest, NodeIdentity, OrdinalEpoch};
use crate::ids::{CommandId, Epoch, MigrationId, Ordinal, VolumeId, Workload};
use crate::slice::Slice;

/// Do this. Idempotent: carried out again it finds its own work and goes on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// `<migration>/<ordinal or ->/<verb>/<n>`.
    pub id: CommandId,
    /// Fencing number; 0 for commands that write nothing.
    pub epoch: Epoch,
    /// Time allowed from receipt, in milliseconds; then the outcome is unknown.
    pub timeout_ms: u64,
    /// The workload.
    pub workload: Workload,
    /// The migration's id; none for inspections.
    pub migration: Option<MigrationId>,
    /// Restore generation of the ledger (H18).
    pub generation: u64,
    /// What to do.
    pub body: CommandBody,
}

/// One part of a probe of the storage between two clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Which.
    pub part: ProbePart,
    /// StorageClass there.
    pub storage_class: String,
    /// Image of the pod that writes or reads.
    pub image: String,
    /// What is written.
    pub nonce: String,
    /// To read: the PersistentVolume, from the evidence of making it.
    pub volume: Option<Manifest>,
    /// How long a pod or a provisioner may take, in milliseconds.
    pub patience_ms: u64,
}

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbePart {
    /// Made, written, detached.
    Make,
    /// Read in the other cluster, and let go of.
    Read,
    /// Removed where it was made.
    Remove,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandBody {
    /// Read-only: describe the workload and check it as a source.
    InspectSource {
        /// Pod networks that the target's cluster declared.
        target_pod_cidrs: Vec<String>,
    },
    /// Read-only: check this cluster as the target of a described workload.
    InspectTarget {
        /// The workload, as its source describes it.
        description: Box<Description>,
        /// UIDs of objects here that the ledger knows as ours.
        known_uids: Vec<String>,
        /// Ordinals that would move, ascending; the description may have more than these.
        ordinals: Vec<Ordinal>,
        /// Names of StorageClasses here for the source's, where they differ.
        storage_classes: BTreeMap<String, String>,
        /// Pod networks that the source's cluster declared.
        source_pod_cidrs: Vec<String>,
        /// Pod networks that this cluster declared.
        pod_cidrs: Vec<String>,
    },
    /// Section 4, source side.
    PrepareSource {
        /// UID of the StatefulSet, from the plan.
        stateful_set_uid: String,
        /// The slice that the plan saw.
        slice: Slice,
        /// Every ordinal with the epoch to keep.
        epochs: Vec<OrdinalEpoch>,
    },
    /// Section 4, target side.
    PrepareTarget {
        /// The workload, as its source describes it.
        description: Box<Description>,
        /// The slice to create the StatefulSet with, or to expect: replicas is 0.
        slice: Slice,
        /// Every ordinal that gets a tombstone, with the epoch to keep.
        epochs: Vec<OrdinalEpoch>,
        /// UIDs of objects here that the ledger knows as ours.
        known_uids: Vec<String>,
    },
    /// Steps 2 and 3.
    Hold {
        /// `maxUnavailable` to write into the workload's PodDisruptionBudget here.
        max_unavailable: u32,
        /// UID of the StatefulSet here.
        stateful_set_uid: String,
        /// The slice expected here.
        slice: Slice,
        /// The ordinal to be handed over.
        ordinal: Ordinal,
        /// Whether this cluster is the source of the handoff.
        source: bool,
        /// On the target: the volumes that must not be here.
        volumes: Vec<VolumeId>,
    },
    /// Steps 5 to 8 on the source.
    Release {
        /// The ordinal.
        ordinal: Ordinal,
        /// UID of the StatefulSet.
        stateful_set_uid: String,
        /// The slice before.
        from_slice: Slice,
        /// The slice after.
        to_slice: Slice,
        /// The ordinal's claims and volumes as the ledger recorded them.
        volumes: Vec<ClaimedVolume>,
        /// The node that ran the ordinal when it was held.
        node: NodeIdentity,
        /// The pod's UID when it was held.
        pod_uid: String,
        /// Nodes of which a person attested that nothing on them writes any more.
        #[serde(default)]
        attested: Vec<String>,
    },
    /// Steps 9 and 10 on the target.
    Adopt {
        /// The ordinal.
        ordinal: Ordinal,
        /// UID of the StatefulSet here.
        stateful_set_uid: String,
        /// The slice before.
        from_slice: Slice,
        /// The slice after.
        to_slice: Slice,
        /// The claims and volumes to create, from the source's evidence.
        volumes: Vec<ClaimedVolume>,
        /// Names of StorageClasses here for the source's, where they differ.
        storage_classes: BTreeMap<String, String>,
    },
    /// Step 12 on the source.
    Retire {
        /// The ordinal.
        ordinal: Ordinal,
        /// The volumes, from the evidence of Release.
        volumes: Vec<ClaimedVolume>,
    },
    /// Step 13, and the end.
    Settle {
        /// `maxUnavailable` to write into the workload's PodDisruptionBudget here.
        max_unavailable: u32,
        /// The migration is over here.
        last: bool,
        /// Whether this cluster is the migration's target.
        target: bool,
        /// With `last` on the target: the originals, as the source's StatefulSet carries them.
        originals: Option<Manifest>,
        /// Every ordinal of the workload with its epoch: a cluster that keeps a later one gives nothing back.
        #[serde(default)]
        epochs: Vec<OrdinalEpoch>,
    },
    /// Undo of steps 9 and 10 on the target: what was adopted goes, and nothing of an earlier epoch happens any more.
    Fence {
        /// The ordinal.
        ordinal: Ordinal,
        /// UID of the StatefulSet here.
        stateful_set_uid: String,
        /// The slice with the ordinal, as an adoption leaves it.
        from_slice: Slice,
        /// The slice without it, as it was before.
        to_slice: Slice,
        /// The claims and volumes as they were granted.
        volumes: Vec<ClaimedVolume>,
        /// As for a release.
        #[serde(default)]
        attested: Vec<String>,
    },
    /// Undo of steps 5 to 8 on the source.
    Reclaim {
        /// The ordinal.
        ordinal: Ordinal,
        /// UID of the StatefulSet here.
        stateful_set_uid: String,
        /// The slice without the ordinal, as a release leaves it.
        from_slice: Slice,
        /// The slice with it, as it was before.
        to_slice: Slice,
        /// The claims and volumes as the ledger recorded them.
        volumes: Vec<ClaimedVolume>,
    },
    /// Undo of section 4.
    Unprepare {
        /// Whether this cluster is the migration's target.
        target: bool,
        /// UID of the StatefulSet here; empty on a target whose preparation was begun and gave no evidence.
        stateful_set_uid: String,
        /// The source's StatefulSet with its originals; none if its preparation was begun and gave no evidence.
        originals: Option<Manifest>,
        /// Every ordinal with the epoch to keep.
        epochs: Vec<OrdinalEpoch>,
    },
    /// Section 5, "Ending", on the source of a migration that moved the whole slice.
    Finish {
        /// UID of the StatefulSet here.
        stateful_set_uid: String,
        /// Every ordinal that moved, ascending.
        ordinals: Vec<FinishedOrdinal>,
        /// Tombstones go too.
        accept: bool,
        /// How long to see that nothing makes the StatefulSet anew, in milliseconds.
        watch_ms: u32,
    },
    /// K6: a scratch disk of our own, named by the workload.
    Probe(Box<Probe>),
}

impl CommandBody {
    /// The verb, as in the command's id.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::InspectSource { .. } => "inspect-source",
            Self::InspectTarget { .. } => "inspect-target",
            Self::PrepareSource { .. } => "prepare-source",
            Self::PrepareTarget { .. } => "prepare-target",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Adopt { .. } => "adopt",
            Self::Retire { .. } => "retire",
            Self::Settle { .. } => "settle",
            Self::Fence { .. } => "fence",
            Self::Reclaim { .. } => "reclaim",
            Self::Unprepare { .. } => "unprepare",
            Self::Finish { .. } => "finish",
            Self::Probe(_) => "probe",
        }
    }
}
