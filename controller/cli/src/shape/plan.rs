//! The shape of a plan: what `ferry plan -o json` prints.
//!
//! Its JSON Schema is made from these types and published as docs/schema/plan.json; a test holds that file against them,
//! so that a change of this shape is a change of a published file, and seen as one in a review. Descriptions in the schema
//! are the comments here. Fields may be added, none is renamed or removed; whoever reads a plan must take fields they do
//! not know.

use std::collections::BTreeMap;

use jiff::Timestamp;
#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::optional_instant;

/// In which order ordinals move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// The highest ordinal first.
    HighestFirst,
    /// The lowest first: keeps the target's self-healing if the newcomer fails.
    LowestFirst,
}

/// What follows when the target does not run a replica by the deadline of claim, start or converge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// It is shown as paused, and a person decides.
    #[default]
    Pause,
    /// The replica goes back to the source by itself, the target being fenced first; then the migration is paused.
    Rollback,
}

/// How bad a finding is; refusals sort first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The plan cannot run.
    Refuse,
    /// It can, and somebody should know.
    Warn,
    /// For the record.
    Note,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// K1 to K15 of the handoff protocol, or P: the planner itself.
    pub(crate) check: String,
    /// Stable code.
    pub(crate) code: String,
    /// How bad.
    pub(crate) severity: Severity,
    /// The cluster it was found in; empty if in none.
    pub(crate) cluster: String,
    /// What it is about.
    pub(crate) subject: String,
    /// What was found.
    pub(crate) found: String,
    /// What was expected.
    pub(crate) expected: String,
    /// What to do.
    pub(crate) remedy: String,
}

/// A volume that moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlannedVolume {
    /// Ordinal.
    pub(crate) ordinal: u32,
    /// Claim.
    pub(crate) claim: String,
    /// PersistentVolume.
    pub(crate) pv: String,
    /// CSI driver.
    pub(crate) driver: String,
    /// `volumeHandle`.
    pub(crate) handle: String,
}

/// One API write, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlannedWrite {
    /// The cluster it goes to.
    pub(crate) cluster: String,
    /// Verb, kind, name, what changes.
    pub(crate) write: String,
}

/// How long a step may take before a person is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deadline {
    /// Step of one handoff, 1 to 13.
    pub(crate) step: u32,
    /// Its name.
    pub(crate) name: String,
    /// The deadline, in milliseconds.
    pub(crate) deadline_ms: u64,
}

/// `ferry plan`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// What to approve; `null` when the plan is refused.
    pub(crate) hash: Option<String>,
    /// Namespace.
    pub(crate) namespace: String,
    /// Name of the StatefulSet.
    pub(crate) workload: String,
    /// From this cluster.
    pub(crate) from: String,
    /// To this cluster.
    pub(crate) to: String,
    /// Order.
    pub(crate) order: Order,
    /// Ordinals in the order they move.
    pub(crate) ordinals: Vec<u32>,
    /// Findings, refusals first.
    pub(crate) findings: Vec<Finding>,
    /// Replicas that may be unavailable at once, over both clusters.
    pub(crate) budget: u32,
    /// Volumes, ordinals ascending.
    pub(crate) volumes: Vec<PlannedVolume>,
    /// API writes, in order.
    pub(crate) writes: Vec<PlannedWrite>,
    /// StorageClasses of the target by those of the source that they stand for.
    pub(crate) storage_classes: BTreeMap<String, String>,
    /// The deadline of each step that has one.
    pub(crate) deadlines: Vec<Deadline>,
    /// What follows when the target does not run a replica by its deadline.
    pub(crate) on_failure: OnFailure,
    /// Until when it may be started, RFC 3339 in UTC with milliseconds; `null` when it is refused.
    #[serde(serialize_with = "optional_instant")]
    #[cfg_attr(test, schemars(schema_with = "optional_instant_schema"))]
    pub(crate) expires_at: Option<Timestamp>,
}

impl Plan {
    /// Findings for which it cannot run.
    pub(crate) fn refusals(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Refuse).count()
    }
}

#[cfg(test)]
fn optional_instant_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time" })
}

/// The JSON Schema of a plan.
#[cfg(test)]
pub(crate) fn schema() -> Schema {
    schemars::schema_for!(Plan)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
