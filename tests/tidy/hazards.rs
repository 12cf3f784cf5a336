//! Every hazard of the protocol has a test that is named after it, and docs/hazards.md names exactly these tests.
//!
//! A hazard is something that has destroyed disks or data elsewhere; the list of them is the reason for half of the
//! protocol. Whoever removes a test of one, or renames it so that nobody finds it, sees it here. A test counts if its
//! name, or the last part of its case's name, begins with `hNN_`; in the table it stands in the row of that number as
//! `` `name` (layer) ``. That a test sees what it is named after is not this rule's business.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    house::{File, House},
    rules::{Planted, Rule},
};

/// Where hazards are listed.
const DOCS: &str = "docs/hazards.md";
/// Hazards there are: H1 to this.
const HAZARDS: u32 = 34;
/// Where a test may stand, and what its layer is called; the first that fits.
const LAYERS: [(&str, &str); 7] = [
    ("controller/core/", "core"),
    ("controller/cli/", "command"),
    ("controller/", "controller"),
    ("agent/", "agent"),
    ("tests/executors", "real API server"),
    ("tests/e2e/", "real kubelets"),
    ("tests/simulation/", "simulation"),
];
/// Layers whose tests are cases: their names are strings.
const CASES: [&str; 2] = ["tests/executors", "tests/e2e/"];

/// Hazards, their tests, and the table.
pub(crate) const HAZARD_TESTS: Rule = Rule {
    name: "hazard-tests",
    check: hazards,
    planted: &[
        Planted {
            path: "agent/src/a_tests.rs",
            text: || "#[test]\nfn h01_is_in_no_table() {}\n".to_owned(),
            line: 2,
        },
        Planted {
            path: "tests/e2e/a.rs",
            text: || "const CASES: [&str; 1] = [\"a::h02_is_in_no_table\"];\n".to_owned(),
            line: 1,
        },
        Planted {
            path: DOCS,
            text: || "# Hazards\n\n| H3 | a | b | `h03_is_gone` (agent) |\n".to_owned(),
            line: 3,
        },
        Planted { path: DOCS, text: || "# Hazards\n\n| H4 | a | b | |\n".to_owned(), line: 3 },
        Planted { path: DOCS, text: || "# Hazards\n".to_owned(), line: 1 },
    ],
};

/// A test: its name and its layer.
type Test = (String, &'static str);

fn hazards(house: &House) -> Vec<String> {
    let tests = tests(house);
    let Some(docs) = house.files.iter().find(|file| file.path == DOCS) else {
        return tests.values().map(|(file, line)| untold(file, *line)).collect();
    };
    let rows = rows(docs);
    let told: BTreeSet<&Test> = rows.iter().flat_map(|(_, _, row)| row).collect();
    let missing = tests.iter().filter(|(test, _)| !told.contains(test));
    let mut found: Vec<String> = missing.map(|(_, (file, line))| untold(file, *line)).collect();
    for (line, number, row) in &rows {
        if row.is_empty() {
            found.push(docs.violation(
                *line,
                format!(
                    "H{number} has no test; name one `h{number:02}_…`, and it here as \"`name` (layer)\""
                ),
            ));
        }
        for (name, layer) in row {
            if !tests.contains_key(&(name.clone(), *layer)) {
                found.push(docs.violation(
                    *line,
                    format!("no test `{name}` is in layer {layer:?}; find out who renamed it"),
                ));
            }
            if numbered(name) != Some(*number) {
                found.push(
                    docs.violation(*line, format!("`{name}` is no test of H{number}; put it in its row")),
                );
            }
        }
    }
    let listed: BTreeSet<u32> = rows.iter().map(|(_, number, _)| *number).collect();
    let unlisted = (1..=HAZARDS).filter(|number| !listed.contains(number));
    found.extend(unlisted.map(|number| docs.violation(1, format!("H{number} has no row; write it"))));
    found
}

fn untold(file: &File, line: usize) -> String {
    file.violation(
        line,
        format!("this test of a hazard is not in {DOCS}; name it there as \"`name` (layer)\""),
    )
}

/// Every test of a hazard, and where it stands.
fn tests(house: &House) -> BTreeMap<Test, (&File, usize)> {
    let mut tests = BTreeMap::new();
    for (file, rust) in house.rust() {
        let Some((_, layer)) = LAYERS.iter().find(|(path, _)| file.path.starts_with(path)) else {
            continue;
        };
        let functions = rust.functions.iter().filter(|function| function.attributes.contains("test"));
        let functions = functions.map(|function| (function.name.as_str(), function.line));
        let are_cases = CASES.iter().any(|path| file.path.starts_with(path));
        let cases = rust.tokens.iter().filter(|_| are_cases).filter_map(|token| {
            let text = token.text.strip_prefix('"')?.strip_suffix('"')?;
            Some((text.rsplit("::").next()?, token.line))
        });
        for (name, line) in functions.chain(cases).filter(|(name, _)| numbered(name).is_some()) {
            tests.insert((name.to_owned(), *layer), (file, line));
        }
    }
    tests
}

/// The number of the hazard that a test is named after.
fn numbered(name: &str) -> Option<u32> {
    let (number, rest) = name.strip_prefix('h')?.split_once('_')?;
    let is_name = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (number.len() == 2 && is_name).then(|| number.parse().ok())?
}

/// The rows of the table: line, hazard, and the tests that the row names.
fn rows(docs: &File) -> Vec<(usize, u32, Vec<Test>)> {
    let row = |(number, line): (usize, &str)| {
        let (hazard, rest) = line.strip_prefix("| H")?.split_once(' ')?;
        let tests = rest.split('`').collect::<Vec<_>>();
        let tests = tests.windows(2).filter_map(|pair| {
            numbered(pair[0])?;
            let layer = pair[1].strip_prefix(" (")?.split_once(')')?.0;
            let known = LAYERS.iter().find(|(_, name)| *name == layer);
            Some((pair[0].to_owned(), known.map_or("unknown", |(_, name)| *name)))
        });
        Some((number, hazard.parse().ok()?, tests.collect()))
    };
    docs.lines().filter_map(row).collect()
}
