//! Which part may use which: the arrows of ARCHITECTURE.md.
//!
//! Cargo holds the arrows between crates as long as the manifests do; [`MANIFESTS`] holds the manifests, and
//! [`MODULES`] what no manifest can say: that generated types stop at the edge of the controller, that only the event
//! loop writes the journal, that the core has neither clock nor chance. Tests may look anywhere.

use super::{
    house::{File, House},
    rules::{Planted, Rule},
    rust::{Rust, Token},
};

/// Something that files under `inside` must not use.
struct Arrow {
    inside: &'static str,
    /// Parts of the path, after `inside`, that may all the same; for none, empty.
    except: &'static [&'static str],
    /// Only these parts, if any are named.
    only: &'static [&'static str],
    /// Names at the beginning of a path: crates, or modules after `crate::` and `super::`.
    paths: &'static [&'static str],
    /// Names anywhere.
    names: &'static [&'static str],
    why: &'static str,
}

const ARROWS: [Arrow; 6] = [
    Arrow {
        inside: "controller/core/src/",
        except: &[],
        only: &[],
        paths: &[
            "tokio",
            "tonic",
            "prost",
            "kube",
            "k8s_openapi",
            "tracing",
            "rand",
            "uuid",
            "jiff",
            "anyhow",
            "ferry_proto",
            "ferry_controller",
            "ferry_agent",
        ],
        names: &["Instant", "SystemTime", "HashMap", "HashSet"],
        why: "the core is pure: time and ids come in as input, order is a BTreeMap's",
    },
    Arrow {
        inside: "controller/src/",
        except: &["wire", "session", "admin", "enroll"],
        only: &[],
        paths: &["ferry_proto"],
        names: &[],
        why: "generated types stop at the edge: wire, session, admin, enroll",
    },
    Arrow {
        inside: "controller/src/",
        except: &[],
        only: &["session", "admin"],
        paths: &["journal", "redb"],
        names: &[],
        why: "sessions and the admin API send inputs to the event loop, which alone writes the journal",
    },
    Arrow {
        inside: "controller/",
        except: &[],
        only: &[],
        paths: &["kube", "k8s_openapi", "ferry_agent"],
        names: &[],
        why: "the controller has no credentials for any cluster: only the agent talks to Kubernetes",
    },
    Arrow {
        inside: "agent/",
        except: &[],
        only: &[],
        paths: &["ferry_core", "ferry_controller"],
        names: &[],
        why: "the agent decides nothing: it knows the wire, not the core",
    },
    Arrow {
        inside: "controller/cli/",
        except: &[],
        only: &[],
        paths: &["ferry_core", "ferry_controller", "redb"],
        names: &[],
        why: "the command speaks the admin API and nothing else",
    },
];

/// Arrows between modules.
pub(crate) const MODULES: Rule = Rule {
    name: "module-arrows",
    check: modules,
    planted: &[
        Planted { path: "controller/core/src/a.rs", text: || "\nuse tokio::time;\n".to_owned(), line: 2 },
        Planted {
            path: "controller/core/src/a.rs",
            text: || "use std::collections::HashMap;\n".to_owned(),
            line: 1,
        },
        Planted {
            path: "controller/core/src/a.rs",
            text: || "fn a() {\n    std::time::Instant::now();\n}\n".to_owned(),
            line: 2,
        },
        Planted {
            path: "controller/src/tls.rs",
            text: || "use ferry_proto::agent::v1 as wire;\n".to_owned(),
            line: 1,
        },
        Planted {
            path: "controller/src/session/a.rs",
            text: || "use crate::{\n    journal::Journal,\n};\n".to_owned(),
            line: 2,
        },
        Planted { path: "controller/src/a.rs", text: || "fn a() -> kube::Client {}\n".to_owned(), line: 1 },
        Planted { path: "agent/src/a.rs", text: || "use ferry_core::Core;\n".to_owned(), line: 1 },
        Planted { path: "controller/cli/src/a.rs", text: || "use ferry_core::Core;\n".to_owned(), line: 1 },
    ],
};

/// Dependencies that a manifest must not name.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    (
        "controller/core/Cargo.toml",
        &[
            "ferry-proto",
            "ferry-controller",
            "ferry-agent",
            "tokio",
            "tonic",
            "prost",
            "kube",
            "tracing",
            "rand",
            "uuid",
        ],
    ),
    ("controller/Cargo.toml", &["ferry-agent", "kube", "k8s-openapi"]),
    ("controller/cli/Cargo.toml", &["ferry-core", "ferry-controller", "ferry-agent", "kube", "k8s-openapi"]),
    ("agent/Cargo.toml", &["ferry-core", "ferry-controller"]),
    ("telemetry/Cargo.toml", &["ferry-proto", "ferry-core", "ferry-controller", "ferry-agent", "kube"]),
    ("Cargo.toml", &["kube"]),
];

/// Arrows between crates.
pub(crate) const MANIFESTS: Rule = Rule {
    name: "manifest-arrows",
    check: manifests,
    planted: &[
        Planted {
            path: "controller/core/Cargo.toml",
            text: || "[package]\n[dependencies]\ntokio.workspace = true\n".to_owned(),
            line: 3,
        },
        Planted {
            path: "agent/Cargo.toml",
            text: || "[dependencies]\nferry-core = { path = \"../controller/core\" }\n".to_owned(),
            line: 2,
        },
    ],
};

fn modules(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, rust) in house.rust() {
        for arrow in ARROWS.iter().filter(|arrow| arrow.concerns(&file.path)) {
            violations.extend(arrow.broken(file, rust));
        }
    }
    violations
}

impl Arrow {
    fn concerns(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.inside) else {
            return false;
        };
        let is_part = |part: &&&str| rest.split(['/', '.', '_']).any(|piece| piece == **part);
        !self.except.iter().any(|part| is_part(&part))
            && (self.only.is_empty() || self.only.iter().any(|part| is_part(&part)))
    }

    fn broken(&self, file: &File, rust: &Rust) -> Vec<String> {
        let mut violations = Vec::new();
        for at in 0..rust.tokens.len() {
            let token = &rust.tokens[at];
            let name = token.text.as_str();
            let is_used =
                self.names.contains(&name) || (self.paths.contains(&name) && begins_path(&rust.tokens, at));
            if is_used && !file.is_test_line(rust, token.line) {
                violations.push(file.violation(
                    token.line,
                    format!("{name} is used here, expected none under {}: {}", self.inside, self.why),
                ));
            }
        }
        violations
    }
}

/// Whether the token begins a path that goes on: `name::`, also after `crate::` or `super::`, or inside their braces.
fn begins_path(tokens: &[Token], at: usize) -> bool {
    let text = |index: Option<usize>| {
        index.and_then(|index| tokens.get(index)).map_or("", |token| token.text.as_str())
    };
    let goes_on = text(Some(at + 1)) == ":" && text(Some(at + 2)) == ":";
    let continues = text(at.checked_sub(1)) == ":" && text(at.checked_sub(2)) == ":";
    let root = text(at.checked_sub(3));
    goes_on && (!continues || matches!(root, "crate" | "super"))
}

fn manifests(house: &House) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, forbidden) in FORBIDDEN {
        for file in house.files.iter().filter(|file| file.path == path) {
            let mut section = "";
            for (number, line) in file.lines() {
                if line.starts_with('[') {
                    section = line.trim();
                }
                let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
                if section == "[dependencies]" && forbidden.contains(&name) {
                    violations.push(file.violation(
                        number,
                        format!("{name} is a dependency, expected none; the arrows are in ARCHITECTURE.md"),
                    ));
                }
            }
        }
    }
    violations
}
