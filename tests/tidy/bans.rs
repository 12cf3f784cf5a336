//! What code may not say: `unwrap` outside tests, ignored tests, silenced lints without a reason, unfinished work.
//!
//!
//! clippy sees some of this where it is told to; these rules hold in every crate and for every target, whatever the
//! lint table of its manifest says. A Rust file that does not parse is a violation too, because no other rule sees it.

use super::{
    house::House,
    rules::{Planted, Rule},
    rust::Token,
};

/// Panics by name.
pub(crate) const UNWRAP: Rule = Rule {
    name: "unwrap",
    check: unwrap,
    planted: &[
        Planted { path: "agent/src/a.rs", text: || "fn a() {\n    b().unwrap();\n}\n".to_owned(), line: 2 },
        Planted {
            path: "agent/src/a.rs",
            text: || "fn a() {\n    println!(\"{}\", b()\n        .expect(\"b\"));\n}\n".to_owned(),
            line: 3,
        },
        Planted {
            path: "agent/src/a.rs",
            text: || "#[cfg(test)]\nmod tests {}\nfn a() {\n    b().unwrap();\n}\n".to_owned(),
            line: 4,
        },
    ],
};

/// Tests that do not run.
pub(crate) const IGNORE: Rule = Rule {
    name: "ignore",
    check: ignore,
    planted: &[
        Planted {
            path: "agent/src/a_tests.rs",
            text: || "#[test]\n#[ignore]\nfn a() {}\n".to_owned(),
            line: 2,
        },
        Planted { path: "tests/a.rs", text: || "#[ignore = \"slow\"]\nfn a() {}\n".to_owned(), line: 1 },
    ],
};

/// Lints silenced without a reason.
pub(crate) const REASONLESS: Rule = Rule {
    name: "reasonless",
    check: reasonless,
    planted: &[
        Planted { path: "agent/src/a.rs", text: || "#[allow(dead_code)]\nfn a() {}\n".to_owned(), line: 1 },
        Planted { path: "agent/src/a.rs", text: || "#![expect(unused)]\n".to_owned(), line: 1 },
    ],
};

/// Notes to oneself.
pub(crate) const UNFINISHED: Rule = Rule {
    name: "unfinished",
    check: unfinished,
    planted: &[
        Planted {
            path: "agent/src/a.rs",
            text: || format!("fn a() {{}}\n// {}: later\n", MARKS[0]),
            line: 2,
        },
        Planted { path: "Makefile", text: || format!("all:\n# {} this\n", MARKS[1]), line: 2 },
        Planted { path: "agent/src/a.rs", text: || "fn a() {\n    todo!()\n}\n".to_owned(), line: 2 },
    ],
};

/// Rust that the other rules cannot see into.
pub(crate) const UNPARSED: Rule = Rule {
    name: "unparsed",
    check: unparsed,
    planted: &[Planted { path: "agent/src/a.rs", text: || "fn a() {}\nfn {}\n".to_owned(), line: 2 }],
};

/// Written so that this file does not name them itself.
const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

fn unwrap(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        for window in rust.tokens.windows(3) {
            let [dot, name, open] = window else { continue };
            let is_call = dot.text == "." && open.text == "(";
            if is_call
                && matches!(name.text.as_str(), "unwrap" | "expect")
                && !file.is_test_line(rust, name.line)
            {
                violations.push(file.violation(
                    name.line,
                    format!(".{}() outside a test, expected an error that says what to do; return it, or make the \
                             case impossible by type", name.text),
                ));
            }
        }
    }
    violations
}

fn ignore(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        for (name, _) in attributes(&rust.tokens).filter(|(name, _)| name.text == "ignore") {
            violations.push(file.violation(
                name.line,
                "an ignored test, expected that every test runs; repair it, or delete it",
            ));
        }
    }
    violations
}

fn reasonless(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        let silencing =
            attributes(&rust.tokens).filter(|(name, _)| matches!(name.text.as_str(), "allow" | "expect"));
        for (name, rest) in silencing {
            if !rest.iter().any(|token| token.text == "reason") {
                violations.push(file.violation(
                    name.line,
                    format!(
                        "#[{}] without a reason, expected reason = \"...\"; say why the lint is wrong here",
                        name.text
                    ),
                ));
            }
        }
    }
    violations
}

/// Each attribute's name with the tokens up to its closing bracket.
fn attributes(tokens: &[Token]) -> impl Iterator<Item = (&Token, &[Token])> {
    (0..tokens.len()).filter_map(|at| {
        let marks = if tokens.get(at + 1)?.text == "!" { 2 } else { 1 };
        if tokens[at].text != "#" || tokens.get(at + marks)?.text != "[" {
            return None;
        }
        let name = tokens.get(at + marks + 1)?;
        let rest = &tokens[at + marks + 1..];
        let end = rest.iter().position(|token| token.text == "]").unwrap_or(rest.len());
        Some((name, &rest[..end]))
    })
}

fn unfinished(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for file in &house.files {
        for (number, line) in file.lines() {
            if let Some(mark) = MARKS.iter().find(|mark| has_word(line, mark)) {
                violations.push(
                    file.violation(number, format!("{mark}, expected finished work; do it, or leave it out")),
                );
            }
        }
    }
    for (file, rust) in house.rust() {
        for pair in rust.tokens.windows(2) {
            let is_macro =
                pair[1].text == "!" && matches!(pair[0].text.as_str(), "todo" | "unimplemented" | "dbg");
            if is_macro {
                violations
                    .push(file.violation(pair[0].line, format!("{}!, expected finished work", pair[0].text)));
            }
        }
    }
    violations
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter =
            |character: Option<char>| character.is_some_and(|one| one.is_alphanumeric() || one == '_');
        !letter(line[..at].chars().next_back()) && !letter(line[at + word.len()..].chars().next())
    })
}

fn unparsed(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for file in &house.files {
        if let Some(Err((line, said))) = &file.rust {
            violations.push(file.violation(*line, format!("not Rust: {said}")));
        }
    }
    violations
}
