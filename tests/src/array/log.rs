//! The array's log: one JSON line for each operation, append-only, in the order in which the array decided.
//!
//! The log is the arbiter of "who held this disk when". Entries are numbered from 1 without gaps, over all
//! processes and clusters, because each is written under the array's lock (`store.rs`). A reader needs no lock:
//! it takes whole lines only and checks the numbers, so that a lost entry is an error and never a quiet gap.
//! What an entry means is decided by `rules.rs`; this file only carries it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::{LOG_POLL, MAX_LOG_LINE_BYTES};

/// What was asked of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A node plugin started.
    RegisterNode,
    /// CreateVolume.
    CreateVolume,
    /// DeleteVolume.
    DeleteVolume,
    /// ControllerExpandVolume.
    ExpandVolume,
    /// ControllerPublishVolume.
    Attach,
    /// ControllerUnpublishVolume.
    Detach,
    /// The first file system on a volume.
    Format,
    /// NodeStageVolume.
    Stage,
    /// NodeUnstageVolume.
    Unstage,
    /// NodePublishVolume.
    Publish,
    /// NodeUnpublishVolume.
    Unpublish,
    /// NodeExpandVolume.
    NodeExpand,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done; the array's state changed.
    Ok,
    /// Was so already; nothing changed.
    Repeat,
    /// Decided, the mount follows; from here on the seat counts as holding the volume.
    Begun,
    /// Against a rule; nothing changed.
    Refused,
    /// Allowed, and went wrong on the node.
    Failed,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Number of the entry, from 1 without gaps.
    pub seq: u64,
    /// When the array decided, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was asked.
    pub op: Op,
    /// How it went.
    pub outcome: Outcome,
    /// Handle of the volume; empty for operations on nodes and for creations that were refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub volume: String,
    /// The cluster whose driver asked.
    pub cluster: String,
    /// The node concerned, where there is one: its name in that cluster, or a whole CSI id of another cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Name of the PersistentVolume, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pv: Option<String>,
    /// `<namespace>/<name>` of the claim, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc: Option<String>,
    /// `<namespace>/<name>` of the pod, where the kubelet told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Whether any node has ever staged the volume: its deletion is the loss of a disk that held data.
    #[serde(default)]
    pub held_data: bool,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What rule the request would have broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// What else a reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why the log could not be read.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file could not be read.
    #[error("cannot read the array's log {path}")]
    Read {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not an entry.
    #[error("entry after {after} of {path} is damaged: {line:?}")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Number of the last good entry.
        after: u64,
        /// The line, as found.
        line: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The numbers jump.
    #[error("{path} goes from entry {after} to {found}; expected {}", after + 1)]
    Gap {
        /// The log.
        path: PathBuf,
        /// Number of the last good entry.
        after: u64,
        /// Number found instead of the next.
        found: u64,
    },
    /// A line has no end.
    #[error("entry after {after} of {path} is longer than {MAX_LOG_LINE_BYTES} bytes")]
    TooLong {
        /// The log.
        path: PathBuf,
        /// Number of the last good entry.
        after: u64,
    },
}

/// Reads the log from its beginning, and on as it grows.
#[derive(Debug)]
pub struct ArrayLog {
    path: PathBuf,
    offset: u64,
    seq: u64,
}

impl ArrayLog {
    /// A reader at the beginning of a log, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), offset: 0, seq: 0 }
    }

    /// The file that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries written since the last call, oldest first; empty when there are none.
    ///
    /// # Errors
    /// The file cannot be read, a line is no entry, or an entry is missing.
    pub fn poll(&mut self) -> Result<Vec<LogEntry>, LogError> {
        let read = |source| LogError::Read { path: self.path.clone(), source };
        let mut text = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.offset)).map_err(read)?;
                file.read_to_end(&mut text).map_err(read)?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(read(e)),
        }
        let mut entries = Vec::new();
        let mut rest = text.as_slice();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            entries.push(self.parse(&rest[..end])?);
            self.offset += end as u64 + 1;
            rest = &rest[end + 1..];
        }
        if rest.len() > MAX_LOG_LINE_BYTES {
            return Err(LogError::TooLong { path: self.path.clone(), after: self.seq });
        }
        Ok(entries)
    }

    /// As [`ArrayLog::poll`], but waits for at least one entry until the time is over.
    ///
    /// # Errors
    /// As [`ArrayLog::poll`].
    pub async fn wait(&mut self, timeout: Duration) -> Result<Vec<LogEntry>, LogError> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let entries = self.poll()?;
            if !entries.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok(entries);
            }
            tokio::time::sleep(LOG_POLL).await;
        }
    }

    fn parse(&mut self, line: &[u8]) -> Result<LogEntry, LogError> {
        let entry: LogEntry = serde_json::from_slice(line).map_err(|source| LogError::Damaged {
            path: self.path.clone(),
            after: self.seq,
            line: String::from_utf8_lossy(line).into_owned(),
            source,
        })?;
        if entry.seq != self.seq + 1 {
            return Err(LogError::Gap { path: self.path.clone(), after: self.seq, found: entry.seq });
        }
        self.seq = entry.seq;
        Ok(entry)
    }
}
