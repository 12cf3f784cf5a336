//! I9: from wherever faults have led, without further ones a migration comes to an end.
//!
//! Two looks at it. [`is_end`] is what the checker's `eventually` asks: it finds runs that come to rest anywhere else, but
//! takes a run that goes round in circles for one that goes on. [`ends`] is asked of every state that is reached: from
//! there, nothing going wrong any more and everybody doing their part in turn, the migration ends, or waits for a person
//! with words for them; a circle is found. It follows one fair schedule, not all.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use ferry_core::Phase;

use crate::{
    action::{self, Action},
    bounds::{NONE, Plant},
    ledger::Memory,
    rules,
    world::World,
};

/// States that are known to lead to an end.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashSet<u64>>);

/// Whether it is over, or waits for a person.
pub(crate) fn is_end(world: &World) -> bool {
    let phase = world.ledger.phase();
    phase.is_over() || phase == Phase::Paused || world.ledger.is_stopped()
}

/// Whether it comes to an end if nothing goes wrong any more; else the actions of the circle's way.
pub(crate) fn ends(
    world: &World,
    plant: Option<Plant>,
    memory: &Memory,
    known: &Known,
) -> Result<(), Vec<Action>> {
    let mut calm = World { left: NONE, backup: None, ..world.clone() };
    calm.renumber();
    let (mut way, mut seen) = (Vec::new(), HashSet::new());
    let set = |seen: HashSet<u64>| {
        known.0.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
        Ok(())
    };
    loop {
        let digest = digest(&calm);
        if known.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return set(seen);
        }
        if !seen.insert(digest) {
            return Err(way);
        }
        if !(rules::usable_once(&calm) && rules::runs_once(&calm)) {
            // That is found by itself, with a way of its own.
            return Ok(());
        }
        let waits_for_person = is_end(&calm);
        let next = action::all(&calm).into_iter().filter(|of| !waits_for_person || *of != Action::Soon);
        let next = next.filter_map(|of| Some((of, action::next(&calm, of, plant, memory)?))).next();
        match next {
            Some((action, next)) => {
                way.push(action);
                calm = next;
            }
            None if waits_for_person => return set(seen),
            None => return Err(way),
        }
    }
}

fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
