//! How far each ordinal is, for people: steps, their times, what was done, what is waited for.
//!
//! Two things write here: events (`apply`), and what agents say of their steps on the way. Nothing is decided from it
//! but that a step takes longer than its deadline, and all that follows from that is that people are told.
//! An undo has no steps of its own: the ordinal keeps the ones it had, and says what is being taken back.

use crate::facts::StepState;
use crate::ids::{MigrationId, Ordinal};
use crate::limits;
use crate::migration::display::{Migration, OrdinalProgress, StepTime};
use crate::migration::work::Work;
use crate::state::State;
use crate::time::Millis;

impl OrdinalProgress {
    pub(super) fn begin(&mut self, step: u32, at: Millis) {
        if step > self.step {
            self.step = step;
            self.message.clear();
        }
        let known = self.steps.iter().any(|time| time.step == step);
        if !known && self.steps.len() < limits::STEP_TIMES {
            self.steps.push(StepTime { step, started_at: at, ..StepTime::default() });
        }
    }

    /// The last word counts: an attempt that was made again says it again.
    pub(super) fn end(&mut self, step: u32, evidence: &str, at: Millis) {
        let Some(time) = self.steps.iter_mut().find(|time| time.step == step) else {
            return;
        };
        if time.ended_at.is_none() {
            time.ended_at = Some(at);
        }
        if !evidence.is_empty() {
            evidence.clone_into(&mut time.message);
        }
    }
}

impl Work {
    /// Notes since when the ordinal in between is at its step.
    pub(super) fn note_step(&mut self, migration: &Migration, at: Millis) {
        let handoff = self.handoff.as_ref().filter(|_| !self.stage.is_undoing());
        let step = handoff
            .and_then(|_| self.current())
            .and_then(|index| migration.ordinals.get(index))
            .map(|progress| progress.step);
        if self.step_since.map(|(step, _)| step) != step {
            self.step_since = step.map(|step| (step, at));
            self.overdue = false;
        }
    }

    /// The step that is under way, and when its deadline is.
    #[must_use]
    pub fn deadline(&self, migration: &Migration) -> Option<(u32, Millis)> {
        let (step, since) = self.step_since?;
        let deadline_ms = migration.deadlines.get(&step)?;
        Some((step, since.plus(*deadline_ms)))
    }
}

/// Applies what an agent said of a step: for people only, nothing is decided from it.
pub(crate) fn apply_step_report(
    state: &mut State,
    id: &MigrationId,
    ordinal: Option<Ordinal>,
    (step, step_state, message): (u32, StepState, &str),
    at: Millis,
) {
    let (Some(migration), Some(work)) = (state.migrations.get_mut(id), state.work.get_mut(id)) else {
        return;
    };
    let waits_for = if step_state == StepState::Done { "" } else { message };
    let Some(ordinal) = ordinal else {
        waits_for.clone_into(&mut work.waits_for);
        return;
    };
    let Some(progress) = migration.ordinals.iter_mut().find(|progress| progress.ordinal == ordinal) else {
        return;
    };
    waits_for.clone_into(&mut progress.message);
    if work.stage.is_undoing() {
        return;
    }
    progress.begin(step, at);
    waits_for.clone_into(&mut progress.message);
    if step_state == StepState::Done {
        progress.end(step, message, at);
    }
    work.note_step(migration, at);
}
