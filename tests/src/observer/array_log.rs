//! The array's log as the arbiter: every refusal that the array calls a violation, and every deletion of a
//! disk.
//!
//! The log is JSON lines, appended by the array's processes under a lock. It is followed from its end at the
//! start of the observation, by looking at its length: the file lies on the same machine and a look costs a
//! `stat`. What it records was decided under the array's lock, so its order is the order of what happened, in
//! both clusters.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};
use tokio::sync::watch as signal;

use super::Shared;
use super::rules::{Invariant, Violation};
use crate::array::{LogEntry, Op, Outcome};

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn open_at_end(path: &Path) -> Result<File> {
    let mut file = tokio::fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .await
        .with_context(|| path.display().to_string())?;
    file.seek(SeekFrom::End(0)).await?;
    Ok(file)
}

pub(super) async fn follow(
    shared: Arc<Shared>,
    mut log: File,
    mut stopped: signal::Receiver<bool>,
) -> Result<()> {
    let mut pending = Vec::new();
    loop {
        let last = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            _ = stopped.changed() => true,
        };
        log.read_to_end(&mut pending).await?;
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let entry = serde_json::from_slice(&line).context("a line of the array's log")?;
            judge(&shared, &entry).await;
        }
        if last {
            return Ok(());
        }
    }
}

async fn judge(shared: &Shared, entry: &LogEntry) {
    let handle = entry.volume.as_str();
    if let Some(rule) = &entry.violation {
        let node = entry.node.as_deref().unwrap_or("-");
        let evidence = format!("the array refused {:?} in {}/{node}: {rule}", entry.op, entry.cluster);
        shared.call(Violation::new(Invariant::I1, format!("array {handle}"), evidence)).await;
    }
    let deleted = entry.op == Op::DeleteVolume && entry.outcome == Outcome::Ok;
    if deleted && shared.handles.lock().await.contains(handle) {
        let evidence = format!("the array deleted it for {}", entry.cluster);
        shared.call(Violation::new(Invariant::I7, format!("disk {handle}"), evidence)).await;
    }
}
