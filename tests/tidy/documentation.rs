//! What must be explained: every module, and every line of the wire.
//!
//! A module says in 5 to 30 lines why it exists and where it ends. Files that only declare modules, and `build.rs`,
//! may say less, but not nothing; the sibling file with a module's tests may rely on what the module says. On the
//! wire every message, field, value and call carries a comment with its unit or shape; what is vendored from upstream
//! is upstream's.

use super::{
    house::House,
    rules::{Planted, Rule},
};

const LEAST: usize = 5;
const MOST: usize = 30;

/// Modules.
pub(crate) const MODULE_DOCS: Rule = Rule {
    name: "module-docs",
    check: modules,
    planted: &[
        Planted { path: "agent/src/a.rs", text: || "fn a() {}\n".to_owned(), line: 1 },
        Planted { path: "agent/src/a.rs", text: || "//! Short.\nfn a() {}\n".to_owned(), line: 1 },
        Planted { path: "agent/src/a/mod.rs", text: || "mod b;\n".to_owned(), line: 1 },
        Planted {
            path: "agent/src/a.rs",
            text: || format!("{}fn a() {{}}\n", "//! Long.\n".repeat(MOST + 1)),
            line: 1,
        },
    ],
};

/// The wire.
pub(crate) const PROTO_DOCS: Rule = Rule {
    name: "proto-docs",
    check: protos,
    planted: &[
        Planted {
            path: "proto/a.proto",
            text: || "// A.\nmessage A {\n  string b = 1;\n}\n".to_owned(),
            line: 3,
        },
        Planted { path: "proto/a.proto", text: || "\nmessage A {}\n".to_owned(), line: 2 },
        Planted { path: "proto/a.proto", text: || "// A.\nenum A {\n  A_B = 0;\n}\n".to_owned(), line: 3 },
    ],
};

fn modules(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        let docs = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        let least = match file {
            _ if is_sibling(&file.path) => 0,
            _ if rust.only_declares || file.path.ends_with("build.rs") => 1,
            _ => LEAST,
        };
        if docs < least || docs > MOST {
            violations.push(file.violation(
                1,
                format!(
                    "a module doc of {docs} lines, expected {least} to {MOST}; say why the module exists and where it ends"
                ),
            ));
        }
    }
    violations
}

/// Whether a file holds the tests of the module beside it.
fn is_sibling(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs")
}

fn protos(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    let wire =
        house.files.iter().filter(|file| file.path.starts_with("proto/") && file.path.ends_with(".proto"));
    for file in wire {
        let mut is_documented = false;
        for (number, line) in file.lines() {
            let line = line.trim();
            if line.starts_with("//") {
                is_documented = true;
                continue;
            }
            if declares(line) && !is_documented {
                violations.push(file.violation(
                    number,
                    format!("`{line}` without a comment, expected its meaning and unit on the line before"),
                ));
            }
            is_documented = false;
        }
    }
    violations
}

/// Whether a line of a `.proto` declares something that a reader has to understand.
fn declares(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    if matches!(first, "message" | "enum" | "service" | "rpc" | "oneof") {
        return true;
    }
    let is_setting = matches!(first, "option" | "syntax" | "package" | "import" | "reserved");
    let number =
        line.split_once(" = ").map(|(_, after)| after.starts_with(|digit: char| digit.is_ascii_digit()));
    !is_setting && number == Some(true)
}
