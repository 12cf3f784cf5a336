//! From the journal back to the state: the last snapshot, then every entry after it.
//!
//! Deterministic, and to the byte the state that wrote them: the state's JSON has one form. What cannot be read is an
//! error that names the record; nothing is skipped, because an entry that is left out is an ordinal in two places.
//! Nothing observed is recovered: agents attach and say again what is so now.

use ferry_core::{Core, Entry, State};

use crate::journal::{self, Journal};

/// Why the state cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The snapshot's content.
    #[error(
        "the journal's snapshot is not a ledger that this controller understands ({0}): run the version that wrote it"
    )]
    Snapshot(#[source] serde_json::Error),
    /// An entry's content.
    #[error(
        "entry {index} after the journal's snapshot is not one that this controller understands ({source}): run the \
         version that wrote it"
    )]
    Entry {
        /// Its place, counted from 0.
        index: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What a journal gave back.
#[derive(Debug)]
pub struct Recovered {
    /// The core as the last commit left it.
    pub core: Core,
    /// Bytes of the snapshot; 0 if there was none.
    pub snapshot_bytes: u64,
    /// Bytes of the entries after it: what the next start reads again unless a snapshot replaces them.
    pub entry_bytes: u64,
}

/// Reads a journal whole.
pub fn recover(journal: &mut dyn Journal) -> Result<Recovered, Error> {
    let contents = journal.load()?;
    let mut state = match &contents.snapshot {
        Some(snapshot) => serde_json::from_slice(snapshot).map_err(Error::Snapshot)?,
        None => State::default(),
    };
    for (index, entry) in contents.entries.iter().enumerate() {
        let entry: Entry = serde_json::from_slice(entry).map_err(|source| Error::Entry { index, source })?;
        state.apply(&entry);
    }
    tracing::info!(
        entries = contents.entries.len(),
        snapshot = contents.snapshot.is_some(),
        "recovered the ledger"
    );
    Ok(Recovered {
        core: Core::new(state),
        snapshot_bytes: contents.snapshot.map_or(0, |snapshot| snapshot.len() as u64),
        entry_bytes: contents.entries.iter().map(|entry| entry.len() as u64).sum(),
    })
}
