//! Progress and outcomes of commands: evidence, never just "ok".
//!
//! An outcome that cannot be told is [`Unknown`], a value of its own (I8). Whether evidence is believed is decided
//! in `migration`, against the ledger.
//! Progress is for people only: no decision is made from it.

use serde::{Deserialize, Serialize};

use super::objects::{ClaimedVolume, Description, Finding, Manifest, OrdinalVolumes};
use crate::ids::{CommandId, Epoch};
use crate::slice::Slice;

/// A node, so that a later look can tell whether it is still the same boot of the same machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// Name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `status.nodeInfo.bootID`.
    pub boot_id: String,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// It began.
    Started,
    /// It waits for what the message says.
    Waiting,
    /// It is done.
    Done,
}

/// A step of a command began, ended or waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The command.
    pub command_id: CommandId,
    /// Number of the step in handoff.md section 5 (5 to 12); 0 for preparation.
    pub step: u32,
    /// Where it stands.
    pub state: StepState,
    /// What was done or is waited for.
    pub message: String,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command.
    pub command_id: CommandId,
    /// Its evidence, or why there is none.
    pub result: OutcomeResult,
}

/// Evidence of each command, refusal, or unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeResult {
    /// Of `inspect_source`.
    SourceReport(Box<SourceReport>),
    /// Of `inspect_target`.
    TargetReport(TargetReport),
    /// Of `prepare_source`.
    SourcePrepared(SourcePrepared),
    /// Of `prepare_target`.
    TargetPrepared(TargetPrepared),
    /// Of `hold`.
    Held(Held),
    /// Of `release`.
    Released(Released),
    /// Of `adopt`.
    Adopted(Adopted),
    /// Of `retire`.
    Retired(Retired),
    /// Of `settle`.
    Settled,
    /// Of `fence`.
    Fenced(Fenced),
    /// Of `reclaim`.
    Reclaimed(Reclaimed),
    /// Of `unprepare`.
    Unprepared(Unprepared),
    /// Of `finish`.
    Finished(Finished),
    /// Of `probe`.
    Probed(Box<Probed>),
    /// A precondition does not hold; nothing more was or will be changed.
    Refusal(Refusal),
    /// It cannot be told whether it was done (I8).
    Unknown(Unknown),
}

impl OutcomeResult {
    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SourceReport(_) => "source report",
            Self::TargetReport(_) => "target report",
            Self::SourcePrepared(_) => "source prepared",
            Self::TargetPrepared(_) => "target prepared",
            Self::Held(_) => "held",
            Self::Released(_) => "released",
            Self::Adopted(_) => "adopted",
            Self::Retired(_) => "retired",
            Self::Settled => "settled",
            Self::Fenced(_) => "fenced",
            Self::Reclaimed(_) => "reclaimed",
            Self::Unprepared(_) => "unprepared",
            Self::Finished(_) => "finished",
            Self::Probed(_) => "probed",
            Self::Refusal(_) => "refusal",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Outcome of InspectSource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Absent when the StatefulSet does not exist.
    pub description: Option<Description>,
    /// Every finding, all at once.
    pub findings: Vec<Finding>,
}

/// Outcome of InspectTarget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Every finding, all at once.
    pub findings: Vec<Finding>,
    /// UID of our StatefulSet of that name here; empty if there is none.
    pub stateful_set_uid: String,
    /// Its slice; absent if there is none.
    pub slice: Option<Slice>,
    /// API writes that will be made in the target, one line each.
    pub planned_writes: Vec<String>,
}

/// Outcome of PrepareSource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePrepared {
    /// Claims and PersistentVolumes as they are now, all `Retain`, read back.
    pub ordinals: Vec<OrdinalVolumes>,
    /// The StatefulSet as it is now.
    pub stateful_set: Manifest,
}

/// Outcome of PrepareTarget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPrepared {
    /// UID of the StatefulSet.
    pub stateful_set_uid: String,
    /// Its slice.
    pub slice: Slice,
}

/// Outcome of Hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// On the source: the node that runs the ordinal.
    pub node: Option<NodeIdentity>,
    /// On the source: the pod's UID.
    pub pod_uid: String,
    /// Pods of the slice that are Available.
    pub available: u32,
    /// Digest of the pod template, for the two sides to be compared.
    pub template_digest: String,
}

/// Outcome of Release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// UID of the pod that ended.
    pub pod_uid: String,
    /// The claims as they were right before their deletion, and the PersistentVolumes, Released and Retain.
    pub volumes: Vec<ClaimedVolume>,
    /// The node.
    pub node: Option<NodeIdentity>,
    /// No VolumeAttachment exists and the node's status does not list the volumes as in use.
    pub detached: bool,
    /// The epoch that the cluster keeps now.
    pub epoch_kept: Epoch,
}

/// Outcome of Adopt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// UID of the new pod.
    pub pod_uid: String,
    /// Its address.
    pub pod_address: String,
    /// Its node.
    pub node: Option<NodeIdentity>,
    /// The claims and PersistentVolumes as they are now, Bound.
    pub volumes: Vec<ClaimedVolume>,
    /// The epoch that the cluster keeps now.
    pub epoch_kept: Epoch,
}

/// Outcome of Retire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// PersistentVolumes that are gone.
    pub pv_names: Vec<String>,
}

/// Outcome of Fence: the target will not take the ordinal any more, and holds nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// The epoch that the cluster keeps now: anything of an earlier one fails here.
    pub epoch_kept: Epoch,
    /// The StatefulSet's slice, without the ordinal.
    pub slice: Slice,
    /// Nodes that may have had the disks; empty if there was none.
    pub nodes: Vec<NodeIdentity>,
    /// UID of the pod that ended here; empty if there was none.
    pub pod_uid: String,
    /// No VolumeAttachment of these disks exists, and no node's status lists them as in use.
    pub detached: bool,
    /// PersistentVolumes of these disks that were deleted; a repetition names none.
    pub pv_names: Vec<String>,
    /// This process found nothing to take back.
    pub nothing_found: bool,
}

/// Outcome of Reclaim: the source runs the ordinal again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reclaimed {
    /// UID of the pod.
    pub pod_uid: String,
    /// Its address.
    pub pod_address: String,
    /// Its node.
    pub node: Option<NodeIdentity>,
    /// The claims and PersistentVolumes as they are now, Bound.
    pub volumes: Vec<ClaimedVolume>,
    /// The epoch that the cluster keeps now.
    pub epoch_kept: Epoch,
}

/// Outcome of Unprepare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unprepared {
    /// What was not removed or restored, and why: one line each, for people.
    pub left: Vec<String>,
}

/// Outcome of Finish: what the source still holds of a workload that has moved away whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The StatefulSet does not exist (404).
    pub stateful_set_gone: bool,
    /// Who made it anew while its name was watched; empty when nobody did.
    pub recreated_by: String,
    /// Pods of the workload that were found.
    pub pods: Vec<String>,
    /// Claims of the workload that were found, tombstones apart.
    pub claims: Vec<String>,
    /// PersistentVolumes of its handles that were found.
    pub pvs: Vec<String>,
    /// VolumeAttachments of its handles that were found.
    pub attachments: Vec<String>,
    /// Tombstones that stand.
    pub tombstones: Vec<String>,
    /// Tombstones and mirrors were removed, because a person accepted the end.
    pub accepted: bool,
    /// What is left to do by hand, one line each.
    pub by_hand: Vec<String>,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The world is not as the command says, and waiting may help.
    NotReady,
    /// The world is not as the command says, and only a person can help.
    Conflict,
    /// The API server refused: permissions, admission, quota.
    Denied,
    /// The command, its version or a value in it is not understood.
    NotUnderstood,
    /// The cluster keeps a higher epoch: the command is of the past (I5). Final.
    StaleEpoch,
}

/// A precondition does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub code: RefusalCode,
    /// What was found, what was expected, what to do.
    pub message: String,
    /// Number of the step in handoff.md section 5; 0 for preparation.
    pub step: u32,
}

/// It cannot be told whether it was done (I8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// What is not known, and what to do.
    pub message: String,
    /// Number of the step in handoff.md section 5; 0 for preparation.
    pub step: u32,
    /// Nodes whose own proof of detach is missing and will not come: what a person may attest (H11).
    #[serde(default)]
    pub unproven: Vec<String>,
}

/// Outcome of Probe: it came to an end, whatever it found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The PersistentVolume that was made; empty otherwise.
    pub volume: Manifest,
    /// What the disk held, where it was read.
    pub read: String,
    /// Why the part could not be done; empty where it was.
    pub problem: String,
    /// Objects of the probe that are there still.
    pub left: Vec<String>,
}
