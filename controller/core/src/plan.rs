//! A checked migration, as people read and approve it.
//!
//! The hash covers everything that matters but times, so that what was approved is what runs; it is empty when the
//! plan is refused, because then it cannot run. How plans are made is in the planner.
//! A plan is never run from what it says: at the start the clusters are looked at again, and the hashes compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Finding;
use crate::ids::{ClusterName, Ordinal, PlanHash, Workload};
use crate::time::Millis;

/// The order of the ordinals (handoff.md section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Highest ordinal first.
    #[default]
    HighestFirst,
    /// Lowest ordinal first: keeps the target's self-healing if the newcomer fails.
    LowestFirst,
}

/// What follows when the target does not run the newcomer by the deadline of steps 9 to 11 (H14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is shown as paused, with what to do; a person decides.
    #[default]
    Pause,
    /// The ordinal is given back to the source, the target being fenced first; then the migration is paused.
    Rollback,
}

impl OnFailure {
    /// Whether it is what nobody has to ask for.
    pub(crate) fn is_pause(&self) -> bool {
        *self == Self::Pause
    }
}

/// A checked migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What was approved, in one number; none when the plan is refused.
    pub hash: Option<PlanHash>,
    /// What moves.
    pub workload: Workload,
    /// From this cluster; empty if it could not be told.
    pub from: ClusterName,
    /// To this cluster.
    pub to: ClusterName,
    /// Order.
    pub order: Order,
    /// Ordinals in the order they will move.
    pub ordinals: Vec<Ordinal>,
    /// Every finding, refusals first.
    pub findings: Vec<Finding>,
    /// The disruption budget.
    pub budget: u32,
    /// Volumes that move, ordinals ascending.
    pub volumes: Vec<PlannedVolume>,
    /// API writes in order.
    pub writes: Vec<PlannedWrite>,
    /// Until when it may be started.
    pub expires_at: Millis,
    /// StorageClasses of the target by those of the source that they stand for.
    #[serde(default)]
    pub storage_classes: BTreeMap<String, String>,
    /// How long a step may take before a person is told: by step of handoff.md section 5, in milliseconds.
    #[serde(default)]
    pub deadlines: BTreeMap<u32, u64>,
    /// What follows when the newcomer is late.
    #[serde(default, skip_serializing_if = "OnFailure::is_pause")]
    pub on_failure: OnFailure,
}

/// A volume that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedVolume {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// The claim.
    pub claim: String,
    /// The PersistentVolume.
    pub pv_name: String,
    /// CSI driver.
    pub driver: String,
    /// `volumeHandle`.
    pub handle: String,
}

/// One API write of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedWrite {
    /// The cluster.
    pub cluster: ClusterName,
    /// The write, in words.
    pub write: String,
}

/// A plan that may be started, with what tells later what has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The plan.
    pub plan: Plan,
    /// What the hash covers: SHA-256 of each part by the part's name for people.
    pub parts: BTreeMap<String, String>,
}
