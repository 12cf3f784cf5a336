//! Every code of a finding is explained in docs/findings.md, and nothing is explained there that nobody says.
//!
//! A code is what people write into runbooks and look up at night, so the list is held against the code both ways. A
//! code is a string literal like `K12-host-path` or `P-not-found` in what inspects clusters or plans; its explanation is
//! a heading of its own. Codes in tests do not count.

use std::collections::BTreeMap;

use super::{
    house::{File, House},
    rules::{Planted, Rule},
};

/// Where findings are explained.
const DOCS: &str = "docs/findings.md";
/// Where findings are made.
const MAKERS: [&str; 2] = ["agent/src/inspect/", "controller/core/src/planner/"];

/// Codes and their explanations.
pub(crate) const FINDING_CODES: Rule = Rule {
    name: "finding-codes",
    check: codes,
    planted: &[
        Planted {
            path: "agent/src/inspect/a.rs",
            text: || "const A: &str = \"K99-never-explained\";\n".to_owned(),
            line: 1,
        },
        Planted { path: DOCS, text: || "# Findings\n\n### `K99-never-said`\n".to_owned(), line: 3 },
    ],
};

fn codes(house: &House) -> Vec<String> {
    let said: BTreeMap<String, (&File, usize)> = house
        .rust()
        .filter(|(file, _)| !file.is_test && MAKERS.iter().any(|maker| file.path.starts_with(maker)))
        .flat_map(|(file, rust)| {
            let tokens = rust.tokens.iter().filter(|token| !file.is_test_line(rust, token.line));
            tokens.filter_map(move |token| {
                let text = token.text.strip_prefix('"')?.strip_suffix('"')?;
                is_code(text).then(|| (text.to_owned(), (file, token.line)))
            })
        })
        .collect();
    let docs = house.files.iter().find(|file| file.path == DOCS);
    let explained: BTreeMap<String, usize> = docs
        .into_iter()
        .flat_map(File::lines)
        .filter_map(|(number, line)| {
            let code = line.strip_prefix("### `")?.strip_suffix('`')?;
            Some((code.to_owned(), number))
        })
        .collect();
    let unexplained =
        said.iter().filter(|(code, _)| !explained.contains_key(*code)).map(|(code, (file, line))| {
            file.violation(
                *line,
                format!("`{code}` is not explained; give it a heading \"### `{code}`\" in {DOCS}"),
            )
        });
    let unsaid =
        explained.iter().filter(|(code, _)| !said.contains_key(*code)).filter_map(|(code, line)| {
            Some(docs?.violation(
                *line,
                format!("`{code}` is said by no check; remove it, or find out who renamed it"),
            ))
        });
    unexplained.chain(unsaid).collect()
}

/// `K` and a number, or `P`; a dash; lower-case words.
fn is_code(text: &str) -> bool {
    let Some((check, rest)) = text.split_once('-') else {
        return false;
    };
    let is_check = check == "P"
        || check
            .strip_prefix('K')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    is_check && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
