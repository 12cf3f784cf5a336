//! The array on disk: state, log and images in one directory that every driver process of every cluster opens.
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | flocked by one transaction at a time, over all processes |
//! | `state.json` | [`ArrayState`], replaced atomically |
//! | `array.log` | one JSON line for each operation ([`LogEntry`]) |
//! | `images/<handle>.img` | the disks, sparse files with ext4 |
//!
//! A transaction reads the state, asks `rules.rs`, and renames the new state over the old; that rename is the
//! decision. The state carries the transaction's log entries, so a process killed before it has appended them
//! leaves enough for the next transaction to complete the log: each decision is logged exactly once. Processes
//! are killed in tests, the machine is not: the state is not fsynced. What is mounted is not known here.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::limits::{LOCK_RETRY, LOCK_TIMEOUT, MAX_LOG_LINE_BYTES, MAX_LOG_TEXT_BYTES};
use super::log::{ArrayLog, LogEntry, Op, Outcome};
use super::model::{ArrayState, Seat};
use super::refusal::Refusal;
use super::rules::Granted;

/// Why the array's directory could not be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state is no state.
    #[error("the array's state {path} is damaged; expected JSON as this version writes it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The lock was held all the time.
    #[error("the array's lock {path} was held for {} s by another process", LOCK_TIMEOUT.as_secs())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// Who asks for what, as the log shows it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is asked.
    pub op: Op,
    /// The volume, or empty when it has no handle yet.
    pub volume: String,
    /// The cluster of the driver.
    pub cluster: String,
    /// The node, where one is concerned.
    pub node: Option<String>,
    /// `<namespace>/<name>` of the pod, where known.
    pub pod: Option<String>,
}

impl Asked {
    /// A request about a volume, without a node or a pod.
    pub fn new(op: Op, volume: impl Into<String>, cluster: impl Into<String>) -> Self {
        Self { op, volume: volume.into(), cluster: cluster.into(), node: None, pod: None }
    }

    /// The same, by a node or for one.
    pub fn on(mut self, seat: &Seat) -> Self {
        self.node = Some(seat.node.clone());
        self
    }

    /// The same, for the node of a CSI id; ids of other clusters stay whole.
    pub fn on_id(mut self, node_id: &str) -> Self {
        let own = node_id.strip_prefix(&self.cluster).and_then(|rest| rest.strip_prefix('/'));
        self.node = Some(own.unwrap_or(node_id).to_owned()).filter(|id| !id.is_empty());
        self
    }
}

/// One array, opened by one process.
#[derive(Clone, Debug)]
pub struct Array {
    dir: PathBuf,
}

impl Array {
    /// Opens the array in a directory, making an empty one where there is none.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let array = Self { dir: dir.into() };
        let images = array.dir.join("images");
        fs::create_dir_all(&images).map_err(|e| file_error("create", &images, e))?;
        let _lock = array.lock()?;
        let mut state = array.load()?;
        if state.array_id.is_empty() {
            state.array_id = format!("array-{:016x}", rand::random::<u64>());
            array.save(&state)?;
        }
        Ok(array)
    }

    /// The array in a directory that a driver has opened or will open, for reading; touches nothing.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The array's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the image of a volume is, whether or not the volume exists.
    pub fn image_path(&self, handle: &str) -> PathBuf {
        self.dir.join("images").join(format!("{handle}.img"))
    }

    /// A reader of the log from its beginning.
    pub fn log(&self) -> ArrayLog {
        ArrayLog::new(self.dir.join("array.log"))
    }

    /// The state as of the last decision; takes no lock and is never torn.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn state(&self) -> Result<ArrayState, StoreError> {
        self.load()
    }

    /// Decides one request under the array's lock and logs the decision.
    ///
    /// `rule` sees a copy of the state; when it refuses, the copy is dropped and the refusal is logged.
    /// `granted` is the outcome that the log gets for a change.
    ///
    /// # Errors
    /// The outer error is the array's; the inner one is the refusal.
    pub fn decide<T>(
        &self,
        mut asked: Asked,
        granted: Outcome,
        rule: impl FnOnce(&mut ArrayState) -> Result<Granted<T>, Refusal>,
    ) -> Result<Result<T, Refusal>, StoreError> {
        let _lock = self.lock()?;
        let before = self.load()?;
        self.complete_log(&before)?;
        let mut after = before.clone();
        let verdict = rule(&mut after);
        let mut entry = match &verdict {
            Ok(Granted { changed, note, .. }) => LogEntry {
                outcome: if *changed { granted } else { Outcome::Repeat },
                note: note.clone(),
                ..self.draft(&asked)
            },
            Err(refusal) => {
                after = before.clone();
                LogEntry {
                    outcome: Outcome::Refused,
                    error: Some(refusal.to_string()),
                    violation: refusal.violation(),
                    ..self.draft(&asked)
                }
            }
        };
        if entry.volume.is_empty() {
            // A creation gets its handle from the rule.
            let created = after.volumes.keys().find(|handle| !before.volumes.contains_key(*handle));
            asked.volume = created.cloned().unwrap_or_default();
            entry.volume.clone_from(&asked.volume);
        }
        if let Some(volume) = after.volumes.get(&entry.volume).or(before.volumes.get(&entry.volume)) {
            entry.pv.clone_from(&volume.pv);
            entry.pvc.clone_from(&volume.pvc);
            entry.held_data = volume.held_data;
        }
        self.commit(after, entry)?;
        Ok(verdict.map(|g| g.value))
    }

    /// Logs that an allowed operation went wrong on the node.
    ///
    /// # Errors
    /// The array cannot be written.
    pub fn record_failure(&self, asked: Asked, error: String) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let state = self.load()?;
        self.complete_log(&state)?;
        let volume = state.volumes.get(&asked.volume);
        let entry = LogEntry {
            outcome: Outcome::Failed,
            error: Some(error),
            pv: volume.and_then(|v| v.pv.clone()),
            pvc: volume.and_then(|v| v.pvc.clone()),
            held_data: volume.is_some_and(|v| v.held_data),
            ..self.draft(&asked)
        };
        self.commit(state, entry)
    }

    fn draft(&self, asked: &Asked) -> LogEntry {
        LogEntry {
            seq: 0,
            at_ms: now_ms(),
            op: asked.op,
            outcome: Outcome::Ok,
            volume: asked.volume.clone(),
            cluster: asked.cluster.clone(),
            node: asked.node.clone(),
            pv: None,
            pvc: None,
            pod: asked.pod.clone(),
            held_data: false,
            error: None,
            violation: None,
            note: None,
        }
    }

    fn commit(&self, mut state: ArrayState, mut entry: LogEntry) -> Result<(), StoreError> {
        state.seq += 1;
        entry.seq = state.seq;
        for text in [&mut entry.error, &mut entry.violation, &mut entry.note].into_iter().flatten() {
            text.truncate(text.floor_char_boundary(MAX_LOG_TEXT_BYTES));
        }
        state.unlogged = vec![entry];
        self.save(&state)?;
        self.complete_log(&state)
    }

    /// Appends the entries of the newest transaction that the log lacks, and cuts off a line cut short.
    fn complete_log(&self, state: &ArrayState) -> Result<(), StoreError> {
        let path = self.dir.join("array.log");
        let error = |e| file_error("complete", &path, e);
        let mut log = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(error)?;
        let (end, last) = last_entry(&mut log).map_err(error)?;
        let missing: Vec<_> = state.unlogged.iter().filter(|e| e.seq > last).collect();
        if missing.is_empty() && log.metadata().map_err(error)?.len() == end {
            return Ok(());
        }
        log.set_len(end).map_err(error)?;
        log.seek(SeekFrom::Start(end)).map_err(error)?;
        let mut text = Vec::new();
        for entry in missing {
            serde_json::to_writer(&mut text, entry).map_err(|e| error(e.into()))?;
            text.push(b'\n');
        }
        log.write_all(&text).map_err(error)
    }

    fn lock(&self) -> Result<File, StoreError> {
        let path = self.dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| file_error("open", &path, e))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
                Err(TryLockError::Error(e)) => return Err(file_error("lock", &path, e)),
            }
        }
    }

    fn load(&self) -> Result<ArrayState, StoreError> {
        let path = self.dir.join("state.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| StoreError::Damaged { path, source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(ArrayState::default()),
            Err(e) => Err(file_error("read", &path, e)),
        }
    }

    fn save(&self, state: &ArrayState) -> Result<(), StoreError> {
        let path = self.dir.join("state.json");
        let next = self.dir.join("state.json.next");
        let text = serde_json::to_vec_pretty(state)
            .map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        fs::write(&next, text).map_err(|e| file_error("write", &next, e))?;
        fs::rename(&next, &path).map_err(|e| file_error("replace", &path, e))
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::File { action, path: path.to_owned(), source }
}

/// Where the last whole line of the log ends, and its number (0 in an empty log).
fn last_entry(log: &mut File) -> io::Result<(u64, u64)> {
    use std::io::Read;
    let length = log.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(2 * MAX_LOG_LINE_BYTES as u64);
    log.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    log.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|b| *b == b'\n') else {
        return Ok((start, 0));
    };
    let begin = tail[..end].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let entry: LogEntry = serde_json::from_slice(&tail[begin..end])?;
    Ok((start + end as u64 + 1, entry.seq))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
