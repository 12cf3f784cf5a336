//! A request that waits for agents to look at their clusters.
//!
//! Volatile: it changes nothing, so a restart may lose it and the caller asks again. Only its number is durable, so
//! that an answer to an inspection of an earlier process is never taken for the answer to a new one.
//! What it asks and how it ends is in `core::inspecting`.

use crate::command::Command;
use crate::facts::SourceReport;
use crate::ids::{ClusterName, PlanHash, RequestId};
use crate::input::PlanRequest;
use crate::time::Millis;

/// What it is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A plan to be read.
    Plan,
    /// The start of this plan, if the world is still what it saw.
    Start { hash: PlanHash, by: String },
}

/// A request that waits for agents.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    /// Who waits.
    pub(crate) request: RequestId,
    /// What for.
    pub(crate) purpose: Purpose,
    /// What is to be planned.
    pub(crate) asked: PlanRequest,
    /// The source, once it is known.
    pub(crate) from: ClusterName,
    /// The cluster that is being looked at.
    pub(crate) cluster: ClusterName,
    /// How.
    pub(crate) command: Command,
    /// What the source said, once it did.
    pub(crate) source: Option<SourceReport>,
    /// Then it is given up.
    pub(crate) deadline: Millis,
}
