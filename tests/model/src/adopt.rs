//! `Adopt`: the target takes one ordinal with its disks (`agent/src/executor/adopt`).
//!
//! Everything is read first, with the epoch kept; then, disk by disk, the PersistentVolume is made, the tombstone goes as it
//! was read, the claim is made; when all is Bound the epoch is kept once more, and the slice patched as it is read then.
//! A PersistentVolume that exists is this command's by its epoch, or stops it (H12).

use ferry_core::facts::{Adopted, OutcomeResult, RefusalCode::StaleEpoch};

use crate::{
    cluster::{Claim, Volume},
    executor::{self, conflict},
    names,
    task::{Found, Hand, Next, Stepped, Thing},
};

pub(crate) fn step(hand: &mut Hand<'_>) -> Stepped {
    match hand.task.next {
        Next::Keep => match hand.keep(true) {
            Err(stopped) => stopped,
            Ok(()) => Stepped::To(Next::Look),
        },
        Next::Look => look(hand),
        Next::MakeVolume => make_volume(hand),
        Next::RemoveTombstone => executor::remove_tombstone(hand),
        Next::MakeClaim => {
            if !hand.make_claim() {
                return Stepped::Again;
            }
            hand.next_disk(Next::MakeVolume, Next::Bound)
        }
        Next::Bound => executor::bound(hand, 9),
        _ => match executor::start(hand, 10) {
            Err(stepped) => stepped,
            Ok(()) => evidence(hand),
        },
    }
}

fn look(hand: &mut Hand<'_>) -> Stepped {
    if executor::side(hand).is_none() {
        return conflict(0);
    }
    let ordinal = hand.work.ordinal;
    let disks = hand.place().disks.clone();
    hand.task.found.clear();
    for (disk, found) in disks.iter().enumerate() {
        let standing = match found.claim {
            Claim::Nothing => Found::Nothing,
            Claim::Tombstone(of) => Found::Tombstone(of),
            Claim::Real(_, of) => Found::Real(of),
        };
        hand.task.found.push((found.volume.map(|volume| volume.epoch), standing));
        hand.read(Thing::Claim(ordinal, disk));
    }
    Stepped::To(Next::MakeVolume)
}

fn make_volume(hand: &mut Hand<'_>) -> Stepped {
    let epoch = hand.task.epoch();
    let (volume, standing) = hand.task.found[hand.task.disk];
    match volume {
        Some(of) if of == epoch => {}
        Some(_) => return conflict(9),
        None if hand.disk().volume.is_some() => return Stepped::Again,
        None => {
            let disk = hand.disk();
            disk.volumes += 1;
            disk.volume = Some(Volume { made: disk.volumes, epoch, claim: None });
            hand.wrote(hand.thing_volume());
        }
    }
    match standing {
        Found::Nothing => Stepped::To(Next::MakeClaim),
        Found::Tombstone(of) if of > epoch => Stepped::refuse(StaleEpoch, 9),
        Found::Tombstone(_) => Stepped::To(Next::RemoveTombstone),
        Found::Real(of) if of == epoch => hand.next_disk(Next::MakeVolume, Next::Bound),
        Found::Real(_) => conflict(9),
    }
}

/// What an adoption that has come to its end says.
pub(crate) fn evidence(hand: &mut Hand<'_>) -> Stepped {
    let (side, ordinal) = (hand.task.side, hand.work.ordinal);
    let pod = hand.place().pod.unwrap_or_default();
    Stepped::end(OutcomeResult::Adopted(Adopted {
        pod_uid: names::pod_uid(side, ordinal, pod),
        pod_address: String::new(),
        node: Some(names::node(side)),
        volumes: hand.cluster().claimed(side, ordinal),
        epoch_kept: hand.task.order.text.epoch,
    }))
}
