//! The journal in one file of this machine, on redb: the default.
//!
//! Four tables: `meta` (format, next sequence number), `snapshot` (at most one record), `entries` (by sequence number)
//! and `audit` (see [`audit`]). A batch is one transaction with immediate durability, so that inputs which arrived together share one
//! fsync. Pages of entries that a snapshot replaced are used again: the file grows to about twice what it holds.
//!
//! After a crash the newest commit whose checksums hold is the truth. So a last commit that is damaged after a kill is
//! taken for one that the kill cut off; telling the two apart would cost a second fsync for each commit, and epochs
//! kept in the clusters refuse what such a ledger would command again (H18).
//!
//! The lock is redb's own on the file; a second controller is told so. The whole file is checked on open, since redb
//! trusts it afterwards, and the count of records is compared with the sequence numbers that `meta` promises.

mod audit;

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    backends::FileBackend,
};

use super::{Contents, Error, Journal, Numbered, record};
use crate::limits;

/// Name of the file in the data directory.
const FILE: &str = "journal.redb";
/// Version of the tables' layout.
const FORMAT: u32 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SNAPSHOT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshot");
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META_FORMAT: &str = "format";
/// Sequence number that the next record gets.
const META_NEXT: &str = "next";
/// Sequence number of the first entry after the snapshot.
const META_FIRST: &str = "first";

/// A journal in a file.
pub struct Embedded {
    database: Database,
    path: PathBuf,
    /// Sequence number of the next record.
    next: u64,
}

/// Makes the journal of a restored ledger in the directory `dir`, where none is: whole, or not at all.
pub fn restore(dir: &Path, state: &[u8], audit: &[Numbered]) -> Result<(), Error> {
    let scratch = dir.join(format!("restoring.{}", std::process::id()));
    let made = in_scratch(&scratch, &dir.join(FILE), state, audit);
    // What it holds is of no use, whether it was moved away or not.
    let _best_effort = std::fs::remove_dir_all(&scratch);
    made
}

fn in_scratch(scratch: &Path, target: &Path, state: &[u8], audit: &[Numbered]) -> Result<(), Error> {
    let fail = |source| Error::Io { path: target.to_owned(), doing: "restoring it", source };
    std::fs::create_dir_all(scratch).map_err(fail)?;
    let mut journal = Embedded::open_with(scratch, true)?;
    journal.snapshot(state)?;
    let doing = "restoring its audit log";
    journal.put_audit(audit).map_err(|error| classify(target, doing, error))?;
    drop(journal);
    std::fs::rename(scratch.join(FILE), target).map_err(fail)?;
    let parent = target.parent().unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(fail)
}

impl Embedded {
    /// Whether the directory `dir` has a journal.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Opens the journal in the directory `dir`, or begins one where none is.
    pub fn open_or_begin(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, true)
    }

    /// Opens the journal in the directory `dir`, where one must be.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, false)
    }

    fn open_with(dir: &Path, may_begin: bool) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let doing = "opening it";
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|source| classify(&path, doing, redb::Error::Io(source)))?;
        let open = || {
            let backend = FileBackend::new(file)?;
            Builder::new().set_check_integrity_on_open(true).create_with_backend(backend)
        };
        let database = match guarded(&path, open)? {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Err(Error::InUse { path });
            }
            Err(DatabaseError::RepairAborted) => {
                return Err(Error::Damaged { path, found: "it could not be repaired".to_owned() });
            }
            Err(error) => return Err(classify(&path, doing, error.into())),
        };
        let mut journal = Self { database, path, next: 0 };
        journal.next = journal.begin(may_begin)?;
        Ok(journal)
    }

    /// Reads the format and the next sequence number; writes them into a new file.
    fn begin(&self, may_begin: bool) -> Result<u64, Error> {
        let doing = "opening it";
        let fail = |error: redb::Error| classify(&self.path, doing, error);
        let transaction = self.database.begin_write().map_err(|error| fail(error.into()))?;
        let next;
        {
            let mut meta = transaction.open_table(META).map_err(|error| fail(error.into()))?;
            let stored = |key| -> Result<Option<u64>, Error> {
                Ok(meta.get(key).map_err(|error| fail(error.into()))?.map(|value| value.value()))
            };
            match (stored(META_FORMAT)?, stored(META_NEXT)?) {
                (Some(format), Some(stored)) if format == u64::from(FORMAT) => next = stored,
                (Some(format), _) if format != u64::from(FORMAT) => {
                    let found = u32::try_from(format).unwrap_or(u32::MAX);
                    return Err(Error::Format { path: self.path.clone(), found, expected: FORMAT });
                }
                (None, None) if !may_begin => return Err(Error::Lost { path: self.path.clone() }),
                (None, None) => {
                    next = 0;
                    for (key, value) in [(META_FORMAT, u64::from(FORMAT)), (META_NEXT, 0), (META_FIRST, 0)] {
                        meta.insert(key, value).map_err(|error| fail(error.into()))?;
                    }
                    transaction.open_table(SNAPSHOT).map_err(|error| fail(error.into()))?;
                    transaction.open_table(ENTRIES).map_err(|error| fail(error.into()))?;
                }
                _ => return Err(self.damaged("its head is incomplete")),
            }
        }
        // Journals of before there was an audit log get an empty one.
        transaction.open_table(audit::TABLE).map_err(|error| fail(error.into()))?;
        transaction.commit().map_err(|error| fail(error.into()))?;
        Ok(next)
    }

    fn damaged(&self, found: impl Into<String>) -> Error {
        Error::Damaged { path: self.path.clone(), found: found.into() }
    }

    fn opened(&self, sequence: u64, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        match record::open(sequence, bytes) {
            Ok(payload) => Ok(payload.to_vec()),
            Err(record::Flaw::Format(found)) => Err(Error::Format {
                path: self.path.clone(),
                found: found.into(),
                expected: record::FORMAT.into(),
            }),
            Err(record::Flaw::Short) => Err(self.damaged(format!("record {sequence} is cut off"))),
            Err(record::Flaw::Checksum) => {
                Err(self.damaged(format!("the checksum of record {sequence} does not fit")))
            }
        }
    }

    fn read(&self) -> Result<Result<Contents, Error>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let first = meta.get(META_FIRST)?.map_or(0, |value| value.value());
        let snapshots = transaction.open_table(SNAPSHOT)?;
        let mut contents = Contents::default();
        for stored in snapshots.iter()? {
            let (sequence, bytes) = stored?;
            match self.opened(sequence.value(), bytes.value()) {
                Ok(payload) => contents.snapshot = Some(payload),
                Err(error) => return Ok(Err(error)),
            }
        }
        let entries = transaction.open_table(ENTRIES)?;
        let mut expected = first;
        for stored in entries.iter()? {
            let (sequence, bytes) = stored?;
            if sequence.value() != expected {
                return Ok(Err(self.damaged(format!("record {expected} is missing"))));
            }
            match self.opened(expected, bytes.value()) {
                Ok(payload) => contents.entries.push(payload),
                Err(error) => return Ok(Err(error)),
            }
            expected += 1;
        }
        if expected != self.next {
            return Ok(Err(self.damaged(format!("record {expected} is missing"))));
        }
        if first > 0 && contents.snapshot.is_none() {
            return Ok(Err(self.damaged("its snapshot is missing")));
        }
        Ok(Ok(contents))
    }

    fn write(&self, records: &[Vec<u8>], audit: &[Vec<u8>]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            let mut sequence = self.next;
            for record in records {
                entries.insert(sequence, record.as_slice())?;
                sequence += 1;
            }
            transaction.open_table(META)?.insert(META_NEXT, sequence)?;
        }
        audit::append(&transaction, audit)?;
        transaction.commit()?;
        Ok(())
    }

    fn replace(&self, record: &[u8]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.delete_table(ENTRIES)?;
        transaction.open_table(ENTRIES)?;
        transaction.delete_table(SNAPSHOT)?;
        transaction.open_table(SNAPSHOT)?.insert(self.next, record)?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_FIRST, self.next + 1)?;
            meta.insert(META_NEXT, self.next + 1)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Journal for Embedded {
    fn load(&mut self) -> Result<Contents, Error> {
        guarded(&self.path, || self.read())?.map_err(|error| classify(&self.path, "reading it", error))?
    }

    fn append(&mut self, entries: &[Vec<u8>], audit: &[Vec<u8>]) -> Result<(), Error> {
        if entries.is_empty() && audit.is_empty() {
            return Ok(());
        }
        if let Some(found) =
            entries.iter().chain(audit).map(Vec::len).find(|&size| size > limits::MAX_RECORD_BYTES)
        {
            return Err(Error::TooLarge { found, limit: limits::MAX_RECORD_BYTES });
        }
        let records: Vec<Vec<u8>> =
            (self.next..).zip(entries).map(|(sequence, entry)| record::seal(sequence, entry)).collect();
        self.write(&records, audit).map_err(|error| classify(&self.path, "committing a batch", error))?;
        self.next += entries.len() as u64;
        Ok(())
    }

    fn audit(&mut self, before: Option<u64>, limit: usize) -> Result<Vec<Numbered>, Error> {
        guarded(&self.path, || self.read_audit(before, limit))?
            .map_err(|error| classify(&self.path, "reading the audit log", error))?
    }

    fn snapshot(&mut self, state: &[u8]) -> Result<(), Error> {
        let record = record::seal(self.next, state);
        self.replace(&record).map_err(|error| classify(&self.path, "writing a snapshot", error))?;
        self.next += 1;
        Ok(())
    }
}

/// Runs what may meet pages that redb asserts on: a panic there is damage of the file.
fn guarded<T>(path: &Path, run: impl FnOnce() -> T) -> Result<T, Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|_| Error::Damaged {
        path: path.to_owned(),
        found: "its pages contradict each other".to_owned(),
    })
}

/// Which of our errors an error of the store is.
fn classify(path: &Path, doing: &'static str, error: redb::Error) -> Error {
    let path = path.to_owned();
    match error {
        redb::Error::Corrupted(found) => Error::Damaged { path, found },
        redb::Error::Io(source) => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Error::Full { path, doing, source }
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Error::Damaged { path, found: source.to_string() }
            }
            _ => Error::Io { path, doing, source },
        },
        redb::Error::UpgradeRequired(found) => {
            Error::Damaged { path, found: format!("it has the store's file format {found}") }
        }
        redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_) => {
            Error::Damaged { path, found: error.to_string() }
        }
        other => Error::Store { path, doing, source: Box::new(other) },
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
