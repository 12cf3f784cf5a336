//! What came of it: a table for a person, and `target/mutants/report.json`.
//!
//! `mutants` has for each its `id`, `what`, `file`, the layer that it was `killed_by`, the first `test` of that layer that
//! failed, and the `seconds` that it took; `survived` the ids of those that no layer saw. `sources` is the digest of what
//! was tested: results of other sources are never kept. Written after each mutant, so that a run may be cut short.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The figures of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) sources: String,
    pub(crate) mutants: Vec<Line>,
    pub(crate) survived: Vec<String>,
}

/// One mutant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) file: String,
    pub(crate) killed_by: Option<String>,
    pub(crate) test: Option<String>,
    pub(crate) seconds: f64,
}

impl Report {
    /// What an earlier run found about the same sources, if there was one.
    pub(crate) fn of(path: &Path, sources: &str) -> Self {
        let earlier = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let fresh = || Self { sources: sources.to_owned(), ..Self::default() };
        earlier.filter(|report| report.sources == sources).unwrap_or_else(fresh)
    }

    /// Whether that mutant was tried already.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.mutants.iter().any(|line| line.id == id)
    }

    /// Whether that mutant was killed already.
    pub(crate) fn has_killed(&self, id: &str) -> bool {
        self.mutants.iter().any(|line| line.id == id && line.killed_by.is_some())
    }

    /// Takes a line in, in the place of an earlier one of that mutant.
    pub(crate) fn take(&mut self, line: Line) {
        self.mutants.retain(|known| known.id != line.id);
        self.mutants.push(line);
        let survivors = self.mutants.iter().filter(|line| line.killed_by.is_none());
        self.survived = survivors.map(|line| line.id.clone()).collect();
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("the report is no JSON")?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Prints the table and its sum.
    pub(crate) fn print(&self) {
        let width = self.mutants.iter().map(|line| line.id.len()).max().unwrap_or_default();
        println!("\n{:width$}  {:10}  {:>7}  test", "mutant", "killed by", "seconds");
        for line in &self.mutants {
            println!("{}", line.row(width));
            println!("{:width$}  {}", "", line.what);
        }
        println!("\n{} mutants, {} survived", self.mutants.len(), self.survived.len());
        for id in &self.survived {
            println!("survived: {id}");
        }
    }
}

impl Line {
    /// One line of the table.
    pub(crate) fn row(&self, width: usize) -> String {
        let killer = self.killed_by.as_deref().unwrap_or("SURVIVED");
        let test = self.test.as_deref().unwrap_or_default();
        format!("{:width$}  {killer:10}  {:>7.1}  {test}", self.id, self.seconds)
    }
}
