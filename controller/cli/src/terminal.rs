//! Where output goes, and whether it may be coloured.
//!
//! Data goes to standard output, everything else to standard error, so that `ferry token create … | …` and
//! `ferry volumes -o json | jq` hold data only. Colours are used on a stream that is a terminal, unless NO_COLOR is
//! set (no-color.org) or TERM is `dumb`. A reader that goes away (`| head`) is no error worth a word: writing reports
//! [`Failure::BrokenPipe`], which ends the command silently.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::error::Failure;

/// Conflicts, refusals, errors.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Warnings, pauses.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is done.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Titles.
pub(crate) const TITLE: Style = Style::new().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// The text in that style, or plain.
    pub(crate) fn text(self, style: Style, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("{}{text}{}", style.render(), style.render_reset())
        } else {
            text.to_owned()
        }
    }
}

/// The three standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Standard output is a terminal.
    pub(crate) out: bool,
    /// Standard error is one.
    pub(crate) err: bool,
    /// Somebody can answer a question: standard input and error are terminals.
    pub(crate) can_ask: bool,
    colours: bool,
}

impl Terminal {
    /// As the process was started.
    pub(crate) fn of_process() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let (input, out, err) =
            (io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal());
        Self { out, err: err && !dumb, can_ask: input && err, colours: !set("NO_COLOR") && !dumb }
    }

    /// Whether standard output may be coloured.
    pub(crate) fn paint_out(self) -> Paint {
        Paint(self.colours && self.out)
    }

    /// Whether standard error may be.
    pub(crate) fn paint_err(self) -> Paint {
        Paint(self.colours && self.err)
    }

    /// A display that redraws itself is possible: both streams are terminals that can move the cursor.
    pub(crate) fn is_live(self) -> bool {
        self.out && self.err
    }
}

/// Writes data, as it is.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stream = io::stdout().lock();
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).map_err(|source| {
        if source.kind() == io::ErrorKind::BrokenPipe {
            Failure::BrokenPipe
        } else {
            Failure::Output { source }
        }
    })
}

/// Writes one JSON document on one line (`line`) or indented.
pub(crate) fn json(value: &impl serde::Serialize, line: bool) -> Result<(), Failure> {
    let text = if line { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    let mut text = text.map_err(|source| Failure::Output { source: source.into() })?;
    text.push('\n');
    out(&text)
}

/// Says something to the person; if nobody can read it, that is no failure.
pub(crate) fn say(text: &str) {
    let mut stream = io::stderr().lock();
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}
