//! The invariants of handoff.md section 2, on states of the model.
//!
//! I1 to I4 are read off the clusters alone, whatever the ledger believes. I5 is noted by the write itself: after a cluster
//! has proved something under an epoch, no write of an earlier one succeeds there; the one that nothing can collide with,
//! a PersistentVolume that is reserved for a tombstone's name, is let through and must never be Bound. I8 holds the ledger
//! against the clusters: what it was told by nobody it does not believe, and an unknown outcome moves nothing.
//!
//! I4 is meant for replicas that Ferry stops: pods do not fail by themselves here.

use ferry_core::{
    Ordinal,
    facts::{Outcome, OutcomeResult},
    migration::Stage,
    volume::Custody,
};

use crate::{
    ledger::Ledger,
    names::{self, Side},
    world::World,
};

fn ordinals(world: &World) -> std::ops::Range<Ordinal> {
    0..world.clusters[0].places.len() as Ordinal
}

/// I1: a disk is usable in one cluster at most.
pub(crate) fn usable_once(world: &World) -> bool {
    let [east, west] = &world.clusters;
    ordinals(world).all(|ordinal| {
        let disks = east.place(ordinal).disks.iter().zip(&west.place(ordinal).disks);
        disks.into_iter().all(|(east, west)| !(east.is_usable() && west.is_usable()))
    })
}

/// I2: an ordinal runs in one cluster at most, and never without its disks (H13).
pub(crate) fn runs_once(world: &World) -> bool {
    let [east, west] = &world.clusters;
    let twice =
        ordinals(world).any(|ordinal| east.place(ordinal).pod.is_some() && west.place(ordinal).pod.is_some());
    !twice && !world.broken.contains("H13: a pod gets an empty disk")
}

/// I3: slices are disjoint, and the only gap is one ordinal.
pub(crate) fn slices_fit(world: &World) -> bool {
    let [east, west] = &world.clusters;
    let missing = ordinals(world).filter(|ordinal| !east.wants(*ordinal) && !west.wants(*ordinal)).count();
    east.slice().is_disjoint(west.slice()) && missing <= 1
}

/// I4: one replica is down at most.
pub(crate) fn budget_kept(world: &World) -> bool {
    let runs = |ordinal| world.clusters.iter().any(|cluster| cluster.place(ordinal).pod.is_some());
    ordinals(world).filter(|ordinal| !runs(*ordinal)).count() <= 1
}

/// I5: nothing of an epoch happens where a later one has proved something.
pub(crate) fn past_is_past(world: &World) -> bool {
    let late_and_bound = world.clusters.iter().flat_map(|cluster| &cluster.places).any(|place| {
        let mut bound = place.disks.iter().filter(|disk| disk.is_bound());
        bound.any(|disk| disk.volume.is_some_and(|volume| volume.epoch > 0 && volume.epoch < place.proved))
            && place.pod.is_none()
    });
    !world.broken.contains("I5") && !late_and_bound
}

/// I8: the ledger believes of a cluster only what it has proved, and an unknown is no answer.
pub(crate) fn unknown_is_unknown(world: &World) -> bool {
    !world.broken.contains("I8") && (world.rewound || ordinals(world).all(|ordinal| is_true(world, ordinal)))
}

/// The ledger's own invariants, which the core asserts.
pub(crate) fn core_agrees(world: &World) -> bool {
    !world.broken.contains("the core contradicts itself")
}

/// An outcome that is unknown leaves every ordinal with whom it was, and the migration where it was.
pub(crate) fn note_unknown(world: &mut World, outcome: &Outcome, after: &Ledger) {
    if !matches!(outcome.result, OutcomeResult::Unknown(_)) {
        return;
    }
    let before = &world.ledger;
    let stage = |ledger: &Ledger| ledger.work().map(|work| work.stage);
    // Where the holds have grown too old meanwhile, looking again is what an unknown leads to.
    let looks_again = (stage(before), stage(after)) == (Some(Stage::Releasing), Some(Stage::Holding));
    let stays = stage(before) == stage(after) || looks_again;
    if before.state.ledger.workloads != after.state.ledger.workloads || !stays {
        world.broken.insert("I8");
    }
}

/// Whether the clusters are as the ledger believes of that ordinal.
fn is_true(world: &World, ordinal: Ordinal) -> bool {
    let record = world.ledger.state.ledger.workloads.get(&names::workload());
    let Some(known) = record.and_then(|record| record.ordinals.get(&ordinal)) else { return true };
    let is_free = |side: Side| {
        let cluster = &world.clusters[side.index()];
        !cluster.wants(ordinal) && !cluster.place(ordinal).is_in_use()
    };
    match &known.custody {
        Custody::Owned { cluster } => {
            Side::BOTH.into_iter().filter(|side| *side != Side::of(cluster)).all(is_free)
        }
        Custody::Releasing { to, .. } | Custody::Reclaiming { to, .. } => is_free(Side::of(to)),
        Custody::Granted { from, .. } => is_free(Side::of(from)),
    }
}
