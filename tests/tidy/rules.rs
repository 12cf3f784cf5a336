//! All rules, as data: what is looked for, by which function, and the proof that it is found.
//!
//! A rule that is not in [`RULES`] does not run. Each carries its own proof: files in which it must find something at
//! a known line. To add one: write the function beside its like, add it here, plant a violation. To drop one is a
//! change of the style that everybody should see: it has a commit of its own.

use super::{
    arrows, bans, budgets, committed, documentation, findings, hazards, house::House, links, mutants,
};

/// One rule.
pub(crate) struct Rule {
    /// What messages of the self-test call it.
    pub(crate) name: &'static str,
    /// Every violation: `path:line: found, expected, to do`.
    pub(crate) check: fn(&House) -> Vec<String>,
    /// Violations that it must find.
    pub(crate) planted: &'static [Planted],
}

/// A file with a violation.
pub(crate) struct Planted {
    /// Where it stands.
    pub(crate) path: &'static str,
    /// Its text.
    pub(crate) text: fn() -> String,
    /// The line that must be named.
    pub(crate) line: usize,
}

/// The house rules.
pub(crate) const RULES: &[Rule] = &[
    budgets::FILE_LENGTH,
    budgets::FUNCTION_LENGTH,
    bans::UNWRAP,
    bans::IGNORE,
    bans::REASONLESS,
    bans::UNFINISHED,
    bans::UNPARSED,
    documentation::MODULE_DOCS,
    documentation::PROTO_DOCS,
    arrows::MODULES,
    arrows::MANIFESTS,
    committed::PLACES,
    committed::HOSTS,
    findings::FINDING_CODES,
    hazards::HAZARD_TESTS,
    links::LINKS,
    mutants::MUTANTS,
];
