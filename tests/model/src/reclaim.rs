//! `Reclaim`: the source takes back what it had let go, or was about to (`agent/src/executor/reclaim`).
//!
//! The epoch is kept, then written to the set; each disk gets its claim back: the recorded one that was never deleted gets
//! the epoch, any other way the PersistentVolume loses the uid of the claim that is gone, the tombstone goes, and the claim
//! is made. When all is Bound the ordinal starts as on a target.

use ferry_core::facts::{OutcomeResult, Reclaimed, RefusalCode::StaleEpoch};

use crate::{
    bounds::Plant,
    cluster::Claim,
    executor::{self, conflict},
    names,
    task::{Hand, Next, Stepped, Thing},
};

pub(crate) fn step(hand: &mut Hand<'_>) -> Stepped {
    match hand.task.next {
        Next::Keep => match hand.keep(true) {
            Err(stopped) => stopped,
            Ok(()) => Stepped::To(Next::Look),
        },
        Next::Look => {
            hand.read(Thing::Set);
            match executor::side(hand) {
                None => conflict(0),
                Some(_) if executor::is_fenced(hand) => Stepped::To(Next::Survey),
                Some(_) => Stepped::To(executor::before_fence(hand)),
            }
        }
        Next::LatestFence | Next::FenceSet => executor::fence_set(hand, Next::Survey),
        Next::Survey => survey(hand),
        Next::Standing => standing(hand),
        Next::Mark => mark(hand),
        Next::Free => free(hand),
        Next::RemoveTombstone => executor::remove_tombstone(hand),
        Next::MakeClaim => {
            if !hand.make_claim() {
                return Stepped::Again;
            }
            hand.next_disk(Next::Standing, Next::Bound)
        }
        Next::Bound => executor::bound(hand, 7),
        _ => match executor::start(hand, 5) {
            Err(stepped) => stepped,
            Ok(()) => evidence(hand),
        },
    }
}

/// The recorded PersistentVolumes are all there.
fn survey(hand: &mut Hand<'_>) -> Stepped {
    for disk in 0..hand.work.volumes.len() {
        hand.task.disk = disk;
        let volume = hand.disk().volume;
        if !volume.is_some_and(|volume| hand.is_recorded_volume(volume)) {
            return conflict(7);
        }
    }
    hand.task.disk = 0;
    Stepped::To(Next::Standing)
}

fn standing(hand: &mut Hand<'_>) -> Stepped {
    let epoch = hand.task.epoch();
    hand.read(hand.thing_claim());
    let standing = hand.disk().claim;
    match standing {
        Claim::Real(number, of) if of <= epoch && (of == epoch || hand.is_recorded(number)) => {
            Stepped::To(Next::Mark)
        }
        Claim::Real(..) => conflict(7),
        Claim::Nothing | Claim::Tombstone(_) => {
            hand.read(hand.thing_volume());
            Stepped::To(Next::Free)
        }
    }
}

/// The epoch on claim and volume: a deletion that was decided before does not pass any more.
fn mark(hand: &mut Hand<'_>) -> Stepped {
    let epoch = hand.task.epoch();
    if !hand.unchanged(hand.thing_claim()) {
        return Stepped::Again;
    }
    if let Claim::Real(number, of) = hand.disk().claim
        && of < epoch
    {
        hand.disk().claim = Claim::Real(number, epoch);
        hand.wrote(hand.thing_claim());
    }
    executor::mark_volume(hand);
    hand.next_disk(Next::Standing, Next::Bound)
}

fn free(hand: &mut Hand<'_>) -> Stepped {
    let epoch = hand.task.epoch();
    if !hand.unchanged(hand.thing_volume()) {
        return Stepped::Again;
    }
    let blind = hand.plant == Some(Plant::FreeBlind);
    let Some(volume) = hand.disk().volume.as_mut() else { return conflict(7) };
    if volume.epoch > epoch && !blind {
        return Stepped::refuse(StaleEpoch, 7);
    }
    if volume.claim.is_some() || volume.epoch < epoch {
        volume.claim = None;
        volume.epoch = volume.epoch.max(epoch);
        hand.wrote(hand.thing_volume());
    }
    match hand.disk().claim {
        Claim::Nothing => Stepped::To(Next::MakeClaim),
        Claim::Tombstone(of) if of > epoch => Stepped::refuse(StaleEpoch, 7),
        _ => Stepped::To(Next::RemoveTombstone),
    }
}

fn evidence(hand: &mut Hand<'_>) -> Stepped {
    let (side, ordinal) = (hand.task.side, hand.work.ordinal);
    let pod = hand.place().pod.unwrap_or_default();
    Stepped::end(OutcomeResult::Reclaimed(Reclaimed {
        pod_uid: names::pod_uid(side, ordinal, pod),
        pod_address: String::new(),
        node: Some(names::node(side)),
        volumes: hand.cluster().claimed(side, ordinal),
        epoch_kept: hand.task.order.text.epoch,
    }))
}
