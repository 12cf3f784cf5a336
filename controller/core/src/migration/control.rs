//! What people ask of a running migration, as the journal keeps it, and the words that tell them where it stopped.
//!
//! A request changes what is wanted and nothing else; what follows from it, and when, is decided in `core::control` from
//! the stage. So a request survives a restart, and takes effect from wherever the migration is by then.
//! Who may ask is the shell's authorization table.

use serde::{Deserialize, Serialize};

use crate::migration::display::{AskedBy, Migration, step_name};
use crate::migration::stage::Stage;
use crate::migration::work::Work;
use crate::state::State;
use crate::time::Millis;

use crate::ids::MigrationId;

/// What somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Stop at the next safe point.
    Pause,
    /// Go on, and ask again at once what only a person could help with.
    Resume,
    /// Give the ordinal in flight back, then stay paused.
    Undo,
    /// Give everything back.
    Rollback,
}

/// Takes over what was asked.
pub(crate) fn apply_ask(state: &mut State, id: &MigrationId, ask: Ask, asked: &AskedBy) {
    let (Some(migration), Some(work)) = (state.migrations.get_mut(id), state.work.get_mut(id)) else {
        panic!("{id} does not run, but an entry says what was asked of it");
    };
    let control = &mut migration.control;
    match ask {
        Ask::Pause => control.paused = Some(asked.clone()),
        Ask::Resume => {
            control.paused = None;
            for slot in work.slots.values_mut() {
                slot.setback.take_if(|setback| setback.paused);
            }
        }
        Ask::Undo => {
            control.undo = Some(asked.clone());
            control.paused.get_or_insert_with(|| asked.clone());
        }
        Ask::Rollback => {
            control.rollback = Some(asked.clone());
            control.paused = None;
        }
    }
}

/// What a person asked for and has not come to its end, and a deadline that has passed; empty if nothing.
pub(super) fn words(migration: &Migration, work: &Work) -> String {
    let words = [rolling_back(migration, work), pausing(migration, work), late(migration, work)];
    let words: Vec<String> = words.into_iter().flatten().collect();
    words.join("; ")
}

fn pausing(migration: &Migration, work: &Work) -> Option<String> {
    let (id, by) = (&migration.id, &migration.control.paused.as_ref()?.by);
    let next = work.current().and_then(|index| migration.ordinals.get(index)).map(|of| of.ordinal);
    let place = match (work.stage, &work.handoff, next) {
        (stage, _, _) if stage.is_preparing() => "during preparation".to_owned(),
        (Stage::Unpreparing, _, _) => "while preparation is undone".to_owned(),
        (Stage::Between, _, Some(ordinal)) => format!("before step 5 of ordinal {ordinal}"),
        (stage, Some(handoff), _) if stage.is_undoing() => {
            return Some(format!("pauses when ordinal {} is back, as {by} asked", handoff.ordinal));
        }
        (_, Some(handoff), _) => {
            return Some(format!(
                "pauses after ordinal {}, as {by} asked: its replica is stopped already. Or give it back: ferry rollback \
                 {id}",
                handoff.ordinal
            ));
        }
        _ => return Some(format!("pauses when both clusters have settled, as {by} asked")),
    };
    Some(format!("paused by {by} {place}; resume with: ferry resume {id}"))
}

fn rolling_back(migration: &Migration, work: &Work) -> Option<String> {
    let ordinal = work.handoff.as_ref().map(|handoff| handoff.ordinal);
    let back_to = work.source(migration);
    if let (true, Some(ordinal)) = (work.stage.is_undoing(), ordinal) {
        let asked = migration.control.undo.as_ref().or(migration.control.rollback.as_ref());
        let by = asked.map_or("somebody", |asked| asked.by.as_str());
        return Some(format!("ordinal {ordinal} goes back to {back_to}, as {by} asked"));
    }
    let by = &migration.control.rollback.as_ref()?.by;
    let what = match (ordinal, work.stage) {
        (Some(ordinal), _) if work.reversed => format!("ordinal {ordinal} comes back to {}", migration.from),
        (Some(ordinal), _) => format!("ordinal {ordinal} completes first, being past return"),
        (None, Stage::Unpreparing) => "preparation is undone".to_owned(),
        (None, _) => format!("{} ordinals are to come back", work.moved),
    };
    Some(format!("rolling back, as {by} asked: {what}"))
}

fn late(migration: &Migration, work: &Work) -> Option<String> {
    let (step, _) = work.step_since.filter(|_| work.overdue)?;
    let handoff = work.handoff.as_ref()?;
    let limit = duration(migration.deadlines.get(&step).copied()?);
    let waits_for = work
        .current()
        .and_then(|index| migration.ordinals.get(index))
        .map(|of| of.message.as_str())
        .filter(|message| !message.is_empty())
        .map_or_else(String::new, |message| format!(" (it waits for {message})"));
    let back = match step {
        12.. => String::new(),
        _ => format!("or give the ordinal back with: ferry rollback {}; ", migration.id),
    };
    Some(format!(
        "step {step} ({}) of ordinal {} takes longer than its deadline of {limit}{waits_for}: find out why, {back}it \
         goes on by itself when the cause goes away",
        step_name(step),
        handoff.ordinal
    ))
}

/// Milliseconds for people: whole minutes or seconds where they are.
fn duration(ms: u64) -> String {
    match ms {
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

/// Who asks, now.
#[must_use]
pub(crate) fn asked_by(by: &str, at: Millis) -> AskedBy {
    AskedBy { by: by.to_owned(), at }
}
