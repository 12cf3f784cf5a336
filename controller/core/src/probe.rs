//! A probe of the storage between two clusters that waits for agents.
//!
//! Volatile, as an inspection is: it touches nothing but a scratch disk of its own, so a restart may lose it. What it had
//! made by then stays, with the label `ferry.dev/probe`, for a person to remove. Its number is one of the inspections':
//! durable, so that names and command ids are never used twice.
//! What it asks and how it ends is in `core::probing`.

use crate::command::Command;
use crate::ids::{ClusterName, RequestId};
use crate::input::ProbeRequest;
use crate::time::Millis;

/// A probe under way.
#[derive(Clone, Debug)]
pub(crate) struct Probing {
    /// Who waits.
    pub(crate) request: RequestId,
    /// What is tried.
    pub(crate) asked: ProbeRequest,
    /// What is written.
    pub(crate) nonce: String,
    /// The cluster that works on it.
    pub(crate) cluster: ClusterName,
    /// How.
    pub(crate) command: Command,
    /// What was done.
    pub(crate) steps: Vec<String>,
    /// Why it fails, once that is known; the disk is to be removed all the same.
    pub(crate) failure: Option<String>,
    /// Then it is given up.
    pub(crate) deadline: Millis,
}
