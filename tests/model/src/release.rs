//! `Release`: the source lets go of one ordinal and proves it (`agent/src/executor/release`).
//!
//! The epoch is kept; the slice is patched as it was read, if every replica is well; the pod ends; the disks are detached;
//! claim by claim a tombstone takes the claim's place; then the disks are looked at once more.
//! Finalizers, retention and reclaim policies are left out: no process of the model changes them.

use ferry_core::{
    CommandBody,
    facts::{OutcomeResult, RefusalCode::StaleEpoch, Released},
};

use crate::{
    bounds::Plant,
    cluster::Claim,
    executor::{self, conflict, not_ready},
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
                None => conflict(5),
                Some(true) => Stepped::To(Next::Gone),
                Some(false) if hand.cluster().is_well() => Stepped::To(Next::Latest),
                Some(false) => not_ready(5),
            }
        }
        Next::Latest | Next::Patch => executor::patch(hand, Next::Gone),
        Next::Gone => {
            let blind = hand.plant == Some(Plant::ClaimBeforeDetach);
            executor::gone(hand, if blind { Next::KeepAgain } else { Next::Detach })
        }
        Next::Detach => {
            let epoch = hand.task.epoch();
            // Claims are deleted after the proof only: then just the absence is looked at again, which is the same here.
            debug_assert!(epoch > 0, "a release has an epoch");
            executor::detached(hand)
        }
        Next::KeepAgain => executor::keep_again(hand, Next::Standing),
        Next::Standing => standing(hand),
        Next::DeleteClaim => executor::delete_claim(hand),
        Next::Place => executor::place(hand, Next::Still),
        _ => still(hand),
    }
}

fn standing(hand: &mut Hand<'_>) -> Stepped {
    let standing = hand.disk().claim;
    match standing {
        Claim::Real(number, _) if !hand.is_recorded(number) => conflict(7),
        Claim::Real(_, of) if of > hand.task.epoch() => Stepped::refuse(StaleEpoch, 7),
        Claim::Real(..) => {
            executor::mark_volume(hand);
            hand.read(hand.thing_claim());
            Stepped::To(Next::DeleteClaim)
        }
        Claim::Tombstone(_) | Claim::Nothing => executor::place(hand, Next::Still),
    }
}

fn still(hand: &mut Hand<'_>) -> Stepped {
    if hand.plant != Some(Plant::ClaimBeforeDetach) && hand.place().disks.iter().any(|disk| disk.attached) {
        return Stepped::unknown(7);
    }
    evidence(hand)
}

/// What a release that has come to its end says.
pub(crate) fn evidence(hand: &Hand<'_>) -> Stepped {
    let order = hand.task.order.text.clone();
    let CommandBody::Release { pod_uid, volumes, node, .. } = &order.body else { return Stepped::Again };
    Stepped::end(OutcomeResult::Released(Released {
        pod_uid: pod_uid.clone(),
        volumes: volumes.clone(),
        node: Some(node.clone()),
        detached: true,
        epoch_kept: order.epoch,
    }))
}
