//! What came of a run: a table for people, `target/bench/report.json` for everything else.
//!
//! The report keeps each figure's samples and both sides of each ratio, so that a doubt can be settled without a second
//! run. Whether a figure is within its target is said, and is the exit code of the bench; no test asserts it.
//!
//! How the samples were taken is not known here.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::statistics::Summary;

/// The bound of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

/// What a figure is held against.
#[derive(Clone, Debug)]
pub enum Measure {
    /// The medians of two sides, divided.
    Ratio {
        /// Name and samples of the dividend.
        of: (&'static str, Summary),
        /// Name and samples of the divisor.
        by: (&'static str, Summary),
    },
    /// The median of a value that stands for itself: name and samples.
    Value(&'static str, Summary),
    /// The largest sample of such a value.
    Most(&'static str, Summary),
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its id in the list of targets: `P1`.
    pub id: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// Unit of the samples.
    pub unit: &'static str,
    /// What was measured.
    pub measure: Measure,
    /// Its bound.
    pub target: Target,
    /// What else belongs to it.
    pub extra: Value,
}

/// All figures of a run.
#[derive(Default)]
pub struct Report {
    figures: Vec<Figure>,
    notes: Map<String, Value>,
}

impl Target {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::AtLeast(least) => format!(">= {least}"),
        }
    }
}

impl Figure {
    /// The number that is held against the target: the ratio, or the value's median.
    #[must_use]
    pub fn number(&self) -> f64 {
        match &self.measure {
            Measure::Ratio { of, by } => of.1.p50 / by.1.p50,
            Measure::Value(_, summary) => summary.p50,
            Measure::Most(_, summary) => summary.raw.iter().copied().fold(0.0, f64::max),
        }
    }

    /// Whether it is within its target. A figure without samples is not.
    #[must_use]
    pub fn holds(&self) -> bool {
        let number = self.number();
        let measured = match &self.measure {
            Measure::Ratio { of, by } => of.1.samples.min(by.1.samples),
            Measure::Value(_, summary) | Measure::Most(_, summary) => summary.samples,
        };
        measured > 0 && number.is_finite() && self.target.holds(number)
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "what": self.what,
            "unit": self.unit,
            "target": self.target.text(),
            "holds": self.holds(),
        });
        let first = match &self.measure {
            Measure::Ratio { of, by } => {
                json["ratio"] = self.number().into();
                json["ratio_of_means"] = (of.1.mean / by.1.mean).into();
                json["sides"] = json!({of.0: of.1, by.0: by.1});
                &of.1
            }
            Measure::Value(name, summary) | Measure::Most(name, summary) => {
                json["value"] = self.number().into();
                json["sides"] = json!({*name: summary});
                summary
            }
        };
        json["samples"] = first.samples.into();
        json["p50"] = first.p50.into();
        json["p99"] = first.p99.into();
        if !self.extra.is_null() {
            json["extra"] = self.extra.clone();
        }
        json
    }

    fn lines(&self) -> Vec<String> {
        let verdict = if self.holds() { "holds" } else { "MISSED" };
        let number = format!("{:.3}", self.number());
        let mut lines = vec![format!(
            "{:<4} {:<50} {:>9} {:<9} {verdict}",
            self.id,
            self.what,
            number,
            self.target.text()
        )];
        let sides = match &self.measure {
            Measure::Ratio { of, by } => vec![(of.0, &of.1), (by.0, &by.1)],
            Measure::Value(name, summary) | Measure::Most(name, summary) => vec![(*name, summary)],
        };
        for (name, summary) in sides {
            lines.push(format!(
                "     {name:<50} p50 {:>9.2}  p99 {:>9.2} {}  n {}",
                summary.p50, summary.p99, self.unit, summary.samples
            ));
        }
        lines
    }
}

impl Report {
    /// Adds a figure.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds something that is no figure.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn note(&mut self, name: &str, note: impl Serialize) -> Result<()> {
        self.notes.insert(name.to_owned(), serde_json::to_value(note)?);
        Ok(())
    }

    /// Whether every figure is within its target.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.figures.iter().all(Figure::holds)
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        self.figures.iter().flat_map(Figure::lines).collect::<Vec<_>>().join("\n")
    }

    /// Writes the report into `dir`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let mut json = self.notes.clone();
        for figure in &self.figures {
            json.insert(figure.id.to_owned(), figure.json());
        }
        std::fs::create_dir_all(dir)?;
        let path = dir.join("report.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&Value::Object(json))?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
