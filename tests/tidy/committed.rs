//! What committed text may not name: places on somebody's machine, and hosts that only some networks have.
//!
//! A path of one machine is wrong on every other, and a package host of one network makes a build fail elsewhere: the
//! clients' own configuration says where packages come from. Lock files are text too; the npm one must be written
//! without resolved addresses (`omit-lockfile-registry-resolved`). The words below are written in halves, so that this
//! file passes.

use super::{
    house::House,
    rules::{Planted, Rule},
};

/// Beginnings of paths that exist on one machine only.
const MACHINE: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
/// Parts of the names of hosts that serve packages.
const SERVES: [&str; 5] = ["regis\u{74}ry", "mir\u{72}or", "artifac\u{74}ory", "ne\u{78}us", "pro\u{78}y."];
/// Where cargo's lock and manifests say that a crate comes from: a name, not an address that is dialled.
const CRATES_IO: &str = "github.com/rust-lang/crates.io-index";

/// Paths.
pub(crate) const PLACES: Rule = Rule {
    name: "places",
    check: places,
    planted: &[
        Planted { path: "README.md", text: || format!("# A\nSee {}x.\n", MACHINE[0]), line: 2 },
        Planted { path: "tests/a.sh", text: || format!("cd {}x\n", MACHINE[1]), line: 1 },
    ],
};

/// Hosts.
pub(crate) const HOSTS: Rule = Rule {
    name: "hosts",
    check: hosts,
    planted: &[
        Planted {
            path: "package-lock.json",
            text: || format!("{{\n\"resolved\": \"https://{}.example.org/a\"\n}}\n", SERVES[0]),
            line: 2,
        },
        Planted { path: "Makefile", text: || format!("url = http://go.{}.example/b\n", SERVES[1]), line: 1 },
    ],
};

fn places(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for file in &house.files {
        for (number, line) in file.lines() {
            if let Some(place) = MACHINE.iter().find(|place| begins(line, place)) {
                violations.push(file.violation(
                    number,
                    format!("names {place}, expected a path that exists everywhere; make it relative, or an argument"),
                ));
            }
        }
    }
    violations
}

/// Whether `place` stands in `line` at the beginning of a path.
fn begins(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || "._-/}*".contains(character))
    })
}

fn hosts(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for file in &house.files {
        for (number, line) in file.lines() {
            for (at, _) in line.match_indices("://") {
                let rest = &line[at + 3..];
                let host = rest.split(['/', '"', '\'', ' ', ')', '>', '`']).next().unwrap_or_default();
                if SERVES.iter().any(|word| host.contains(word)) && !rest.starts_with(CRATES_IO) {
                    violations.push(file.violation(
                        number,
                        format!("names the package host {host}, expected none; the client's configuration says where"),
                    ));
                }
            }
        }
    }
    violations
}
