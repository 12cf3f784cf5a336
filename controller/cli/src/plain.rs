//! Progress as plain lines, for logs and pipes: one for each change worth a line.
//!
//! A line for each phase, for each step of each ordinal, for the end of each ordinal, and for whatever the migration
//! says of itself when it is held up. What a step waits for is part of its line; if it changes later, the new text is
//! a line of its own only when the step has already lasted a while, so that a quick step stays one line. Pure but for
//! what it remembers of the last state; times are those the controller recorded, or now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    duration::{between_ms, elapsed},
    limits::PLAIN_MESSAGE_AFTER_MS,
    shape::{Migration, Ordinal, Phase},
    steps,
};

/// What was said last, of one migration.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    phase: Option<Phase>,
    message: String,
    ordinals: BTreeMap<u32, Said>,
}

#[derive(Debug, Default)]
struct Said {
    step: u32,
    message: String,
    at: Option<Timestamp>,
    done: bool,
}

impl Plain {
    /// The lines that this state adds.
    pub(crate) fn lines(&mut self, migration: &Migration, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let subject = format!("{}/{}", migration.namespace, migration.workload);
        let mut say = |at: Timestamp, text: String| lines.push(format!("{} {subject} {text}", seconds(at)));
        let phase_changed = self.phase.replace(migration.phase) != Some(migration.phase);
        if phase_changed && !migration.ended() {
            say(now, standing(migration));
        }
        for ordinal in &migration.ordinals {
            let said = self.ordinals.entry(ordinal.ordinal).or_default();
            let replica = format!("{}-{}", migration.workload, ordinal.ordinal);
            if let Some((at, text)) = ordinal_line(said, ordinal, now) {
                say(at, format!("{replica} {text}"));
            }
        }
        if migration.message != self.message && !migration.message.is_empty() && !phase_changed {
            say(now, format!("{}: {}", migration.phase.name(), migration.message));
        }
        self.message.clone_from(&migration.message);
        if phase_changed && migration.ended() {
            say(migration.ended_at.unwrap_or(now), standing(migration));
        }
        lines
    }
}

fn standing(migration: &Migration) -> String {
    let route = format!("{} from {} to {}", migration.phase.name(), migration.from, migration.to);
    if migration.message.is_empty() { route } else { format!("{route}: {}", migration.message) }
}

fn ordinal_line(said: &mut Said, ordinal: &Ordinal, now: Timestamp) -> Option<(Timestamp, String)> {
    if let Some(ended) = ordinal.ended_at {
        let first = !std::mem::replace(&mut said.done, true);
        let took = ordinal.started_at.map_or_else(String::new, |at| elapsed(between_ms(at, ended)));
        return first.then(|| (ended, format!("done in {took}")));
    }
    let new_step = said.step != ordinal.step;
    let new_message = said.message != ordinal.message && !ordinal.message.is_empty();
    let held_up = said.at.is_some_and(|at| between_ms(at, now) >= PLAIN_MESSAGE_AFTER_MS);
    if ordinal.step == 0 || !(new_step || new_message && held_up) {
        return None;
    }
    let began = ordinal.steps.iter().find(|step| step.step == ordinal.step).and_then(|step| step.started_at);
    let at = if new_step { began.unwrap_or(now) } else { now };
    *said = Said { step: ordinal.step, message: ordinal.message.clone(), at: Some(at), done: false };
    let place = format!("{} ({}/{})", ordinal.step_name, ordinal.step, steps::LAST);
    let text = if ordinal.message.is_empty() { place } else { format!("{place}: {}", ordinal.message) };
    Some((at, text))
}

/// RFC 3339 in UTC, whole seconds.
fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
