//! The durable log of the core's entries, as a trait with one contract for every backend.
//!
//! What is stored: one snapshot of the state and the entries after it, each a versioned, checksummed record of bytes
//! that this module does not interpret. What a backend promises: `append` returns only when the whole batch is
//! durable, or fails and has kept none or all of it; `load` gives back exactly what was promised, or an error that
//! says what is damaged; one writer at a time; space bounded by the snapshot and what follows it.
//!
//! Audit records are kept in the same store, because one transaction must hold an entry and the record of it; they are
//! never replayed. After an error of `append` or `snapshot` nobody knows what is on the disk (a failed fsync may have dropped pages):
//! the caller must end the process and let a new one load what is really there. Only the event loop holds a journal.

mod embedded;
mod record;

pub use embedded::{Embedded, restore};

use std::{io, path::PathBuf};

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The state at the last snapshot; `None` before the first.
    pub snapshot: Option<Vec<u8>>,
    /// Entries after it, oldest first.
    pub entries: Vec<Vec<u8>>,
}

/// A record of the audit log with its number; numbers rise by one from 1.
pub type Numbered = (u64, Vec<u8>);

/// A durable log with snapshots, and an audit log beside it that snapshots do not touch.
pub trait Journal: Send {
    /// Everything that is durable: the last snapshot and the entries after it.
    fn load(&mut self) -> Result<Contents, Error>;

    /// Appends a batch and the audit records that belong to it; durable as a whole when it returns. Of the audit log
    /// the newest [`crate::limits::MAX_AUDIT_RECORDS`] are kept.
    fn append(&mut self, entries: &[Vec<u8>], audit: &[Vec<u8>]) -> Result<(), Error>;

    /// Audit records below the number `before` (none: from the newest on), newest first, at most `limit`.
    fn audit(&mut self, before: Option<u64>, limit: usize) -> Result<Vec<Numbered>, Error>;

    /// Replaces everything so far by `state`, in one step; durable when it returns.
    fn snapshot(&mut self, state: &[u8]) -> Result<(), Error>;
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error(
        "the journal {} is in use by another controller: stop that one first, or give this one another --data",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Damaged.
    #[error(
        "the journal {} is damaged ({found}): it was not changed. Stop, keep a copy, and restore the file from a \
         backup. Never start with an empty journal instead: clusters keep epochs that an empty ledger does not know",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        found: String,
    },
    /// Not there, or empty, where one was.
    #[error(
        "the journal {} is missing or empty, but this data directory was used before: it holds a CA. Restore the file \
         from a backup; to begin anew on purpose, use another --data. Clusters keep epochs that an empty ledger does \
         not know",
        path.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version.
    #[error(
        "the journal {} has format {found}; this controller reads format {expected}: run the version that wrote it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// No space.
    #[error(
        "no space for the journal {} while {doing}: {source}. Free space on that file system and start again; nothing \
         that was acknowledged is lost",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another failure of the file.
    #[error("the journal {} failed while {doing}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store refused for a reason of its own.
    #[error("the journal {} failed while {doing}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the store said.
        #[source]
        source: Box<redb::Error>,
    },
    /// A record beyond the bound.
    #[error("an entry of {found} bytes is beyond the journal's bound of {limit} bytes")]
    TooLarge {
        /// Its size, in bytes.
        found: usize,
        /// The bound, in bytes.
        limit: usize,
    },
}

#[cfg(test)]
#[path = "journal/contract_tests.rs"]
mod contract;
