//! One step of a command about one ordinal: which part of the executors it is.
//!
//! Parts that several commands have in common are here, as they are in `agent/src/executor`: the slice patch, the proof
//! of detach, tombstones in the place of claims, Bound, and forgetting a volume. What differs is in a file for each
//! command. Refusals carry the code and the step that the core decides by; words are left out.

use ferry_core::{
    CommandBody,
    facts::RefusalCode::{Conflict, NotReady, StaleEpoch},
};

use crate::{
    adopt,
    bounds::Plant,
    cluster::{Claim, same},
    fence, reclaim, release, retire,
    task::{Hand, Next, Stepped, Thing, Work},
};

/// On which side of the patch the set stands; none: on neither.
pub(crate) fn side(hand: &mut Hand<'_>) -> Option<bool> {
    let (from, to) = (hand.work.from, hand.work.to);
    let found = hand.cluster().slice?;
    if same(found, to) {
        Some(true)
    } else if same(found, from) {
        Some(false)
    } else {
        None
    }
}

/// What a command about one ordinal says; none for the others.
pub(crate) fn work(body: &CommandBody) -> Option<Work> {
    let (ordinal, from, to, volumes) = match body {
        CommandBody::Release { ordinal, from_slice, to_slice, volumes, .. }
        | CommandBody::Adopt { ordinal, from_slice, to_slice, volumes, .. }
        | CommandBody::Fence { ordinal, from_slice, to_slice, volumes, .. }
        | CommandBody::Reclaim { ordinal, from_slice, to_slice, volumes, .. } => {
            (*ordinal, *from_slice, *to_slice, volumes)
        }
        CommandBody::Retire { ordinal, volumes } => {
            (*ordinal, ferry_core::Slice::default(), ferry_core::Slice::default(), volumes)
        }
        _ => return None,
    };
    Some(Work { ordinal, from, to, volumes: volumes.clone() })
}

/// Takes one step.
pub(crate) fn step(hand: &mut Hand<'_>) -> Stepped {
    let order = hand.task.order.text.clone();
    match &order.body {
        CommandBody::Release { .. } => release::step(hand),
        CommandBody::Adopt { .. } => adopt::step(hand),
        CommandBody::Fence { .. } => fence::step(hand),
        CommandBody::Reclaim { .. } => reclaim::step(hand),
        _ => retire::step(hand),
    }
}

/// The epochs once more, then the patch.
pub(crate) fn patch(hand: &mut Hand<'_>, then: Next) -> Stepped {
    if hand.task.next == Next::Latest {
        return match hand.keep(false) {
            Err(stopped) => stopped,
            Ok(()) => Stepped::To(Next::Patch),
        };
    }
    let untested = hand.plant == Some(Plant::PatchUntested);
    if !hand.unchanged(Thing::Set) && !untested {
        return Stepped::Again;
    }
    let (to, record) = (hand.work.to, (hand.work.ordinal, hand.task.epoch()));
    let cluster = hand.cluster();
    cluster.slice = Some(to);
    cluster.record = Some(record);
    hand.wrote(Thing::Set);
    Stepped::To(then)
}

/// What comes before the set is written to: the epochs once more.
pub(crate) fn before_fence(hand: &Hand<'_>) -> Next {
    if hand.plant == Some(Plant::FenceBlind) { Next::FenceSet } else { Next::LatestFence }
}

/// The set as it was read gets the epoch; its slice stays.
pub(crate) fn fence_set(hand: &mut Hand<'_>, then: Next) -> Stepped {
    if hand.plant == Some(Plant::SetUnfenced) {
        return Stepped::To(then);
    }
    if hand.task.next == Next::LatestFence {
        return match hand.keep(false) {
            Err(stopped) => stopped,
            Ok(()) => Stepped::To(Next::FenceSet),
        };
    }
    if !hand.unchanged(Thing::Set) {
        return Stepped::Again;
    }
    let record = (hand.work.ordinal, hand.task.epoch());
    hand.cluster().record = Some(record);
    hand.wrote(Thing::Set);
    Stepped::To(then)
}

/// Whether the set was written to for this ordinal at this epoch.
pub(crate) fn is_fenced(hand: &mut Hand<'_>) -> bool {
    let record = (hand.work.ordinal, hand.task.epoch());
    hand.cluster().record == Some(record)
}

/// The end of the pod, while the ordinal is not in the slice.
pub(crate) fn gone(hand: &mut Hand<'_>, then: Next) -> Stepped {
    if side(hand) != Some(true) {
        return Stepped::Again;
    }
    if hand.place().pod.is_some() { Stepped::Wait } else { Stepped::To(then) }
}

/// No node has any of the disks. A tombstone of this epoch says that an earlier process had the proof.
pub(crate) fn detached(hand: &mut Hand<'_>) -> Stepped {
    let blind = hand.plant == Some(Plant::ClaimBeforeDetach);
    if !blind && hand.place().disks.iter().any(|disk| disk.attached) {
        return Stepped::Wait;
    }
    Stepped::To(Next::KeepAgain)
}

/// The proof took time: the fence and the end of the pod are looked at again.
pub(crate) fn keep_again(hand: &mut Hand<'_>, then: Next) -> Stepped {
    if let Err(stopped) = hand.keep(true) {
        return stopped;
    }
    if side(hand) != Some(true) || hand.place().pod.is_some() {
        return Stepped::Again;
    }
    Stepped::To(then)
}

/// The claim as it was read goes, once no pod uses it.
pub(crate) fn delete_claim(hand: &mut Hand<'_>) -> Stepped {
    if !hand.unchanged(hand.thing_claim()) {
        return Stepped::Again;
    }
    hand.disk().claim = Claim::Nothing;
    hand.wrote(hand.thing_claim());
    Stepped::To(Next::Place)
}

/// A tombstone of this epoch stands under the claim's name.
pub(crate) fn place(hand: &mut Hand<'_>, then: Next) -> Stepped {
    let epoch = hand.task.epoch();
    match hand.disk().claim {
        Claim::Real(..) => return Stepped::refuse(Conflict, 7),
        Claim::Tombstone(of) if of > epoch => return Stepped::refuse(StaleEpoch, 7),
        Claim::Tombstone(of) if of == epoch => {}
        Claim::Tombstone(_) | Claim::Nothing => {
            hand.disk().claim = Claim::Tombstone(epoch);
            hand.wrote(hand.thing_claim());
        }
    }
    hand.next_disk(Next::Standing, then)
}

/// The PersistentVolume gets the epoch, `Retain` with it.
pub(crate) fn mark_volume(hand: &mut Hand<'_>) {
    let epoch = hand.task.epoch();
    let Some(volume) = hand.disk().volume.as_mut().filter(|volume| volume.epoch < epoch) else { return };
    volume.epoch = epoch;
    hand.wrote(hand.thing_volume());
}

/// The tombstone as it was read goes.
pub(crate) fn remove_tombstone(hand: &mut Hand<'_>) -> Stepped {
    // One that is gone already counts as removed.
    if hand.disk().claim != Claim::Nothing {
        if !hand.unchanged(hand.thing_claim()) {
            return Stepped::Again;
        }
        hand.disk().claim = Claim::Nothing;
        hand.wrote(hand.thing_claim());
    }
    Stepped::To(Next::MakeClaim)
}

/// Claims and volumes are Bound to each other.
pub(crate) fn bound(hand: &mut Hand<'_>, step: u32) -> Stepped {
    for disk in hand.place().disks.clone() {
        match (disk.claim, disk.volume) {
            (Claim::Real(number, _), Some(volume)) => match volume.claim {
                Some(named) if named == number => {}
                Some(_) => return Stepped::refuse(Conflict, step),
                None => return Stepped::Wait,
            },
            _ => return Stepped::refuse(Conflict, step),
        }
    }
    Stepped::To(Next::KeepAgain)
}

/// The epoch once more, the set once more, the patch, and the pod.
pub(crate) fn start(hand: &mut Hand<'_>, step: u32) -> Result<(), Stepped> {
    match hand.task.next {
        Next::KeepAgain => {
            hand.keep(true)?;
            Err(Stepped::To(Next::LookAgain))
        }
        Next::LookAgain => {
            hand.read(Thing::Set);
            Err(match side(hand) {
                Some(true) => Stepped::To(Next::Started),
                Some(false) => Stepped::To(Next::Latest),
                None => Stepped::refuse(Conflict, step),
            })
        }
        Next::Latest | Next::Patch => Err(patch(hand, Next::Started)),
        _ => {
            let side = side(hand);
            if side == Some(false) {
                return Err(Stepped::refuse(Conflict, step));
            }
            if side.is_none() {
                return Err(Stepped::refuse(Conflict, step));
            }
            if hand.place().pod.is_none() { Err(Stepped::Wait) } else { Ok(()) }
        }
    }
}

/// The PersistentVolume of the disk is read, and goes as it was read.
pub(crate) fn forget(hand: &mut Hand<'_>, step: u32, never_bound: bool, then: Next) -> Stepped {
    if hand.task.next == Next::ForgetDelete {
        if !hand.unchanged(hand.thing_volume()) {
            return Stepped::Again;
        }
        hand.disk().volume = None;
        hand.wrote(hand.thing_volume());
        return hand.next_disk(Next::ForgetLook, then);
    }
    let Some(volume) = hand.disk().volume else { return hand.next_disk(Next::ForgetLook, then) };
    if hand.disk().attached || (volume.claim.is_none() && !never_bound) {
        return Stepped::refuse(Conflict, step);
    }
    if hand.disk().is_bound() {
        return if never_bound { Stepped::Wait } else { Stepped::refuse(Conflict, step) };
    }
    hand.read(hand.thing_volume());
    Stepped::To(Next::ForgetDelete)
}

/// What waiting may cure.
pub(crate) fn not_ready(step: u32) -> Stepped {
    Stepped::refuse(NotReady, step)
}

/// What only a person can cure.
pub(crate) fn conflict(step: u32) -> Stepped {
    Stepped::refuse(Conflict, step)
}
