//! The disks themselves: sparse files, made blank, given a file system once, grown, deleted.
//!
//! A disk that has been formatted is never formatted again. Two independent facts guard that: the state says so,
//! and the file shows it (a superblock with the UUID the volume was created with, or any allocated block at
//! all). The file system is made in a file beside the image and renamed over it, so that a process killed in
//! between leaves the blank image, never half a file system.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::command::{CommandError, run};
use super::limits::GROWTH_SLACK_BYTES;
use super::model::Volume;

/// Offset of the ext4 superblock, and of fields within it (kernel: Documentation/filesystems/ext4/super.rst).
const SUPERBLOCK: usize = 1024;
const BLOCKS_LOW: usize = SUPERBLOCK + 0x4;
const LOG_BLOCK_SIZE: usize = SUPERBLOCK + 0x18;
const MAGIC: usize = SUPERBLOCK + 0x38;
const UUID: usize = SUPERBLOCK + 0x68;
const BLOCKS_HIGH: usize = SUPERBLOCK + 0x150;

/// Why a disk could not be used.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file operation failed.
    #[error("cannot {action} the image {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The image.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is lost.
    #[error("the image {path} held a file system and now holds {found}; it is left as it is")]
    Lost {
        /// The image.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// The disk holds something this array did not put there.
    #[error("the image {path} was never formatted by this array and holds {found}; it is left as it is")]
    Foreign {
        /// The image.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// A new disk attached read-only cannot be formatted.
    #[error("the image {path} is blank and attached read-only; attach it for writing once")]
    BlankReadonly {
        /// The image.
        path: PathBuf,
    },
    /// The file system could not be grown.
    #[error("cannot grow the file system of {path}")]
    Grow {
        /// The image.
        path: PathBuf,
        /// What e2fsck or resize2fs said.
        source: CommandError,
    },
    /// The file system could not be made.
    #[error("cannot make the file system of {path}")]
    Format {
        /// The image.
        path: PathBuf,
        /// What mkfs.ext4 said.
        source: CommandError,
    },
}

/// What an image file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is no file.
    Missing,
    /// No block was ever written.
    Blank,
    /// An ext4 superblock.
    Ext4 {
        /// The file system's UUID, as text.
        uuid: String,
        /// The file system's size in bytes.
        bytes: u64,
    },
    /// Written, and no ext4.
    Other,
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("nothing: the file is gone"),
            Self::Blank => f.write_str("nothing: no block was ever written"),
            Self::Ext4 { uuid, .. } => write!(f, "the ext4 file system {uuid}"),
            Self::Other => f.write_str("data without an ext4 superblock"),
        }
    }
}

/// Whether a handle is of the form this array makes, and so safe as a file name.
pub fn is_handle(handle: &str) -> bool {
    handle.strip_prefix("vol-").is_some_and(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Looks at an image file.
///
/// # Errors
/// The file cannot be read.
pub fn inspect(path: &Path) -> Result<Content, ImageError> {
    let error = |source| ImageError::File { action: "read", path: path.to_owned(), source };
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        Err(e) => return Err(error(e)),
    };
    if file.metadata().map_err(error)?.blocks() == 0 {
        return Ok(Content::Blank);
    }
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).map_err(error)?;
    Ok(superblock(&head).unwrap_or(Content::Other))
}

fn superblock(head: &[u8]) -> Option<Content> {
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    if head.get(MAGIC..MAGIC + 2)? != [0x53, 0xef] {
        return None;
    }
    let uuid = uuid_text(head.get(UUID..UUID + 16)?.try_into().ok()?);
    let blocks = u64::from(word(BLOCKS_HIGH)?) << 32 | u64::from(word(BLOCKS_LOW)?);
    let block_bytes = 1024_u64.checked_shl(word(LOG_BLOCK_SIZE)?)?;
    Some(Content::Ext4 { uuid, bytes: blocks.checked_mul(block_bytes)? })
}

/// Whether a file system of `bytes` fills a volume of `capacity_bytes`.
pub fn is_grown(bytes: u64, capacity_bytes: u64) -> bool {
    capacity_bytes.saturating_sub(bytes) < GROWTH_SLACK_BYTES
}

/// Makes the blank image, or grows the one that is there; never shrinks it. `size` in bytes.
///
/// # Errors
/// The file cannot be made or grown.
pub fn ensure_size(path: &Path, size: u64) -> Result<(), ImageError> {
    let error = |source| ImageError::File { action: "size", path: path.to_owned(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(error)?;
    if file.metadata().map_err(error)?.len() < size {
        file.set_len(size).map_err(error)?;
    }
    Ok(())
}

/// Deletes the image and what an interrupted format left of it; gone already is fine.
///
/// # Errors
/// The file cannot be deleted.
pub fn delete(path: &Path) -> Result<(), ImageError> {
    for path in [path.to_owned(), unfinished(path)] {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::File { action: "delete", path, source: e });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sees to it that the image, mounted nowhere, holds the volume's file system in full size; true when it was made
/// just now.
///
/// # Errors
/// The image holds anything else than it should, or a tool failed.
pub async fn ensure_formatted(path: &Path, volume: &Volume, readonly: bool) -> Result<bool, ImageError> {
    let found = inspect(path)?;
    match found {
        Content::Ext4 { uuid, bytes } if uuid == volume.fs_uuid => {
            if !readonly && !is_grown(bytes, volume.capacity_bytes) {
                grow(path, volume).await?;
            }
            Ok(false)
        }
        found if volume.formatted => {
            Err(ImageError::Lost { path: path.to_owned(), found: found.to_string() })
        }
        Content::Missing | Content::Blank if readonly => {
            Err(ImageError::BlankReadonly { path: path.to_owned() })
        }
        Content::Missing | Content::Blank => {
            format(path, volume).await?;
            Ok(true)
        }
        found => Err(ImageError::Foreign { path: path.to_owned(), found: found.to_string() }),
    }
}

async fn format(path: &Path, volume: &Volume) -> Result<(), ImageError> {
    let error = |action| move |source| ImageError::File { action, path: path.to_owned(), source };
    let fresh = unfinished(path);
    if let Err(e) = fs::remove_file(&fresh)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(error("clear the unfinished copy of")(e));
    }
    ensure_size(&fresh, volume.capacity_bytes)?;
    let file = fresh.to_string_lossy();
    let options = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
    run("mkfs.ext4", &["-q", "-F", "-m", "0", "-U", &volume.fs_uuid, "-E", options, &file])
        .await
        .map_err(|source| ImageError::Format { path: path.to_owned(), source })?;
    fs::rename(&fresh, path).map_err(error("put the file system into"))
}

/// Grows the file system of an image that is mounted nowhere to the volume's size.
async fn grow(path: &Path, volume: &Volume) -> Result<(), ImageError> {
    ensure_size(path, volume.capacity_bytes)?;
    let error = |source| ImageError::Grow { path: path.to_owned(), source };
    let file = path.to_string_lossy();
    match run("e2fsck", &["-f", "-p", &file]).await {
        // 1: errors were corrected, as after a power cut.
        Err(CommandError::Exit { status, .. }) if status.code() == Some(1) => {}
        checked => checked.map_err(error)?,
    }
    run("resize2fs", &[&file]).await.map_err(error)
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("img.mkfs")
}

/// A UUID of version 4, for a file system to come.
pub fn new_uuid() -> String {
    let mut raw: [u8; 16] = rand::random();
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    uuid_text(raw)
}

fn uuid_text(raw: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(raw));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
