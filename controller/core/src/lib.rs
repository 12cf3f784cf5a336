//! The pure core of Ferry's controller: the ledger, the planner and the migration's state machine.
//!
//! What it is for: deciding. [`Core::step`] takes one [`Input`] and the time, and returns a [`Decision`]: journal
//! entries to make durable, then effects to release, and when to be called again. Nothing else happens in it: no
//! I/O, no clock, no randomness, no order that differs between two runs (`clippy.toml` bans them), so that the
//! journal replays to the same bytes, and so that a test can drive years of faults in a second.
//!
//! What is not here: sessions, TLS, the journal, gRPC (the shell, crate `ferry-controller`), and everything that
//! talks to a Kubernetes API (crate `ferry-agent`). The types in [`facts`] and [`command`] mirror the wire
//! (`ferry.agent.v1`) in plain Rust; the shell translates at the edge.
//!
//! Two kinds of knowledge, kept apart: [`State`] is durable and is the fold of the entries; [`Observed`] is what
//! attached agents say now, is lost at a restart, and is said again by each agent when it attaches.

pub mod command;
mod core;
pub mod effect;
pub mod entry;
pub mod facts;
pub mod ids;
pub mod input;
mod inspection;
mod invariants;
pub mod limits;
pub mod measure;
pub mod migration;
pub mod observed;
pub mod plan;
mod planner;
mod probe;
pub mod rejection;
pub mod reply;
pub mod slice;
pub mod state;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod time;
pub mod tokens;
pub mod volume;

pub use crate::core::Core;
pub use command::{Command, CommandBody};
pub use effect::{Decision, Effect};
pub use entry::{AuditRecord, Entry};
pub use ids::{
    ClusterName, CommandId, Epoch, MigrationId, Ordinal, PlanHash, RequestId, ServiceName, Session,
    TokenHash, VolumeId, Workload,
};
pub use input::{Input, Request};
pub use migration::{AskedBy, Certificate, Control, Migration, OrdinalProgress, Phase, StepTime};
pub use observed::Observed;
pub use plan::{OnFailure, Order, Plan};
pub use rejection::Rejection;
pub use reply::Reply;
pub use slice::Slice;
pub use state::State;
pub use storage::{Storage, StorageDomain, StorageMap};
pub use time::Millis;
