//! The cgroups of a run: one directory of its own in each hierarchy, and one in that for each node.
//!
//! cgroups are the one thing that namespaces do not take with them, so they are named after the run and
//! removed by whoever outlives it. Both layouts are known: version 1 with a hierarchy for each controller, and
//! version 2 with one for all.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{limits, run_dir::RunId};

const ROOT: &str = "/sys/fs/cgroup";
const PREFIX: &str = "ferry-";
/// A version 1 cpuset accepts no process until these are filled.
const CPUSET_FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// The path of a run's cgroup under each hierarchy's root.
pub(super) fn run_path(run: &str) -> String {
    format!("/{PREFIX}{run}")
}

/// The path of a node's cgroup under each hierarchy's root; the kubelet puts its pods below it.
pub(super) fn node_path(run: &str, node: &str) -> String {
    format!("{}/{node}", run_path(run))
}

/// Makes the cgroups of a node.
pub(super) fn create(run: &str, node: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let outer = hierarchy.join(&run_path(run)[1..]);
        for (dir, parent) in [(outer.clone(), hierarchy.clone()), (outer.join(node), outer)] {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make the cgroup {}", dir.display()))?;
            inherit_cpuset(&parent, &dir)?;
            enable_controllers(&parent)?;
        }
    }
    Ok(())
}

fn inherit_cpuset(parent: &Path, dir: &Path) -> Result<()> {
    for file in CPUSET_FILES {
        let (from, to) = (parent.join(file), dir.join(file));
        if from.exists() && to.exists() && !parent.join("cgroup.controllers").exists() {
            let value = fs::read_to_string(&from)?;
            fs::write(&to, value.trim()).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    Ok(())
}

/// Version 2 gives a child only the controllers that its parent names.
fn enable_controllers(parent: &Path) -> Result<()> {
    let Ok(available) = fs::read_to_string(parent.join("cgroup.controllers")) else { return Ok(()) };
    let wanted: Vec<String> = available.split_whitespace().map(|name| format!("+{name}")).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let file = parent.join("cgroup.subtree_control");
    fs::write(&file, wanted.join(" ")).with_context(|| format!("cannot write {}", file.display()))
}

/// Removes a node's cgroups after its power was cut: with stale ones about, cAdvisor waits seconds for each.
pub(super) fn remove_node(run: &str, node: &str) -> Result<()> {
    remove_all(&hierarchies()?.iter().map(|root| root.join(&node_path(run, node)[1..])).collect::<Vec<_>>())
}

/// Removes all cgroups of a run.
pub(super) fn remove_run(run: &str) -> Result<()> {
    remove_all(&hierarchies()?.iter().map(|root| root.join(&run_path(run)[1..])).collect::<Vec<_>>())
}

/// The runs that have cgroups, alive or not.
pub(super) fn runs() -> Result<Vec<RunId>> {
    let mut found: Vec<RunId> = Vec::new();
    for hierarchy in hierarchies()? {
        for entry in fs::read_dir(&hierarchy)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(RunId::parse);
            found.extend(id.filter(|id| !found.contains(id)));
        }
    }
    Ok(found)
}

/// A cgroup is busy until the kernel has buried the last process in it, so removal is tried until a deadline.
fn remove_all(trees: &[PathBuf]) -> Result<()> {
    let deadline = Instant::now() + limits::RESIDUE;
    loop {
        let last = trees.iter().filter_map(|tree| remove_tree(tree).err()).next_back();
        let Some(error) = last else { return Ok(()) };
        if Instant::now() > deadline {
            bail!("cgroups of a dead node or run cannot be removed within {:?}: {error}", limits::RESIDUE);
        }
        std::thread::sleep(limits::POLL);
    }
}

fn remove_tree(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The root of each hierarchy: one in version 2, one for each set of controllers in version 1.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_path_buf()]);
    }
    let entries =
        fs::read_dir(root).with_context(|| format!("{ROOT} cannot be read: are cgroups mounted?"))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Combined controllers have links beside the directory itself, which would name a hierarchy twice.
        if entry.file_type()?.is_dir() && entry.path().join("cgroup.procs").exists() {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        bail!("no cgroup hierarchy lies under {ROOT}: mount cgroups there");
    }
    Ok(found)
}
