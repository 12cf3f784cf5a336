//! The live display of a migration, as text: pure functions of its state, a time and a size.
//!
//! One line for the whole (its bar is drawn by [`crate::live`]), one for each ordinal: a mark, the replica's name, the
//! step with its number, how long the ordinal has been on its way, and what the step waits for. If there are more
//! ordinals than lines, those in motion and their neighbours are shown and the rest counted. Nothing here knows of a
//! terminal but its height; lines are cut to its width where they are drawn.

use jiff::Timestamp;

use crate::{
    duration::{between_ms, elapsed},
    shape::{Migration, Ordinal, Phase},
    steps,
    terminal::{BAD, FAINT, GOOD, Paint, WARN},
};

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Time one image of the spinner is shown.
const SPINNER_MS: i64 = 125;

/// How far the whole is: steps done and steps in all.
pub(crate) fn position(migration: &Migration) -> (u64, u64) {
    let done = migration.ordinals.iter().map(|ordinal| u64::from(steps_done(ordinal))).sum();
    (done, migration.ordinals.len() as u64 * u64::from(steps::LAST))
}

fn steps_done(ordinal: &Ordinal) -> u32 {
    if ordinal.ended_at.is_some() { steps::LAST } else { ordinal.step.saturating_sub(1).min(steps::LAST) }
}

/// What moves where: left of the bar.
pub(crate) fn title(migration: &Migration) -> String {
    format!("{}/{}  {} → {}", migration.namespace, migration.workload, migration.from, migration.to)
}

/// How far it is: right of the bar.
pub(crate) fn standing(migration: &Migration, now: Timestamp, paint: Paint) -> String {
    let phase = match migration.phase {
        Phase::Preparing => "preparing  ".to_owned(),
        Phase::Paused => paint.text(WARN, "PAUSED") + "  ",
        Phase::Refused => paint.text(BAD, "REFUSED") + "  ",
        Phase::RolledBack => paint.text(WARN, "ROLLED BACK") + "  ",
        Phase::Running | Phase::Completed => String::new(),
    };
    let time = migration
        .started_at
        .map_or_else(String::new, |at| elapsed(between_ms(at, migration.ended_at.unwrap_or(now))));
    format!("{}/{} moved  {phase}{time}", migration.moved(), migration.ordinals.len())
}

/// The lines under the bar, at most `rows` of them.
pub(crate) fn lines(migration: &Migration, now: Timestamp, rows: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if !migration.message.is_empty() {
        let style = if migration.phase == Phase::Paused { WARN } else { FAINT };
        lines.push(format!("  {}", paint.text(style, &format!("! {}", migration.message))));
    }
    let (shown, before, after) = window(&migration.ordinals, rows.saturating_sub(lines.len()));
    let width = name(migration, migration.ordinals.iter().max_by_key(|o| o.ordinal)).chars().count();
    if before > 0 {
        lines.push(paint.text(FAINT, &format!("    … {before} done before")));
    }
    lines.extend(shown.iter().map(|ordinal| {
        let name = format!("{:<width$}", name(migration, Some(ordinal)));
        line(ordinal, &name, now, paint)
    }));
    if after > 0 {
        lines.push(paint.text(FAINT, &format!("    … {after} more to come")));
    }
    lines
}

fn name(migration: &Migration, ordinal: Option<&Ordinal>) -> String {
    ordinal.map_or_else(String::new, |ordinal| format!("{}-{}", migration.workload, ordinal.ordinal))
}

fn line(ordinal: &Ordinal, name: &str, now: Timestamp, paint: Paint) -> String {
    let since = |at: Option<Timestamp>, until: Timestamp| {
        at.map_or_else(String::new, |at| elapsed(between_ms(at, until)))
    };
    if let Some(ended) = ordinal.ended_at {
        let took = since(ordinal.started_at, ended);
        return format!("  {} {name}  {:<10} {:>5}  {took:>7}", paint.text(GOOD, "✔"), "done", "");
    }
    if ordinal.step == 0 {
        return paint.text(FAINT, &format!("  · {name}  waiting"));
    }
    let beat = usize::try_from(now.as_millisecond() / SPINNER_MS).unwrap_or_default() % SPINNER.len();
    let place = format!("{}/{}", ordinal.step, steps::LAST);
    let line = format!(
        "  {} {name}  {:<10} {place:>5}  {:>7}  {}",
        SPINNER[beat],
        ordinal.step_name,
        since(ordinal.started_at, now),
        ordinal.message
    );
    line.trim_end().to_owned()
}

/// The ordinals to show in so many rows, and how many are left out before and after. Of those that are done the last
/// few stay in sight; two rows are kept for the counts.
fn window(ordinals: &[Ordinal], rows: usize) -> (&[Ordinal], usize, usize) {
    if ordinals.len() <= rows {
        return (ordinals, 0, 0);
    }
    let size = rows.saturating_sub(2).max(1);
    let first_open = ordinals.iter().position(|o| o.ended_at.is_none()).unwrap_or(ordinals.len());
    let start = first_open.saturating_sub(size / 3).min(ordinals.len() - size);
    (&ordinals[start..start + size], start, ordinals.len() - start - size)
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
