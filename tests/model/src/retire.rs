//! `Retire`: the source forgets the disks that the target has (`agent/src/executor/retire.rs`).
//!
//! Released ones only, the recorded object as it was read; what is not there is done. The disk itself is never touched: a
//! PersistentVolume is an object that names it.
//! From here on the way back is a handoff in the other direction.

use ferry_core::facts::{OutcomeResult, Retired};

use crate::{
    executor::{self, conflict},
    task::{Hand, Next, Stepped},
};

const STEP: u32 = 12;

pub(crate) fn step(hand: &mut Hand<'_>) -> Stepped {
    match hand.task.next {
        Next::Keep => match hand.keep(true) {
            Err(stopped) => stopped,
            Ok(()) => Stepped::To(Next::ForgetLook),
        },
        Next::ForgetLook => {
            let volume = hand.disk().volume;
            if volume.is_some_and(|volume| !hand.is_recorded_volume(volume)) {
                return conflict(STEP);
            }
            executor::forget(hand, STEP, false, Next::NothingLeft)
        }
        Next::ForgetDelete => executor::forget(hand, STEP, false, Next::NothingLeft),
        _ => {
            let names = hand.work.volumes.iter().map(|volume| volume.volume.name.clone());
            Stepped::end(OutcomeResult::Retired(Retired { pv_names: names.collect() }))
        }
    }
}
