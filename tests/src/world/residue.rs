//! What a dead run leaves behind, and its removal.
//!
//! Namespaces take processes, mounts, links and routes with them. What stays is a run's cgroups, loop devices
//! whose detach the kernel had not finished, and its directory. The outermost process of a run removes its own
//! at the end; if it was killed itself, the next run (or `ferry-world sweep`) does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{
    cgroup, limits,
    run_dir::{self, RunId},
    system::call,
};

/// What remains of a run's directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing: the run succeeded.
    Nothing,
    /// The logs and the state: someone will want to know.
    Logs,
}

/// Removes what is left of run `id`, whose processes are gone.
pub(super) fn clear(id: &RunId, keep: Keep) -> Result<()> {
    cgroup::remove_run(&id.to_string())?;
    let dir = run_dir::root().join(id.to_string());
    let dir = dir.canonicalize().unwrap_or(dir);
    release_loops(&dir)?;
    match keep {
        Keep::Nothing => remove(&dir),
        Keep::Logs => {
            for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
                let path = entry?.path();
                if !path.ends_with("log") && !path.ends_with("world.json") {
                    remove(&path)?;
                }
            }
            Ok(())
        }
    }
}

/// Clears after every run that has died without doing so itself, and drops the oldest kept logs. The result is
/// the runs that were cleared. Called from outside of any world.
pub fn sweep() -> Result<Vec<RunId>> {
    if std::env::var_os(run_dir::WORLD_VARIABLE).is_some() {
        bail!("a sweep runs outside of worlds only: from inside, every run looks dead");
    }
    let mut dead: Vec<RunId> = cgroup::runs()?.into_iter().filter(|id| !id.is_alive()).collect();
    let mut kept = Vec::new();
    for (id, dir) in run_directories()? {
        if id.is_alive() {
            continue;
        }
        if dir.join("proc").exists() && !dead.contains(&id) {
            dead.push(id.clone());
        }
        kept.push(dir);
    }
    for id in &dead {
        let has_logs = run_dir::root().join(id.to_string()).join("log").exists();
        clear(id, if has_logs { Keep::Logs } else { Keep::Nothing })
            .with_context(|| format!("cannot clear after run {id}"))?;
    }
    kept.sort_by_key(|dir| fs::metadata(dir).and_then(|meta| meta.modified()).ok());
    for dir in kept.iter().take(kept.len().saturating_sub(limits::KEPT_RUNS)) {
        remove(dir)?;
    }
    Ok(dead)
}

fn run_directories() -> Result<Vec<(RunId, PathBuf)>> {
    let Ok(entries) = fs::read_dir(run_dir::root()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(id) = entry.file_name().to_str().and_then(RunId::parse) {
            found.push((id, entry.path()));
        }
    }
    Ok(found)
}

/// Detaches the loop devices whose files lie in `dir`, and waits until the kernel has done so.
fn release_loops(dir: &Path) -> Result<()> {
    let deadline = Instant::now() + limits::RESIDUE;
    loop {
        let devices = loops_of(dir)?;
        if devices.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("loop devices of a dead run are still attached: {devices:?}; `losetup -l` shows them");
        }
        for device in &devices {
            // It may be gone by now: what counts is the next look.
            let _ = call(Command::new("losetup").arg("-d").arg(device), "");
        }
        std::thread::sleep(limits::POLL);
    }
}

fn loops_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block").context("cannot list block devices")? {
        let name = entry?.file_name();
        let backing = Path::new("/sys/block").join(&name).join("loop/backing_file");
        if fs::read_to_string(backing).is_ok_and(|file| Path::new(file.trim_end()).starts_with(dir)) {
            found.push(Path::new("/dev").join(name));
        }
    }
    Ok(found)
}

fn remove(path: &Path) -> Result<()> {
    let outcome = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
