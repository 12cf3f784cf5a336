//! What a world could leave on the machine, looked at before and after.
//!
//! Mounts, links, cgroups, loop devices, kernel settings, folders that cluster programs like to make, and every
//! process that a run has started. Two looks are compared line by line, so a new kind of trace needs no new code.
//!
//! Other runs may live beside the one under test: what belongs to a living one is left out on both sides.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use ferry_tests::world::RunId;

/// Everything that was found, a line for each thing.
pub(crate) struct Machine(BTreeSet<String>);

/// Directories in which a program of a cluster would make folders, if it were let.
const FOLDERS: &[&str] =
    &["/etc", "/opt", "/run", "/run/netns", "/usr/libexec", "/var/lib", "/var/log", "/var/run", "/tmp"];
/// Trees of settings for the whole machine that the kubelet and kube-proxy write, if they are let.
const SETTINGS: &[&str] = &["/proc/sys/vm", "/proc/sys/kernel", "/proc/sys/net"];
/// Counters among them, which change by themselves.
const COUNTERS: &[&str] =
    &["random", "ns_last_pid", "pty", "nf_conntrack_count", "dentry", "inode", "ngroups"];

impl Machine {
    /// Looks at the machine.
    pub(crate) fn look() -> Result<Self> {
        let mut found = BTreeSet::new();
        for line in fs::read_to_string("/proc/mounts").context("cannot read the mounts")?.lines() {
            found.insert(format!("mount {line}"));
        }
        for folder in FOLDERS {
            for name in names(folder).into_iter().filter(|name| is_ours(folder, name)) {
                found.insert(format!("entry {folder}/{name}"));
            }
        }
        let home = std::env::var("HOME").unwrap_or_default();
        for name in [".kube", ".kwok"].into_iter().filter(|name| Path::new(&home).join(name).exists()) {
            found.insert(format!("entry {home}/{name}"));
        }
        for name in names("/sys/class/net") {
            found.insert(format!("link {name}"));
        }
        for hierarchy in names("/sys/fs/cgroup") {
            for name in names(format!("/sys/fs/cgroup/{hierarchy}")) {
                let other =
                    name.strip_prefix("ferry-").and_then(RunId::parse).is_some_and(|id| id.is_alive());
                if !other && Path::new("/sys/fs/cgroup").join(&hierarchy).join(&name).is_dir() {
                    found.insert(format!("cgroup {hierarchy}/{name}"));
                }
            }
        }
        for device in names("/sys/block") {
            let file = format!("/sys/block/{device}/loop/backing_file");
            if let Ok(file) = fs::read_to_string(file)
                && file.split('/').find_map(RunId::parse).is_some_and(|id| !id.is_alive())
            {
                found.insert(format!("loop device {device} on {}", file.trim()));
            }
        }
        for tree in SETTINGS {
            settings(Path::new(tree), &mut found);
        }
        for (run, command) in processes()? {
            if !run.is_alive() {
                found.insert(format!("process of run {run}: {command}"));
            }
        }
        Ok(Self(found))
    }

    /// What is here and was not before, and the other way round.
    pub(crate) fn difference(&self, before: &Self) -> Vec<String> {
        let new = self.0.difference(&before.0).map(|line| format!("+ {line}"));
        let gone = before.0.difference(&self.0).map(|line| format!("- {line}"));
        new.chain(gone).collect()
    }
}

/// Whether processes of the run named `run` are there.
pub(crate) fn has_processes(run: &str) -> Result<bool> {
    Ok(processes()?.iter().any(|(id, _)| id.to_string() == run))
}

/// Every process that says by its environment which run it belongs to.
fn processes() -> Result<Vec<(RunId, String)>> {
    let mut found = Vec::new();
    for pid in names("/proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        // A process may end while it is looked at.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let run = environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| std::str::from_utf8(variable).ok()?.strip_prefix("FERRY_WORLD="))
            .find_map(|dir| RunId::parse(Path::new(dir).file_name()?.to_str()?));
        if let Some(run) = run {
            let command = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            found.push((run, String::from_utf8_lossy(&command).trim().to_owned()));
        }
    }
    Ok(found)
}

/// `/tmp` changes for many reasons: only what a cluster's tools are known to make counts there.
fn is_ours(folder: &str, name: &str) -> bool {
    match folder {
        "/tmp" => name.starts_with("kube") || name.starts_with("ctr") || name.starts_with("containerd"),
        _ => true,
    }
}

fn settings(path: &Path, found: &mut BTreeSet<String>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if COUNTERS.iter().any(|counter| name.starts_with(counter)) {
        return;
    }
    if path.is_dir() {
        for name in names(path) {
            settings(&path.join(name), found);
        }
    } else if let Ok(value) = fs::read_to_string(path) {
        found.insert(format!("setting {} = {}", path.display(), value.trim()));
    }
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
