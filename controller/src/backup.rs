//! Backups of a controller, and what becomes of one.
//!
//! A backup is one file: the ledger, the audit log and our own CA with its key, as of one moment between two commits. It is
//! as secret as the data directory, so it is handed out locally only: the running controller serves it on a Unix socket of
//! mode 0600 in that directory ([`socket`]), and the file has the mode 0600 too. A stopped controller's journal is read
//! directly.
//!
//! A restore makes a new data directory. The ledger's restore generation rises by one, so that the clusters refuse what the
//! controller of before, should it still run, or a copy of it would command (H18); join tokens of the backup are void, since
//! they may have been used after it was made. What happened in the clusters after the backup is not in it: agents say it when
//! they attach, and an epoch that a cluster keeps above the ledger's stops whatever the ledger would repeat.

mod format;
mod restore;
mod socket;

use std::{io, path::PathBuf};

pub use format::{Backup, Head};
pub use restore::{Restored, restore};
pub use socket::Server;

use crate::{
    event_loop, identity, journal,
    serve::{self, Options},
};

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The running controller cannot be asked.
    #[error("cannot ask the controller on {}: {source}", path.display())]
    Ask {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("the controller made no backup: {0}")]
    Refused(String),
    /// The socket cannot be served.
    #[error("cannot serve backups on {}: {source}", path.display())]
    Serve {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] identity::files::Error),
    /// Standard output.
    #[error("cannot write the backup to standard output: {0}")]
    Output(#[source] io::Error),
    /// Reading the backup.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not one.
    #[error(
        "{name} is no backup of a Ferry controller: {found}. Expected a file that `ferry-controller backup` wrote"
    )]
    Foreign {
        /// Where it came from.
        name: String,
        /// What was found.
        found: String,
    },
    /// Of another version.
    #[error(
        "{name} is a backup of format {found}; this controller ({version}) reads format {expected}: restore it with the \
         version that wrote it",
        version = env!("CARGO_PKG_VERSION")
    )]
    Format {
        /// Where it came from.
        name: String,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Damaged.
    #[error(
        "{name} is damaged ({found}): nothing was restored. Expected the file as it was written; take another copy"
    )]
    Damaged {
        /// Where it came from.
        name: String,
        /// What does not fit.
        found: String,
    },
    /// Its ledger is of another version.
    #[error(
        "the ledger in {name}, written by version {version}, is not understood by this controller ({source}): restore it \
         with the version that wrote it"
    )]
    Ledger {
        /// Where it came from.
        name: String,
        /// The version that wrote it.
        version: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is a ledger already.
    #[error(
        "{} holds a journal already: a restore never replaces one. Expected a new directory, or one whose journal is lost; \
         to go back on purpose, stop its controller and move the directory away",
        dir.display()
    )]
    Occupied {
        /// The directory.
        dir: PathBuf,
    },
    /// Another controller's directory.
    #[error(
        "{} belongs to another controller: its CA is {found}, the backup's {expected}. Agents and people of one do not trust \
         the other. Expected a new directory, or the one that the backup was made of",
        dir.display()
    )]
    OtherIdentity {
        /// The directory.
        dir: PathBuf,
        /// SHA-256 of its CA's certificate, its beginning.
        found: String,
        /// The backup's.
        expected: String,
    },
    /// The event loop could not make a copy.
    #[error(transparent)]
    Copy(#[from] event_loop::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The journal or the CA of a stopped controller.
    #[error(transparent)]
    Stopped(#[from] Box<serve::Error>),
    /// The CA of the directory.
    #[error(transparent)]
    Authority(#[from] identity::authority::Error),
    /// What is in memory could not be written as JSON.
    #[error("cannot encode the backup: {0}")]
    Encode(#[source] serde_json::Error),
}

/// The content of a backup of the controller on the data directory: of the one that runs there, else of its journal.
pub fn take(options: &Options) -> Result<Vec<u8>, Error> {
    if let Some(bytes) = socket::fetch(&options.data)? {
        return Ok(bytes);
    }
    let (copy, authority) = serve::stopped(options)?;
    let ca = if options.ca.is_none() {
        restore::read_ca(&identity::authority::path(&options.data))?
    } else {
        None
    };
    Backup::new(copy, authority.trust_domain(), ca, authority.sha256()).to_bytes()
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
