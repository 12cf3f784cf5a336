//! The directory of one run, and its name.
//!
//! A run is named after its outermost process: process number and start time, which together no other process
//! of this machine has until the next boot. So whoever finds a directory or a cgroup of that name can tell
//! whether its owner still lives, without a register that a crash could leave wrong.
//!
//! Inside: `log/` (what every process wrote; kept when the run fails), `proc/` (how each is started, and its
//! number), `node/` (the nodes' disks), `etcd/`, `pki/`, `array/`, and `world.json`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The variable that holds a run's directory for every process inside its world.
pub const WORLD_VARIABLE: &str = "FERRY_WORLD";

/// Where the directories of all runs lie: `$FERRY_WORLD_ROOT`, else `target/world` of this checkout.
pub(super) fn root() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    std::env::var_os("FERRY_WORLD_ROOT").map_or_else(|| checkout.join("target/world"), PathBuf::from)
}

/// Positions in `/proc/<pid>/stat` after the command's name: its fields 20 and 22.
const THREADS: usize = 17;
const START_TIME: usize = 19;

/// A run's name: `<process number>-<start time in clock ticks since boot>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId {
    pid: i32,
    start: u64,
}

impl RunId {
    /// The name of a run whose outermost process is this one.
    pub fn of_this_process() -> Result<Self> {
        let pid = nix::unistd::getpid().as_raw();
        let start = start_time(pid).context("this process has no /proc/self/stat")?;
        Ok(Self { pid, start })
    }

    /// Reads a name as [`RunId`]'s `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pid, start) = text.split_once('-')?;
        Some(Self { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// Whether the run's outermost process is still there; asked from outside of any world.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.pid, self.start)
    }
}

/// When process `pid` started, in clock ticks since boot; nothing if it is gone or only waits to be reaped.
///
/// A process whose first thread has ended while others still do counts as there: its sockets are open until then.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything: fields are counted after the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let threads: u32 = fields.get(THREADS)?.parse().ok()?;
    let ended = matches!(fields.first(), Some(&"Z" | &"X"));
    (!ended || threads > 1).then(|| fields.get(START_TIME)?.parse().ok()).flatten()
}

/// The first child of process `pid`, once it has one.
pub(super) fn first_child(pid: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Makes the directory of run `id`.
pub(super) fn create(id: &RunId) -> Result<PathBuf> {
    let dir = root().join(id.to_string());
    fs::create_dir_all(dir.join("log"))
        .with_context(|| format!("cannot make the run directory {}", dir.display()))?;
    dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))
}

#[cfg(test)]
#[path = "run_dir_tests.rs"]
mod tests;
