//! Where built programs lie, and how two builds keep out of each other's way.
//!
//! A folder of the cache is named after everything that went into it, so a changed `go.sum`, flag or compiler
//! is a new folder and never a stale program. A program appears in its folder by a rename, complete or not at
//! all: a reader needs no lock, a killed build leaves only a temporary file.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::limits;

const POLL: Duration = Duration::from_millis(200);
/// Hexadecimal digits of a key: 64 bits tell apart all that one machine ever builds.
const KEY_DIGITS: usize = 16;

/// The cache's root: `$FERRY_CACHE`, else `ferry` in the user's cache directory.
pub(super) fn root() -> Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = folder("FERRY_CACHE") {
        return Ok(dir);
    }
    if let Some(dir) = folder("XDG_CACHE_HOME") {
        return Ok(dir.join("ferry"));
    }
    let home =
        folder("HOME").context("neither FERRY_CACHE nor XDG_CACHE_HOME nor HOME is set: set FERRY_CACHE")?;
    Ok(home.join(".cache/ferry"))
}

/// A short name for `parts`: the same for the same parts in the same order, on every machine.
pub(super) fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(KEY_DIGITS);
    text
}

/// Holds the cache against other builds until it is dropped, or until its process ends, however it ends.
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Waits, within a bound, until no other process builds into the cache.
pub(super) fn lock(root: &Path) -> Result<Lock> {
    fs::create_dir_all(root).with_context(|| format!("cannot make the cache {}", root.display()))?;
    let path = root.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let deadline = Instant::now() + limits::LOCK;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                bail!("{} is still held by another build after {:?}", path.display(), limits::LOCK)
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    eprintln!("build: waiting for another build on {}", root.display());
                    told = true;
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Makes `path` by `write`, which is given a temporary name in the same folder; then renames it.
pub(super) fn atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = path.parent().with_context(|| format!("{} has no folder", path.display()))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let outcome = write(&temporary).and_then(|()| {
        fs::rename(&temporary, path).with_context(|| format!("cannot rename to {}", path.display()))
    });
    if outcome.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
