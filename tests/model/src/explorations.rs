//! Which bounds are explored, and what is expected of each.
//!
//! Those that are right must hold in every state. Of those in which a fault is planted the checker must find it, or it would
//! see nothing elsewhere either; some of them this model found in the agents as they were built.
//! The quick ones are explored by every run of the tests, all of them by `make model`.

use ferry_core::Order;
use serde::Serialize;

use crate::bounds::{Bounds, Faults, NONE, Plant};

/// Bounds, and what is expected.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Exploration {
    /// What is explored.
    pub(crate) bounds: Bounds,
    /// The property that must be found broken; none: all hold.
    pub(crate) finds: Option<&'static str>,
    /// Whether it takes seconds only.
    pub(crate) quick: bool,
}

const ONE: Bounds = Bounds {
    name: "",
    why: "",
    ordinals: 1,
    volumes: 1,
    order: Order::HighestFirst,
    faults: NONE,
    plant: None,
};

/// The protocol as it is meant.
pub(crate) const RIGHT: [Exploration; 21] = [
    right(Bounds { name: "plain", why: "nothing goes wrong", ..ONE }, true),
    right(
        Bounds {
            name: "an agent ends",
            why: "two handoffs, and an agent ends once at any moment",
            ordinals: 2,
            faults: Faults { agent_crashes: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    right(
        Bounds {
            name: "the controller ends",
            why: "between any commit and what it sends",
            faults: Faults { controller_crashes: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    right(
        Bounds {
            name: "an agent sleeps",
            why: "H19: it is stopped between any check and write, another takes its place, and it wakes up",
            faults: Faults { agents_stopped: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    right(
        Bounds {
            name: "unknown once",
            why: "I8: a command ends without anybody knowing how",
            faults: Faults { unknowns: 1, slow_holds: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    right(
        Bounds {
            name: "two replicas",
            why: "two handoffs, each process ends once at any moment",
            ordinals: 2,
            faults: Faults { agent_crashes: 1, controller_crashes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "two volumes",
            why: "claims are replaced one by one; an agent ends, another one is stopped and wakes up late",
            volumes: 2,
            faults: Faults { agent_crashes: 1, agents_stopped: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "network",
            why: "a message is lost, another comes twice, each process ends once",
            faults: Faults { losses: 1, duplicates: 1, controller_crashes: 1, agent_crashes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "lossy",
            why: "a message is lost, another comes twice",
            faults: Faults { losses: 1, duplicates: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "asleep",
            why: "H19: an agent is stopped between a check and a write, the ordinal is taken back and moved again",
            faults: Faults { agents_stopped: 1, undos: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "taken back",
            why: "the operator takes an ordinal back, lets it go on, and an agent ends meanwhile",
            ordinals: 2,
            faults: Faults { agent_crashes: 1, undos: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "all back",
            why: "the operator pauses, resumes and takes everything back, lowest ordinal first",
            ordinals: 2,
            order: Order::LowestFirst,
            faults: Faults { pauses: 1, resumes: 1, rollbacks: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "rollback",
            why: "the operator takes everything back",
            faults: Faults { rollbacks: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    right(
        Bounds {
            name: "rollback, crash",
            why: "the operator takes everything back, and the controller ends meanwhile",
            faults: Faults { controller_crashes: 1, rollbacks: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "unknown",
            why: "I8: two commands end without anybody knowing how, and the ordinal is taken back",
            faults: Faults { unknowns: 2, undos: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "slow",
            why: "holds grow too old to rely on, twice, and the controller ends",
            faults: Faults { slow_holds: 2, controller_crashes: 1, agent_crashes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "restored",
            why: "H18: a backup of any earlier moment is restored, and an agent ends",
            faults: Faults { restores: 1, agent_crashes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "restored once",
            why: "H18: a backup of any earlier moment is restored",
            faults: Faults { restores: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "restored and taken back",
            why: "H18: after that an undo; the restored ledger may not know that the target was asked to adopt",
            faults: Faults { restores: 1, undos: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "taken back, restored and resumed",
            why: "H18: an undo, before or after that, and a person who says to go on above what the clusters keep",
            faults: Faults { restores: 1, undos: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    right(
        Bounds {
            name: "rolled back, restored and resumed",
            why: "H18: the same with everything taken back",
            faults: Faults { restores: 1, rollbacks: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
];

/// Faults that are planted.
pub(crate) const PLANTED: [Exploration; 8] = [
    planted(
        Plant::ClaimBeforeDetach,
        "I1",
        Bounds { name: "claim before detach", why: "no fault is needed besides", ..ONE },
        true,
    ),
    planted(
        Plant::UnknownIsSuccess,
        "I8",
        Bounds {
            name: "unknown is success",
            why: "a release whose time is over",
            faults: Faults { unknowns: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    planted(
        Plant::EpochUnchecked,
        "I5",
        Bounds {
            name: "epoch unchecked",
            why: "an agent is stopped before it does anything, and wakes up late",
            faults: Faults { agents_stopped: 1, undos: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    planted(
        Plant::PatchUntested,
        "I5",
        Bounds {
            name: "patch untested",
            why: "H19: an agent is stopped between the check and the patch of the slice",
            faults: Faults { agents_stopped: 1, undos: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    planted(
        Plant::SetUnfenced,
        "I5",
        Bounds {
            name: "set unfenced",
            why: "H19: the same, and the fence finds nothing to take out of the slice",
            faults: Faults { agents_stopped: 1, undos: 1, ..NONE },
            ..ONE
        },
        true,
    ),
    planted(
        Plant::TombstonesGone,
        "I1",
        Bounds {
            name: "tombstones gone",
            why: "an adoption that was stopped before it made anything wakes up after everything was taken back, \
                  tombstones too: PersistentVolume and claim are made and bind",
            faults: Faults { agents_stopped: 1, rollbacks: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    planted(
        Plant::FenceBlind,
        "I5",
        Bounds {
            name: "set written late",
            why: "a reclamation that was stopped between keeping its epoch and reading the set writes its record over \
                  that of a later release",
            faults: Faults { agents_stopped: 1, undos: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
    planted(
        Plant::FreeBlind,
        "I5",
        Bounds {
            name: "volume freed late",
            why: "a reclamation that was stopped before it read a claim frees the PersistentVolume that a later release \
                  has given away: it is not Released any more, and its retirement waits for a person",
            faults: Faults { agents_stopped: 1, undos: 1, resumes: 1, ..NONE },
            ..ONE
        },
        false,
    ),
];

const fn right(bounds: Bounds, quick: bool) -> Exploration {
    Exploration { bounds, finds: None, quick }
}

const fn planted(plant: Plant, finds: &'static str, bounds: Bounds, quick: bool) -> Exploration {
    Exploration { bounds: Bounds { plant: Some(plant), ..bounds }, finds: Some(finds), quick }
}
