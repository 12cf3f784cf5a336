//! The live display on a terminal: a bar for each migration that runs, its ordinals under it.
//!
//! Only drawing is here; the lines are made by [`crate::progress`]. indicatif keeps them in place below whatever is
//! printed meanwhile; they are cut to the terminal's width here. Lines are kept and reused rather than added and removed,
//! so that a redraw does not flicker. Standard error is drawn on; the closing summary goes to standard output.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::{
    limits::{LIVE_ORDINALS, REDRAW_INTERVAL},
    progress,
    shape::Migration,
    terminal::{self, Paint},
};

/// Least and most columns of the bar.
const BAR_WIDTH: (usize, usize) = (8, 30);

/// Columns left free on the right: the terminal echoes `^C` there, and must not wrap the line for it.
const SPARE_COLUMNS: usize = 3;

/// The display.
pub(crate) struct Live {
    bars: MultiProgress,
    paint: Paint,
    shown: BTreeMap<String, Lines>,
}

/// One migration's part of the display.
struct Lines {
    bar: ProgressBar,
    bar_width: usize,
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
        let (rows, columns) = console::Term::stderr().size();
        let rows = usize::from(rows).saturating_sub(4).clamp(3, LIVE_ORDINALS);
        let lines = progress::lines(migration, now, rows, self.paint);
        let bars = &self.bars;
        let shown = self.shown.entry(migration.id.clone()).or_insert_with(|| Lines {
            bar: bars.add(ProgressBar::new(1)),
            bar_width: 0,
            under: Vec::new(),
        });
        let (done, all) = progress::position(migration);
        shown.bar.set_length(all.max(1));
        shown.bar.set_position(done);
        let (title, standing) = (progress::title(migration), progress::standing(migration, now, self.paint));
        let width = bar_width(columns, &title, &standing);
        if std::mem::replace(&mut shown.bar_width, width) != width {
            shown.bar.set_style(bar_style(width, self.paint));
        }
        shown.bar.set_prefix(title);
        shown.bar.set_message(standing);
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
        let width = usize::from(columns).saturating_sub(SPARE_COLUMNS);
        for (line, text) in shown.under.iter().zip(lines) {
            line.set_message(console::truncate_str(&text, width, "…").into_owned());
        }
    }

    /// Takes a migration off the display.
    pub(crate) fn forget(&mut self, id: &str) {
        if let Some(shown) = self.shown.remove(id) {
            shown.under.iter().for_each(|line| self.bars.remove(line));
            self.bars.remove(&shown.bar);
        }
    }

    /// Takes the display off the screen; what was printed above it stays.
    pub(crate) fn leave(&mut self) {
        let _ = self.bars.clear();
        self.shown.clear();
    }

    /// Leaves the display on the screen as it is. After Ctrl-C the terminal has echoed a line of its own, so that
    /// nothing can be taken off any more without taking the wrong lines.
    pub(crate) fn freeze(&mut self) {
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
        self.shown.clear();
        terminal::say("\n");
    }
}

/// The bar takes what the texts beside it leave, within reason.
fn bar_width(columns: u16, title: &str, standing: &str) -> usize {
    let texts = console::measure_text_width(title) + console::measure_text_width(standing);
    usize::from(columns).saturating_sub(texts + 4 + SPARE_COLUMNS).clamp(BAR_WIDTH.0, BAR_WIDTH.1)
}

fn bar_style(width: usize, paint: Paint) -> ProgressStyle {
    let template = if paint.0 {
        format!("{{prefix:.bold}}  {{bar:{width}.cyan/dim}}  {{msg}}")
    } else {
        format!("{{prefix}}  {{bar:{width}}}  {{msg}}")
    };
    style(&template).progress_chars("━╸─")
}

fn line_style() -> ProgressStyle {
    style("{msg}")
}

/// Templates differ by a number only; a test compiles them.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_compile() {
        for template in ["{prefix:.bold}  {bar:30.cyan/dim}  {msg}", "{prefix}  {bar:8}  {msg}", "{msg}"] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_bar_gives_way_to_the_texts() {
        let title = "db/etcd  east → west";
        assert_eq!(bar_width(200, title, "1/3 moved  1m05s"), 30);
        assert_eq!(bar_width(60, title, "1/3 moved  1m05s"), 60 - 20 - 16 - 7);
        assert_eq!(bar_width(20, title, "1/3 moved  1m05s"), 8);
    }
}
