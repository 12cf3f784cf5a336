//! What an API server told earlier in a course of commands: what a stale cache would tell again.
//!
//! Kept for each read is its last answer in any earlier command, apart from those of the command that runs: what is told
//! again is the state before that command, as another replica of the API server may still have it. Reads of all commands
//! of one course share a [`Memory`]; it knows nothing of what the answers mean, but whether two say the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;

/// An answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The body as it came.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether the objects are others, or other versions.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.status != other.status || versions(&self.body) != versions(&other.body)
    }
}

/// uid and resourceVersion of the object, or of each one of a list.
fn versions(body: &Bytes) -> Vec<(String, String)> {
    let Ok(read) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let of = |object: &Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        (text("uid"), text("resourceVersion"))
    };
    match read["items"].as_array() {
        Some(items) => items.iter().map(of).collect(),
        None if read["kind"] == "Status" => Vec::new(),
        None => vec![of(&read)],
    }
}

/// Last answers of earlier commands. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<String, Known>>>);

#[derive(Debug, Default)]
struct Known {
    earlier: Option<Answer>,
    latest: Option<Answer>,
}

impl Memory {
    /// A command is over: what it was told is of the past.
    pub(crate) fn turn(&self) {
        for known in self.lock().values_mut() {
            if let Some(latest) = known.latest.take() {
                known.earlier = Some(latest);
            }
        }
    }

    /// What `read` was told in an earlier command.
    pub(crate) fn earlier(&self, read: &str) -> Option<Answer> {
        self.lock().get(read)?.earlier.clone()
    }

    /// Keeps what `read` was told now.
    pub(crate) fn keep(&self, read: &str, answer: &Answer) {
        self.lock().entry(read.to_owned()).or_default().latest = Some(answer.clone());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
