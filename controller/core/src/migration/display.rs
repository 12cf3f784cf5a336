//! What people see of a migration, and what is kept of it after its end.
//!
//! Times are the core's input times. Steps 5 to 10 and 12 begin and end when agents say so, the others when the core
//! decides; a step that nobody reported has no times.
//! Nothing in here is read to decide anything but what people asked for ([`Control`]); all of it may be shown to anyone
//! with the role viewer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Finished;
use crate::ids::{ClusterName, MigrationId, Ordinal, PlanHash, ServiceName, Workload};
use crate::plan::{OnFailure, Order};
use crate::time::Millis;

/// Where a migration stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Section 4.
    Preparing,
    /// Section 5.
    Running,
    /// All ordinals are with the target.
    Completed,
    /// It waits for a person; see the message.
    Paused,
    /// It was given up before any ordinal moved.
    Refused,
    /// Everything was given back to the source, and preparation undone.
    RolledBack,
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Refused | Self::RolledBack => true,
            Self::Preparing | Self::Running | Self::Paused => false,
        }
    }
}

/// A migration, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Its id: `<workload>-<number>`.
    pub id: MigrationId,
    /// Counts all migrations of this ledger: the greater, the newer.
    pub number: u64,
    /// What moves.
    pub workload: Workload,
    /// From this cluster.
    pub from: ClusterName,
    /// To this cluster.
    pub to: ClusterName,
    /// In this order.
    pub order: Order,
    /// Where it stands.
    pub phase: Phase,
    /// Commands of which nobody can tell whether they were carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownOutcome>,
    /// What it waits for or why it stopped, with what to do; empty when it simply runs.
    pub message: String,
    /// Every ordinal in the order it moves.
    pub ordinals: Vec<OrdinalProgress>,
    /// Start.
    pub started_at: Millis,
    /// End; none while it runs.
    pub ended_at: Option<Millis>,
    /// Hash of its plan.
    pub plan_hash: PlanHash,
    /// Identity of who started it.
    pub started_by: String,
    /// What people asked of it since.
    #[serde(default)]
    pub control: Control,
    /// StorageClasses of the target by those of the source that they stand for.
    #[serde(default)]
    pub storage_classes: BTreeMap<String, String>,
    /// How long a step may take before a person is told: by step of handoff.md section 5, in milliseconds.
    #[serde(default)]
    pub deadlines: BTreeMap<u32, u64>,
    /// What follows when the newcomer is late.
    #[serde(default, skip_serializing_if = "OnFailure::is_pause")]
    pub on_failure: OnFailure,
    /// What its end left in the source; none until it was finished.
    #[serde(default)]
    pub certificate: Option<Box<Certificate>>,
    /// UID of the StatefulSet in the source.
    #[serde(default)]
    pub source_uid: String,
    /// Commands issued while it ran: those after its end are numbered on, because clusters keep the latest number.
    #[serde(default)]
    pub commands: u64,
    /// Governing Service; none: no mirror and no gate.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// Names of each ordinal's claims, those of ordinals that stay included.
    #[serde(default)]
    pub claims: BTreeMap<Ordinal, Vec<String>>,
}

/// A command whose outcome is not known: neither success nor failure (I8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownOutcome {
    /// The cluster that was asked.
    pub cluster: ClusterName,
    /// What is not known, and what to do.
    pub message: String,
    /// Nodes whose own proof will not come: a person may attest them (H11).
    pub unproven: Vec<String>,
}

/// Who asked, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBy {
    /// Identity.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// What people asked of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Who paused it; none: nobody, or somebody resumed it.
    pub paused: Option<AskedBy>,
    /// Whether a pause has come to its safe point; before that it goes on to it.
    pub stopped: bool,
    /// Who asked for the ordinal in flight to be given back; none once it is.
    pub undo: Option<AskedBy>,
    /// Who asked for everything to be given back.
    pub rollback: Option<AskedBy>,
}

/// What the source holds of a workload that has moved away whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The source.
    pub cluster: ClusterName,
    /// When it was looked at.
    pub at: Millis,
    /// Identity of who asked.
    pub by: String,
    /// What was found.
    pub found: Finished,
}

/// One ordinal of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdinalProgress {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Step of handoff.md section 5: 0 not begun, 1 to 13, 14 done.
    pub step: u32,
    /// What the step waits for.
    pub message: String,
    /// When the handoff began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Each step that began, in the order in which they did.
    pub steps: Vec<StepTime>,
}

/// One step's times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Step of handoff.md section 5.
    pub step: u32,
    /// Began.
    pub started_at: Millis,
    /// Ended.
    pub ended_at: Option<Millis>,
    /// What was done, as its agent said last: the evidence, in words.
    #[serde(default)]
    pub message: String,
}

/// Name of a step of handoff.md section 5, for people; empty for a number that is none.
#[must_use]
pub fn step_name(step: u32) -> &'static str {
    match step {
        0 => "waiting",
        1 => "reserve",
        2 => "hold",
        3 => "check",
        4 => "hook",
        5 => "stop",
        6 => "detach",
        7 => "unclaim",
        8 => "grant",
        9 => "claim",
        10 => "start",
        11 => "converge",
        12 => "retire",
        13 => "settle",
        14 => "done",
        _ => "",
    }
}
