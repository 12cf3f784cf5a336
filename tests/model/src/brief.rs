//! Commands that are one step in the model: preparation, `Hold`, `Settle`, and the undo of preparation.
//!
//! What they write is written once, with what they check: no process is stopped in the middle of one. Budgets are no part
//! of the model, so a hold looks and a settlement only says that it is not of the past; both keep their number, by which
//! later ones are told from earlier ones. What preparation takes back is the set, empty as it must be, and its tombstones.

use ferry_core::{
    Command, CommandBody, Ordinal, Slice,
    facts::{
        Held, OrdinalEpoch, OutcomeResult, Refusal,
        RefusalCode::{self, Conflict, NotReady, StaleEpoch},
        TargetPrepared, Unprepared,
    },
};

use crate::{
    bounds::Plant,
    cluster::{Claim, Cluster, same},
    names::{self, Side},
    task::Thing,
    world::World,
};

/// Carries the command out.
pub(crate) fn run(world: &mut World, side: Side, order: &Command, plant: Option<Plant>) -> OutcomeResult {
    match work(world, side, order, plant) {
        Ok(evidence) => evidence,
        Err(code) => OutcomeResult::Refusal(Refusal { code, message: String::new(), step: 3 }),
    }
}

fn work(
    world: &mut World,
    side: Side,
    order: &Command,
    plant: Option<Plant>,
) -> Result<OutcomeResult, RefusalCode> {
    let checks = plant != Some(Plant::EpochUnchecked);
    let cluster = &mut world.clusters[side.index()];
    let (generation, number) = (order.generation, names::number(order));
    let overtaken = cluster.command.is_some_and(|(of, latest)| of == generation && latest > number);
    let known: Vec<(Ordinal, u64)> = match &order.body {
        CommandBody::Hold { ordinal, .. } => vec![(*ordinal, order.epoch.0)],
        CommandBody::Settle { epochs, .. }
        | CommandBody::Unprepare { epochs, .. }
        | CommandBody::PrepareTarget { epochs, .. }
        | CommandBody::PrepareSource { epochs, .. } => epochs.iter().map(pair).collect(),
        _ => Vec::new(),
    };
    let is_past = known.iter().any(|(ordinal, epoch)| cluster.place(*ordinal).kept > *epoch);
    if checks && (overtaken || generation < cluster.generation || is_past) {
        return Err(StaleEpoch);
    }
    cluster.generation = cluster.generation.max(generation);
    cluster.command = Some((generation, number));
    if !matches!(order.body, CommandBody::Settle { .. }) {
        for (ordinal, epoch) in &known {
            let place = cluster.place_mut(*ordinal);
            place.kept = place.kept.max(*epoch);
        }
    }
    match &order.body {
        CommandBody::Hold { ordinal, source, slice, .. } => {
            hold(world, side, (*ordinal, *source, *slice), order.epoch.0)
        }
        CommandBody::Settle { .. } => Ok(OutcomeResult::Settled),
        CommandBody::Unprepare { target, epochs, .. } => {
            if *target {
                unprepare(world, side, epochs, plant)?;
            }
            Ok(OutcomeResult::Unprepared(Unprepared::default()))
        }
        CommandBody::PrepareTarget { epochs, slice, .. } => {
            for (ordinal, epoch) in epochs.iter().map(pair) {
                for disk in &mut cluster.place_mut(ordinal).disks {
                    disk.claim = Claim::Tombstone(epoch);
                }
            }
            let slice = *cluster.slice.get_or_insert(*slice);
            let prepared = TargetPrepared { stateful_set_uid: names::set_uid(side), slice };
            Ok(OutcomeResult::TargetPrepared(prepared))
        }
        _ => Err(Conflict),
    }
}

fn pair(of: &OrdinalEpoch) -> (Ordinal, u64) {
    (of.ordinal, of.epoch.0)
}

fn hold(
    world: &mut World,
    side: Side,
    (ordinal, source, expected): (Ordinal, bool, Slice),
    epoch: u64,
) -> Result<OutcomeResult, RefusalCode> {
    let cluster = &world.clusters[side.index()];
    if !cluster.slice.is_some_and(|slice| same(slice, expected)) {
        return Err(Conflict);
    }
    if !cluster.is_well() {
        return Err(NotReady);
    }
    if source && !cluster.place(ordinal).is_complete() {
        return Err(Conflict);
    }
    if !source {
        vacate(world, side, ordinal, epoch)?;
    }
    let cluster = &world.clusters[side.index()];
    let pod = cluster.place(ordinal).pod;
    Ok(OutcomeResult::Held(Held {
        node: source.then(|| names::node(side)),
        pod_uid: pod.map(|pod| names::pod_uid(side, ordinal, pod)).unwrap_or_default(),
        available: cluster.slice().replicas,
        template_digest: "template".to_owned(),
    }))
}

/// The target has nothing of the ordinal but tombstones: missing ones are put back, and what a fenced adoption made late is
/// forgotten.
fn vacate(world: &mut World, side: Side, ordinal: Ordinal, epoch: u64) -> Result<(), RefusalCode> {
    let place = world.clusters[side.index()].place(ordinal);
    let late =
        |volume: &crate::cluster::Volume| volume.epoch > 0 && volume.epoch < epoch && volume.claim.is_none();
    let foreign = place.disks.iter().any(|disk| {
        matches!(disk.claim, Claim::Real(..)) || disk.volume.as_ref().is_some_and(|volume| !late(volume))
    });
    if foreign || place.pod.is_some() {
        return Err(Conflict);
    }
    for disk in 0..place.disks.len() {
        let found = &mut world.clusters[side.index()].place_mut(ordinal).disks[disk];
        if found.volume.take().is_some() {
            world.touched(side, Thing::Volume(ordinal, disk));
        }
        let found = &mut world.clusters[side.index()].place_mut(ordinal).disks[disk];
        if found.claim == Claim::Nothing {
            found.claim = Claim::Tombstone(epoch);
            world.touched(side, Thing::Claim(ordinal, disk));
        }
    }
    Ok(())
}

fn unprepare(
    world: &mut World,
    side: Side,
    epochs: &[OrdinalEpoch],
    plant: Option<Plant>,
) -> Result<(), RefusalCode> {
    let cluster: &Cluster = &world.clusters[side.index()];
    let real = |disk: &crate::cluster::Disk| matches!(disk.claim, Claim::Real(..));
    let here = epochs
        .iter()
        .map(|of| cluster.place(of.ordinal))
        .any(|place| place.pod.is_some() || place.disks.iter().any(real));
    if here || !cluster.slice().is_empty() {
        return Err(Conflict);
    }
    world.clusters[side.index()].slice = None;
    world.touched(side, Thing::Set);
    if plant != Some(Plant::TombstonesGone) {
        return Ok(());
    }
    for of in epochs {
        let disks = world.clusters[side.index()].place(of.ordinal).disks.len();
        for disk in 0..disks {
            world.clusters[side.index()].place_mut(of.ordinal).disks[disk].claim = Claim::Nothing;
            world.touched(side, Thing::Claim(of.ordinal, disk));
        }
    }
    Ok(())
}
