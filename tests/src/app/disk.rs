//! A look at a member's own disk, through the mounts of its own process.
//!
//! `/proc/<pid>/root` is what the process sees: the file read there lies on the volume that this very member writes
//! to. The process is found by the UID of its pod, which the pod's environment carries; nothing of the kubelet's or
//! the driver's bookkeeping is believed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Writes a file onto a volume of the running pod, and syncs it.
///
/// # Errors
/// No process of that pod is found, or the file cannot be written.
pub fn write(pod_uid: &str, path: &str, content: &str) -> Result<()> {
    let path = root(pod_uid)?.join(path.trim_start_matches('/'));
    fs::write(&path, content).with_context(|| path.display().to_string())?;
    fs::File::open(&path)?.sync_all().with_context(|| path.display().to_string())
}

/// Reads a file from a volume of the running pod.
///
/// # Errors
/// No process of that pod is found, or the file cannot be read.
pub fn read(pod_uid: &str, path: &str) -> Result<String> {
    let path = root(pod_uid)?.join(path.trim_start_matches('/'));
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn root(pod_uid: &str) -> Result<PathBuf> {
    let wanted = format!("POD_UID={pod_uid}");
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        let Ok(environment) = fs::read(process.join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            return Ok(process.join("root"));
        }
    }
    anyhow::bail!(
        "no process of pod {pod_uid}: it ended, or its template lacks the environment variable POD_UID"
    )
}
