//! The live display on a terminal: a bar for each migration that runs, its ordinals under it.
//!
//! Only drawing is here; the lines are made by [`crate::progress`]. indicatif keeps them in place below whatever is
//! printed meanwhile and cuts them to the terminal's width. Lines are kept and reused rather than added and removed,
//! so that a redraw does not flicker. Standard error is drawn on; the closing summary goes to standard output.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::{
    limits::{LIVE_ORDINALS, REDRAW_INTERVAL},
    progress,
    shape::Migration,
    terminal::Paint,
};

/// The display.
pub(crate) struct Live {
    bars: MultiProgress,
    paint: Paint,
    shown: BTreeMap<String, Lines>,
}

/// One migration's part of the display.
struct Lines {
    bar: ProgressBar,
    under: Vec<ProgressBar>,
}

impl Live {
    /// An empty display on standard error.
    pub(crate) fn new(paint: Paint) -> Self {
        let per_second = u8::try_from(1_000 / REDRAW_INTERVAL.as_millis().max(1)).unwrap_or(u8::MAX);
        let target = ProgressDrawTarget::stderr_with_hz(per_second.saturating_mul(2));
        Self { bars: MultiProgress::with_draw_target(target), paint, shown: BTreeMap::new() }
    }

    /// Prints above the display; it stays there.
    pub(crate) fn println(&self, text: &str) {
        let _ = self.bars.println(text);
    }

    /// Draws a migration as it is at this time.
    pub(crate) fn draw(&mut self, migration: &Migration, now: Timestamp) {
        let rows = usize::from(console::Term::stderr().size().0).saturating_sub(4).clamp(3, LIVE_ORDINALS);
        let lines = progress::lines(migration, now, rows, self.paint);
        let bars = &self.bars;
        let shown = self.shown.entry(migration.id.clone()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(1).with_style(bar_style(self.paint)));
            Lines { bar, under: Vec::new() }
        });
        let (done, all) = progress::position(migration);
        shown.bar.set_length(all.max(1));
        shown.bar.set_position(done);
        shown.bar.set_prefix(progress::title(migration));
        shown.bar.set_message(progress::standing(migration, now, self.paint));
        while shown.under.len() > lines.len() {
            if let Some(line) = shown.under.pop() {
                bars.remove(&line);
            }
        }
        while shown.under.len() < lines.len() {
            let last = shown.under.last().unwrap_or(&shown.bar);
            let line = bars.insert_after(last, ProgressBar::new(1).with_style(line_style()));
            shown.under.push(line);
        }
        for (line, text) in shown.under.iter().zip(lines) {
            line.set_message(text);
        }
    }

    /// Takes a migration off the display.
    pub(crate) fn forget(&mut self, id: &str) {
        if let Some(shown) = self.shown.remove(id) {
            shown.under.iter().for_each(|line| self.bars.remove(line));
            self.bars.remove(&shown.bar);
        }
    }

    /// Leaves the display on the screen as it is.
    pub(crate) fn leave(&mut self) {
        for (_, shown) in std::mem::take(&mut self.shown) {
            shown.bar.abandon();
            shown.under.iter().for_each(ProgressBar::abandon);
        }
    }
}

fn bar_style(paint: Paint) -> ProgressStyle {
    let template =
        if paint.0 { "{prefix:.bold}  {bar:30.cyan/dim}  {msg}" } else { "{prefix}  {bar:30}  {msg}" };
    style(template).progress_chars("━╸─")
}

fn line_style() -> ProgressStyle {
    style("{wide_msg}")
}

/// Both templates are constants that a test compiles.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_compile() {
        for template in
            ["{prefix:.bold}  {bar:30.cyan/dim}  {msg}", "{prefix}  {bar:30}  {msg}", "{wide_msg}"]
        {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
