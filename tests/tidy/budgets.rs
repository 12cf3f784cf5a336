//! How long a file and a function may be.
//!
//! A file has 400 lines of code; up to 600 with a line `// Long file: <reason>`, never more. A function has 70; an
//! exhaustive match may be longer, and says so in the attribute that clippy wants as well:
//! `#[expect(clippy::too_many_lines, reason = "exhaustive: <why>")]`. Comments and blank lines are free.

use super::{
    house::House,
    rules::{Planted, Rule},
    rust::is_code,
};

const FILE: usize = 400;
const FILE_HARD: usize = 600;
const FUNCTION: usize = 70;
const LONG_FILE: &str = "// Long file: ";
const EXHAUSTIVE: &str = "clippy::too_many_lines,reason=\"exhaustive: ";

/// Files.
pub(crate) const FILE_LENGTH: Rule = Rule {
    name: "file-length",
    check: files,
    planted: &[
        Planted { path: "agent/src/a.rs", text: || "const A: u8 = 1;\n".repeat(FILE + 1), line: FILE + 1 },
        Planted {
            path: "agent/src/a.rs",
            text: || {
                format!("// Long file: no reason is enough\n{}", "const A: u8 = 1;\n".repeat(FILE_HARD + 1))
            },
            line: FILE_HARD + 2,
        },
    ],
};

/// Functions.
pub(crate) const FUNCTION_LENGTH: Rule = Rule {
    name: "function-length",
    check: functions,
    planted: &[Planted {
        path: "agent/src/a.rs",
        text: || {
            format!(
                "struct A;\nimpl A {{\n    fn long() {{\n{}    }}\n}}\n",
                "        call();\n".repeat(FUNCTION + 1)
            )
        },
        line: 3,
    }],
};

fn files(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, _) in house.rust() {
        let mut code = file.lines().filter(|(_, line)| is_code(line));
        let is_excused =
            file.text.lines().any(|line| line.strip_prefix(LONG_FILE).is_some_and(|why| !why.is_empty()));
        let budget = if is_excused { FILE_HARD } else { FILE };
        if let Some((line, _)) = code.nth(budget) {
            let length = budget + 1 + code.count();
            violations.push(file.violation(
                line,
                format!("{length} lines of code, expected at most {budget}; split the file by what it does"),
            ));
        }
    }
    violations
}

fn functions(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        for function in &rust.functions {
            let code =
                file.lines().filter(|(line, text)| function.body.contains(line) && is_code(text)).count();
            if code > FUNCTION && !function.attributes.contains(EXHAUSTIVE) {
                violations.push(file.violation(
                    function.line,
                    format!(
                        "fn {} has {code} lines, expected at most {FUNCTION}; split it, or say \
                         #[expect(clippy::too_many_lines, reason = \"exhaustive: ...\")] on an exhaustive match",
                        function.name
                    ),
                ));
            }
        }
    }
    violations
}
