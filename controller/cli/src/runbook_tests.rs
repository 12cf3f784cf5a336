//! The names of a migration reach the script whole, and the shell can read it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::{STEPS, quoted, text};
use crate::{
    samples::migration,
    shape::{Phase, Step},
};

#[test]
fn names_ordinals_and_state_are_the_migrations() {
    let script = text(&migration());
    for line in [
        "NAMESPACE='db'",
        "SET='etcd'",
        "SOURCE='east'",
        "TARGET='west'",
        "ORDINALS=(2 1 0)",
        "set -Eeuo pipefail",
        "# When this was written it was running: 1 of 3 ordinals had moved, ordinal 1 at step 6 (detach).",
    ] {
        assert!(script.lines().any(|found| found == line), "no line {line:?} in:\n{script}");
    }
    assert!(script.starts_with("#!/usr/bin/env bash\n"));
    assert!(script.ends_with("\nmain\n"));
}

#[test]
fn the_script_is_the_same_wherever_the_migration_stands() {
    let mut over = migration();
    over.phase = Phase::Completed;
    for ordinal in &mut over.ordinals {
        ordinal.ended_at = over.started_at;
        ordinal.steps = Vec::<Step>::new();
    }
    let without_comments = |script: String| -> Vec<String> {
        script.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect()
    };
    assert_eq!(without_comments(text(&over)), without_comments(text(&migration())));
}

#[test]
fn a_word_can_not_end_its_quotes() {
    assert_eq!(quoted("east"), "'east'");
    assert_eq!(quoted("a'b"), r"'a'\''b'");
}

#[test]
fn bash_reads_it() {
    let mut bash = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(text(&migration()).as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn nothing_but_bash_kubectl_and_the_simplest_tools_is_needed() {
    let foreign = ["jq", "python", "python3", "sed", "awk", "curl", "yq"];
    for line in STEPS.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
        assert!(!words.any(|word| foreign.contains(&word)), "{line:?} needs another tool");
    }
    for rule in ["--force", "--grace-period", "--cascade"] {
        assert!(
            !STEPS.lines().any(|line| line.contains(rule) && !line.contains("--force-conflicts")),
            "{rule}"
        );
    }
}
