//! What people see of a migration, and what is kept of it after its end.
//!
//! Times are the core's input times. Steps 5 to 10 and 12 begin and end when agents say so, the others when the core
//! decides; a step that nobody reported has no times.
//! Nothing in here is read to decide anything; it may be shown to anyone with the role viewer.

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, MigrationId, Ordinal, PlanHash, Workload};
use crate::plan::Order;
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
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Refused => true,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Step of handoff.md section 5.
    pub step: u32,
    /// Began.
    pub started_at: Millis,
    /// Ended.
    pub ended_at: Option<Millis>,
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
