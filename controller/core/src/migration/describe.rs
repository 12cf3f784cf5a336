//! What a migration waits for, in words a person can act on.
//!
//! Worked out from the ledger and from what is observed, after everything else; empty when the migration simply
//! runs. Nothing is decided from these words.
//! They end up in `Migration::message`, which is journalled only when it changes.

use crate::facts::ClaimedVolume;
use crate::migration::control;
use crate::migration::display::Migration;
use crate::migration::gate;
use crate::migration::stage::Stage;
use crate::migration::work::Work;
use crate::observed::Observed;
use crate::state::State;
use crate::volume::conflict_message;

/// What the migration waits for; empty if for nothing.
pub(crate) fn describe(state: &State, observed: &Observed, migration: &Migration, work: &Work) -> String {
    let words = [
        control::words(migration, work),
        setbacks(work),
        unattached(observed, work),
        stage_waits(state, observed, migration, work),
    ];
    let words: Vec<String> = words.into_iter().filter(|text| !text.is_empty()).collect();
    crate::limits::cut(&words.join("; "))
}

/// A disk of the workload that must not go on to the target yet (I1).
pub(crate) fn disk_in_the_way(state: &State, migration: &Migration, work: &Work) -> Option<String> {
    if let Some((id, record)) = state.ledger.conflicts(&migration.workload).next() {
        return Some(format!("volume {} is {}", id.handle, conflict_message(record)));
    }
    let disk = |of: &ClaimedVolume| state.storage.volume(&migration.from, &of.driver, &of.handle);
    let granted = work.handoff.as_ref().and_then(|handoff| handoff.released.as_ref());
    let volumes = granted.into_iter().flat_map(|released| &released.volumes).map(disk);
    let (id, beside) = state.ledger.usable_beside(volumes, [&migration.from, &migration.to])?;
    Some(format!(
        "volume {} is usable in cluster {beside} too: find out who uses it there, and release it",
        id.handle
    ))
}

/// Those that only a person can help with alone; else all.
fn setbacks(work: &Work) -> String {
    let all = || work.slots.values().filter_map(|slot| slot.setback.as_ref());
    let any_paused = all().any(|setback| setback.paused);
    let mut messages: Vec<&str> = all()
        .filter(|setback| setback.paused || !any_paused)
        .map(|setback| setback.message.as_str())
        .collect();
    messages.dedup();
    messages.join("; ")
}

fn unattached(observed: &Observed, work: &Work) -> String {
    let waiting: Vec<String> = work
        .slots
        .iter()
        .filter(|(cluster, slot)| slot.pending.is_some() && observed.session(cluster).is_none())
        .map(|(cluster, _)| {
            format!(
                "waits for cluster {cluster}, whose agent is not attached: see to its agent; it goes on by itself \
                 when that is back"
            )
        })
        .collect();
    waiting.join("; ")
}

fn stage_waits(state: &State, observed: &Observed, migration: &Migration, work: &Work) -> String {
    let governed = work.service.as_ref().and_then(|service| Some((service, state.governed.get(service)?)));
    match work.stage {
        Stage::Converging => governed.and_then(|governed| {
            gate::converged(observed, &migration.workload, work.all().into_iter(), governed).err()
        }),
        Stage::Gating => governed.and_then(|governed| {
            let handoff = work.handoff.as_ref()?;
            gate::ordinal_converged(
                observed,
                &migration.workload,
                (handoff, work.target(migration)),
                governed,
            )
            .err()
        }),
        Stage::Between if migration.control.paused.is_some() => None,
        Stage::Between => disk_in_the_way(state, migration, work).or_else(|| {
            let governed = governed.filter(|_| work.reconverge)?;
            gate::converged(observed, &migration.workload, work.all().into_iter(), governed).err()
        }),
        Stage::Adopting => disk_in_the_way(state, migration, work),
        Stage::PreparingSource | Stage::PreparingTarget | Stage::Unpreparing => Some(work.waits_for.clone()),
        Stage::Holding
        | Stage::Releasing
        | Stage::Resolving
        | Stage::Retiring
        | Stage::Settling
        | Stage::Finishing
        | Stage::Fencing
        | Stage::Reclaiming
        | Stage::Completed
        | Stage::Refused
        | Stage::RolledBack => None,
    }
    .unwrap_or_default()
}
