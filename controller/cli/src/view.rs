//! What following shows: a live display, plain lines, or JSON lines.
//!
//! Chosen once, from the output format and the streams. It remembers the last state of each migration it follows, so
//! that a state that is sent again after a reconnection is not shown again, and so that the live display can move its
//! clocks without news. When all migrations are followed, those that had ended before are not worth a word to a
//! person, and those that end are taken out of the display and out of memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    duration::{between_ms, elapsed},
    error::Failure,
    limits,
    live::Live,
    plain::Plain,
    progress,
    run::Context,
    shape::{Migration, Phase},
    table, terminal,
    terminal::{BAD, GOOD, Paint, WARN},
};

/// What is shown, and what is known.
pub(crate) struct View {
    display: Display,
    paint: Paint,
    /// One migration is followed, not all.
    pub(crate) one: bool,
    known: BTreeMap<String, Migration>,
    seen: bool,
}

enum Display {
    Live(Box<Live>),
    Plain(BTreeMap<String, Plain>),
    Json,
}

impl View {
    /// The display that suits the streams.
    pub(crate) fn new(context: &Context, one: bool) -> Self {
        let paint = context.terminal.paint_err();
        let display = if context.is_json() {
            Display::Json
        } else if context.terminal.is_live() {
            Display::Live(Box::new(Live::new(paint)))
        } else {
            Display::Plain(BTreeMap::new())
        };
        Self { display, paint, one, known: BTreeMap::new(), seen: false }
    }

    /// Whether any state was ever seen.
    pub(crate) fn has_seen(&self) -> bool {
        self.seen
    }

    /// Shows a state.
    pub(crate) fn see(&mut self, migration: Migration) -> Result<(), Failure> {
        self.seen = true;
        let before = self.known.get(&migration.id);
        if before == Some(&migration) {
            return Ok(());
        }
        let now = Timestamp::now();
        let over_before_we_came = !self.one && before.is_none() && migration.ended();
        match &mut self.display {
            Display::Json => terminal::json(&migration, true)?,
            _ if over_before_we_came => return Ok(()),
            Display::Plain(said) => {
                let plain = said.entry(migration.id.clone()).or_default();
                let lines = plain.lines(&migration, now);
                terminal::out(&lines.into_iter().map(|line| line + "\n").collect::<String>())?;
            }
            Display::Live(live) => {
                let news = before.is_none_or(|before| before.message != migration.message);
                if migration.phase == Phase::Paused && news && !migration.ended() {
                    live.println(&paused(&migration, now, self.paint));
                }
                live.draw(&migration, now);
            }
        }
        if migration.ended() && !self.one {
            self.retire(&migration)?;
        } else if self.known.len() < limits::WATCHED_MIGRATIONS || self.known.contains_key(&migration.id) {
            self.known.insert(migration.id.clone(), migration);
        }
        Ok(())
    }

    /// One of all migrations has ended.
    fn retire(&mut self, migration: &Migration) -> Result<(), Failure> {
        self.known.remove(&migration.id);
        match &mut self.display {
            Display::Live(live) => {
                live.forget(&migration.id);
                live.println(&headline(migration, self.paint));
            }
            Display::Plain(said) => drop(said.remove(&migration.id)),
            Display::Json => {}
        }
        Ok(())
    }

    /// Moves the clocks of a live display.
    pub(crate) fn redraw(&mut self) {
        if let Display::Live(live) = &mut self.display {
            let now = Timestamp::now();
            self.known.values().for_each(|migration| live.draw(migration, now));
        }
    }

    /// The same, for so long.
    pub(crate) async fn redraw_for(&mut self, time: std::time::Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep(limits::REDRAW_INTERVAL.min(end - Instant::now())).await;
            self.redraw();
        }
    }

    /// A word to the person that is no data.
    pub(crate) fn notice(&self, text: &str) {
        let line = self.paint.text(WARN, text);
        match &self.display {
            Display::Live(live) => live.println(&line),
            Display::Plain(_) | Display::Json => terminal::say(&format!("{line}\n")),
        }
    }

    /// Ends a live display; one that was interrupted stays on the screen as it was.
    pub(crate) fn leave(&mut self, interrupted: bool) {
        match &mut self.display {
            Display::Live(live) if interrupted => live.freeze(),
            Display::Live(live) => live.leave(),
            Display::Plain(_) | Display::Json => {}
        }
    }
}

fn paused(migration: &Migration, now: Timestamp, paint: Paint) -> String {
    let label = paint.text(WARN, "paused:");
    format!("{now:.0} {}/{} {label} {}", migration.namespace, migration.workload, migration.message)
}

/// One line about a migration that has ended.
pub(crate) fn headline(migration: &Migration, paint: Paint) -> String {
    let style = match migration.phase {
        Phase::Completed => GOOD,
        Phase::RolledBack => WARN,
        Phase::Preparing | Phase::Running | Phase::Paused | Phase::Refused => BAD,
    };
    let took = match (migration.started_at, migration.ended_at) {
        (Some(from), Some(to)) => format!(" in {}", elapsed(between_ms(from, to))),
        _ => String::new(),
    };
    format!(
        "{}  {}: {} of {} replicas moved{took}",
        progress::title(migration),
        paint.text(style, migration.phase.name()),
        migration.moved(),
        migration.ordinals.len()
    )
}

/// The closing summary of one migration.
pub(crate) fn summary(migration: &Migration, paint: Paint) -> String {
    let mut text = headline(migration, paint) + "\n";
    if migration.moved() > 0 {
        text.push_str(&format!("\n{}", table::step_times(migration)));
    }
    text
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
