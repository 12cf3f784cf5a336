//! What is explored: every bound of the model, in one place.
//!
//! A bound is a number of faults that may still happen; within it each may happen at any moment, in any order. What has
//! no number here is not bounded: messages are reordered at will, clusters' own controllers take as long as they like,
//! commands are asked for again as often as the core wants to.
//! A planted fault is a way in which the agents of the model are wrong; the checker has to find each.

use ferry_core::{Order, Ordinal};
use serde::Serialize;

/// How often each fault may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Faults {
    /// An agent's process ends, with everything it was at.
    pub(crate) agent_crashes: u8,
    /// An agent's process is stopped between a check and a write, another one takes its place, and the first one goes on
    /// whenever it likes: a third agent, of a cluster that has one already (H19).
    pub(crate) agents_stopped: u8,
    /// The controller's process ends after a commit, with every effect that had not left.
    pub(crate) controller_crashes: u8,
    /// A message is lost; its stream ends some time after that.
    pub(crate) losses: u8,
    /// A message arrives and comes again later.
    pub(crate) duplicates: u8,
    /// A command's time is over in the middle of it: its outcome is unknown (I8).
    pub(crate) unknowns: u8,
    /// Evidence of a hold becomes too old to rely on.
    pub(crate) slow_holds: u8,
    /// `ferry pause`.
    pub(crate) pauses: u8,
    /// `ferry resume`.
    pub(crate) resumes: u8,
    /// `ferry rollback`: the ordinal in flight.
    pub(crate) undos: u8,
    /// `ferry rollback --all`.
    pub(crate) rollbacks: u8,
    /// A backup made at any earlier moment is restored as the product does it: the ledger's generation rises (H18).
    pub(crate) restores: u8,
}

/// A way in which the model's agents can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Plant {
    /// Nobody looks at the epochs that the cluster keeps.
    EpochUnchecked,
    /// The slice is patched without the tests that hold what was read.
    PatchUntested,
    /// Claims are deleted when the pod is gone, without the proof of detach.
    ClaimBeforeDetach,
    /// A command whose time is over is taken for done.
    UnknownIsSuccess,
    /// A fence finds the ordinal outside the slice and leaves the set as it is.
    SetUnfenced,
    /// The set is written to without a look at the epochs after it was read.
    FenceBlind,
    /// A PersistentVolume loses the uid of its claim whatever its epoch is.
    FreeBlind,
    /// The undo of preparation takes the tombstones away that hold off what was decided before.
    TombstonesGone,
}

/// One exploration.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Bounds {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is there for.
    pub(crate) why: &'static str,
    /// Replicas; the budget is one.
    pub(crate) ordinals: Ordinal,
    /// Volumes of each replica.
    pub(crate) volumes: u8,
    /// The order in which they move.
    pub(crate) order: Order,
    /// What may go wrong.
    pub(crate) faults: Faults,
    /// How the agents are wrong; none: they are right.
    pub(crate) plant: Option<Plant>,
}

/// Nothing goes wrong.
pub(crate) const NONE: Faults = Faults {
    agent_crashes: 0,
    agents_stopped: 0,
    controller_crashes: 0,
    losses: 0,
    duplicates: 0,
    unknowns: 0,
    slow_holds: 0,
    pauses: 0,
    resumes: 0,
    undos: 0,
    rollbacks: 0,
    restores: 0,
};
