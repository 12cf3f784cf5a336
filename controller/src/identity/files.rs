//! Files that hold secrets: mode 0600, written whole or not at all.
//!
//! A new content goes to a sibling file, is flushed, and takes the name by rename; then the directory is flushed. A
//! crash leaves the old file or the new one, never a half. Reading is bounded, because a path may be given by hand.
//! The journal is not such a file: its store has its own way to be atomic, in the same private directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Too large to be what it should be.
    #[error("{} is larger than {limit} bytes: expected a PEM file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        limit: u64,
    },
    /// Writing.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Making a directory.
    #[error("cannot make the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Makes a directory and its parents, readable by the owner only.
pub fn make_private_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::Directory { path: path.to_owned(), source })
}

/// Reads a whole text file of at most `limit` bytes; `None` if there is no such file.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Option<String>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
    };
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(read)?;
    if text.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Some(text))
}

/// Writes a file of mode 0600 so that after a crash it holds the old content or the new one.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    replace(path, content).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let sibling = parent.join(name);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&sibling)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&sibling, path)
    })();
    if written.is_err() {
        let _best_effort = fs::remove_file(&sibling);
    }
    written?;
    File::open(parent)?.sync_all()
}
