//! How a check says what it saw: with found, expected and what to do, never with a bare "failed".
//!
//! A code is stable: people write it into runbooks and alerts, tests hold on to it. Its prefix is the check of
//! handoff.md section 4 that it belongs to, so that the check's name need not be said twice. Severities follow one
//! rule: *refuse* when the handoff would lose, split or strand something, or when that cannot be excluded; *warn*
//! when a person should look first but the protocol holds anyway; *note* when Ferry will change something that a
//! person may care about, or could not look.

use ferry_proto::agent::v1::{Finding, Severity};

/// The migration cannot run like this.
pub(crate) fn refuse(
    code: &'static str,
    subject: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    finding(Severity::Refuse, code, subject.into(), [found.into(), expected.into(), remedy.into()])
}

/// The migration may run; somebody should look first.
pub(crate) fn warn(
    code: &'static str,
    subject: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    finding(Severity::Warn, code, subject.into(), [found.into(), expected.into(), remedy.into()])
}

/// Worth knowing.
pub(crate) fn note(
    code: &'static str,
    subject: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    finding(Severity::Note, code, subject.into(), [found.into(), expected.into(), remedy.into()])
}

fn finding(severity: Severity, code: &'static str, subject: String, words: [String; 3]) -> Finding {
    let check = code.split('-').next().unwrap_or(code).to_owned();
    let [found, expected, remedy] = words;
    Finding { check, code: code.to_owned(), severity: severity.into(), subject, found, expected, remedy }
}
