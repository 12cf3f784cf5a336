//! The table of planted faults: its format, and what makes it worth anything.
//!
//! One mutant is one small textual replacement in one product file, with what it plants in words: which invariant or
//! hazard of the protocol it breaks. They stand in `tests/mutants/table/*.yaml`, each with exactly the fields of
//! [`Mutant`]; a field too many, too few or twice is an error. `find` has to occur exactly once in its file. Where it has
//! several lines, the later ones are indented from the first as in the file, whose own indentation is left out.
//!
//! The runner and the house rules read it by this same code, so a table that has rotted fails long before it is run.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// Where the table's parts stand, from the root.
pub(crate) const TABLE: &str = "tests/mutants/table/";
/// How many faults the table plants at least.
pub(crate) const FEWEST: usize = 40;
/// Where faults are planted: the protocol, and nothing that only tests or shows it.
const PRODUCT: [&str; 3] = ["controller/core/src/", "controller/src/", "agent/src/"];

/// One planted fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// Its name: words in lower case with `-`; with the line that it stands on.
    pub(crate) id: Spanned<String>,
    /// What it plants, in words.
    pub(crate) what: String,
    /// The file, from the root.
    pub(crate) file: String,
    /// The text that it replaces.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
}

/// What is wrong with a table, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The part of the table, from the root.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What was found, what was expected, what to do.
    pub(crate) says: String,
}

impl Mutant {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.id.value
    }

    /// The text of its file with the fault in it.
    ///
    /// # Errors
    /// How often what it replaces occurs, if that is not once.
    pub(crate) fn plant(&self, text: &str) -> Result<String, usize> {
        let first = self.find.lines().next().unwrap_or_default();
        let places: Vec<(usize, String)> = text
            .match_indices(first)
            .filter_map(|(at, _)| {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let indent: String = text[line..].chars().take_while(|character| *character == ' ').collect();
                let whole = self.find.replace('\n', &format!("\n{indent}"));
                text[at..].starts_with(&whole).then_some((at, whole))
            })
            .collect();
        let [(at, whole)] = places.as_slice() else { return Err(places.len()) };
        Ok(format!("{}{}{}", &text[..*at], self.replace, &text[at + whole.len()..]))
    }

    fn flaw(&self, text_of: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let is_name =
            |id: &str| id.chars().all(|of| of.is_ascii_lowercase() || of.is_ascii_digit() || of == '-');
        if self.name().is_empty() || !is_name(self.name()) {
            return Some("found another name than words in lower case with `-`; give it one".to_owned());
        }
        if self.what.trim().is_empty() {
            return Some(
                "found no words for what it plants; say which invariant or hazard it breaks".to_owned(),
            );
        }
        if !PRODUCT.iter().any(|root| self.file.starts_with(root)) || self.file.ends_with("_tests.rs") {
            return Some(format!(
                "found {}; expected a file of the protocol ({})",
                self.file,
                PRODUCT.join(", ")
            ));
        }
        if self.find.trim().is_empty() || self.find == self.replace {
            return Some("found nothing that is replaced by something else; say what it replaces".to_owned());
        }
        let Some(text) = text_of(&self.file) else {
            return Some(format!("found no file {}; name the one in which the text stands now", self.file));
        };
        match self.plant(&text) {
            Ok(_) => None,
            Err(times) => Some(format!(
                "found its text {times} times in {}; expected once: say it as it stands there now, or lengthen it",
                self.file
            )),
        }
    }
}

/// The mutants of one part of the table.
///
/// # Errors
/// The flaw that keeps it from being read.
pub(crate) fn parse(path: &str, text: &str) -> Result<Vec<Mutant>, Flaw> {
    serde_saphyr::from_str(text).map_err(|error| Flaw {
        path: path.to_owned(),
        line: error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1)),
        says: format!(
            "found what is no list of mutants ({error}); give each the fields of tests/mutants/table.rs"
        ),
    })
}

/// Everything that is wrong with the table of these parts, given the product's files.
pub(crate) fn flaws<'a>(
    parts: impl Iterator<Item = (&'a str, &'a str)>,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<Flaw> {
    let (mut flaws, mut known, mut last) = (Vec::new(), BTreeSet::new(), None);
    for (path, text) in parts {
        last = Some(path.to_owned());
        let mutants = parse(path, text).unwrap_or_else(|flaw| {
            flaws.push(flaw);
            Vec::new()
        });
        for mutant in mutants {
            let line = usize::try_from(mutant.id.defined.line()).unwrap_or(1);
            let mut says: Vec<String> = mutant.flaw(text_of).into_iter().collect();
            if !known.insert(mutant.name().to_owned()) {
                says.push("found another one of that name; give it its own".to_owned());
            }
            flaws.extend(says.into_iter().map(|says| Flaw {
                path: path.to_owned(),
                line,
                says: format!("mutant {}: {says}", mutant.name()),
            }));
        }
    }
    if let Some(path) = last.filter(|_| known.len() < FEWEST) {
        let says = format!("found {} mutants, expected {FEWEST} at least; plant more", known.len());
        flaws.push(Flaw { path, line: 1, says });
    }
    flaws
}
