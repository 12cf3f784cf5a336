//! `Fence`: the target will not take the ordinal any more, and holds nothing of it (`agent/src/executor/fence`).
//!
//! The epoch is kept, then written to the set in any case, by the patch or beside it; the pod ends; the disks are detached;
//! what bears the adoption's epoch goes, claims first, then the PersistentVolumes; then everything is read once more.
//! Anything else that names the disks stops it.

use ferry_core::facts::{Fenced, OutcomeResult};

use crate::{
    cluster::Claim,
    executor::{self, conflict},
    task::{Found, Hand, Next, Stepped, Thing},
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
                Some(false) => Stepped::To(Next::Latest),
                Some(true) if executor::is_fenced(hand) => Stepped::To(Next::Gone),
                Some(true) => Stepped::To(executor::before_fence(hand)),
            }
        }
        Next::Latest | Next::Patch => executor::patch(hand, Next::Gone),
        Next::LatestFence | Next::FenceSet => executor::fence_set(hand, Next::Gone),
        Next::Gone => executor::gone(hand, Next::Detach),
        Next::Detach => executor::detached(hand),
        Next::KeepAgain => executor::keep_again(hand, Next::Survey),
        Next::Survey => survey(hand),
        Next::Standing => standing(hand),
        Next::DeleteClaim => executor::delete_claim(hand),
        Next::Place => executor::place(hand, Next::ForgetLook),
        Next::ForgetLook => forget(hand),
        Next::ForgetDelete => executor::forget(hand, 9, true, Next::NothingLeft),
        _ => nothing_left(hand),
    }
}

/// Whether it bears the adoption's epoch, or this command's after it was marked.
fn is_adopted(hand: &Hand<'_>, epoch: u64) -> bool {
    let own = hand.task.epoch();
    (1..=own).contains(&epoch)
}

/// Nothing is touched before everything that names the disks is known to be of the adoption.
fn survey(hand: &mut Hand<'_>) -> Stepped {
    hand.task.found.clear();
    for disk in hand.place().disks.clone() {
        hand.task.found.push((disk.volume.map(|volume| volume.made.into()), Found::Nothing));
        let claim = match disk.claim {
            Claim::Real(_, of) => is_adopted(hand, of),
            Claim::Nothing | Claim::Tombstone(_) => true,
        };
        let volume = disk.volume.is_none_or(|volume| is_adopted(hand, volume.epoch));
        if !claim || !volume {
            return conflict(9);
        }
    }
    Stepped::To(Next::Standing)
}

fn standing(hand: &mut Hand<'_>) -> Stepped {
    let Claim::Real(_, of) = hand.disk().claim else {
        return executor::place(hand, Next::ForgetLook);
    };
    if !is_adopted(hand, of) || hand.disk().volume.is_none() {
        return conflict(9);
    }
    executor::mark_volume(hand);
    hand.read(hand.thing_claim());
    Stepped::To(Next::DeleteClaim)
}

/// Only the PersistentVolume that was looked at goes: one that was made since is another, by its uid.
fn forget(hand: &mut Hand<'_>) -> Stepped {
    let looked_at = hand.task.found.get(hand.task.disk).and_then(|found| found.0);
    match hand.disk().volume.map(|volume| u64::from(volume.made)) {
        now if now == looked_at => executor::forget(hand, 9, true, Next::NothingLeft),
        None => hand.next_disk(Next::ForgetLook, Next::NothingLeft),
        Some(_) if looked_at.is_none() => hand.next_disk(Next::ForgetLook, Next::NothingLeft),
        Some(_) => conflict(9),
    }
}

fn nothing_left(hand: &mut Hand<'_>) -> Stepped {
    let disks = hand.place().disks.clone();
    if disks.iter().any(|disk| disk.volume.is_some()) {
        return Stepped::Again;
    }
    if disks.iter().any(|disk| disk.attached) {
        return conflict(9);
    }
    Stepped::end(OutcomeResult::Fenced(Fenced {
        epoch_kept: hand.task.order.text.epoch,
        slice: hand.cluster().slice(),
        detached: true,
        ..Fenced::default()
    }))
}
