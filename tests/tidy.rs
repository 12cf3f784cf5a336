//! The house rules, held by a test: a style rule exists if something enforces it.
//!
//! Every text file of the repository is read and held against each rule of [`tidy::rules`]. A rule is data: its name,
//! what it looks at, and violations planted in small files that it must find, so that a rule which has gone blind
//! fails as loudly as a violation. Messages read `path:line: found, expected, to do`.
//!
//! What rustfmt, clippy, `buf lint` and cargo-deny see is theirs; this holds what they do not: budgets, module docs,
//! the arrows between parts of one crate, and what committed text may not name.

/// The pieces.
mod tidy {
    pub(crate) mod arrows;
    pub(crate) mod bans;
    pub(crate) mod budgets;
    pub(crate) mod committed;
    pub(crate) mod documentation;
    pub(crate) mod findings;
    pub(crate) mod hazards;
    pub(crate) mod house;
    pub(crate) mod links;
    pub(crate) mod mutants;
    pub(crate) mod rules;
    pub(crate) mod rust;
}

/// The table of planted faults, by the code of who plants them.
#[path = "mutants/table.rs"]
mod table;

use std::path::Path;

use tidy::{
    house::{File, House},
    rules::RULES,
};

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let house = House::read(root).expect("every text file of the repository");
    assert!(house.files.len() > 20, "only {} files found under {}", house.files.len(), root.display());
    let mut violations: Vec<String> = RULES.iter().flat_map(|rule| (rule.check)(&house)).collect();
    violations.sort();
    assert!(
        violations.is_empty(),
        "{} violations of the house rules (tests/tidy/rules.rs):\n{}",
        violations.len(),
        violations.join("\n")
    );
}

#[test]
fn every_rule_finds_what_it_forbids() {
    for rule in RULES {
        assert!(!rule.planted.is_empty(), "rule {}: nothing planted", rule.name);
        for planted in rule.planted {
            let house = House { files: vec![File::new(planted.path, &(planted.text)())] };
            let found = (rule.check)(&house);
            let expected = format!("{}:{}: ", planted.path, planted.line);
            assert!(
                found.iter().any(|violation| violation.starts_with(&expected)),
                "rule {} missed what was planted at {expected}found {found:?}",
                rule.name
            );
        }
    }
}

#[test]
fn no_rule_objects_to_a_clean_file() {
    let text = format!(
        "{}\nuse std::fmt;\n\n/// One.\npub fn one(f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n    f.write_str(\"1\")\n}}\n",
        "//! A line that says why this module exists.\n".repeat(5)
    );
    for path in
        ["agent/src/one.rs", "controller/src/one.rs", "controller/core/src/one.rs", "tests/src/one.rs"]
    {
        let house = House { files: vec![File::new(path, &text)] };
        for rule in RULES {
            assert_eq!((rule.check)(&house), Vec::<String>::new(), "rule {} on {path}", rule.name);
        }
    }
}
