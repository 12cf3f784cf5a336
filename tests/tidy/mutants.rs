//! The table of planted faults stays plantable: its texts stand where it says, once, and there are enough of them.
//!
//! `make mutants` takes hours and is run seldom; what it plants stands in files that change every day. So each day's
//! tests read the table by the runner's own code and hold it against the files: a text that was reworded is repaired
//! by whoever rewords it.

use super::{
    house::{File, House},
    rules::{Planted, Rule},
};
use crate::table;

/// The table of `make mutants`.
pub(crate) const MUTANTS: Rule = Rule {
    name: "mutants",
    check: mutants,
    planted: &[
        Planted { path: PART, text: || one("agent/src/a.rs", "a"), line: 1 },
        Planted { path: PART, text: || format!("\n{}", one("agent/src/gone.rs", "a")), line: 2 },
        Planted { path: PART, text: || format!("{}{0}", one("agent/src/a.rs", "a")), line: 6 },
        Planted { path: PART, text: || one("agent/src/a.rs", "a").replace("what", "why"), line: 2 },
        Planted { path: PART, text: || format!("\n\n{}", one("tests/src/lib.rs", "a")), line: 3 },
    ],
};

/// A part of the table.
const PART: &str = "tests/mutants/table/a.yaml";

/// A mutant of five lines.
fn one(file: &str, find: &str) -> String {
    format!("- id: a\n  what: a (I1)\n  file: {file}\n  find: {find}\n  replace: b\n")
}

fn mutants(house: &House) -> Vec<String> {
    let parts = house.files.iter().filter(|file| file.path.starts_with(table::TABLE));
    let parts = parts.map(|file| (file.path.as_str(), file.text.as_str()));
    let text_of =
        |path: &str| house.files.iter().find(|file| file.path == path).map(|file| file.text.clone());
    let flaws = table::flaws(parts, &text_of).into_iter();
    flaws.map(|flaw| File::new(&flaw.path, "").violation(flaw.line, flaw.says)).collect()
}
