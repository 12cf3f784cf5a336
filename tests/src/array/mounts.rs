//! What is mounted: mounting an image, binding it into a pod's directory, and asking the kernel who has it.
//!
//! Loop devices belong to the kernel, not to a mount namespace: a node sees those of all nodes, also of nodes
//! whose mounts it cannot see. That makes them the proof this array relies on: an image without a loop device is
//! mounted nowhere. They are found by the image's file name, which holds a random handle; the rest of the path
//! looks different from namespace to namespace. Loop devices are autoclear, so a node that is killed leaves none
//! once the kernel has taken down its mounts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use thiserror::Error;

use super::command::{CommandError, run};
use super::limits::{MOUNT_ATTEMPTS, MOUNT_RETRY, RELEASE_POLL, RELEASE_TIMEOUT, STACKED_MOUNTS};

const NONE: Option<&str> = None;

/// Why a mount did not come about, or did not go away.
#[derive(Debug, Error)]
pub enum MountError {
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image could not be mounted.
    #[error("cannot mount {image} at {path}")]
    Mount {
        /// The image.
        image: PathBuf,
        /// The staging path.
        path: PathBuf,
        /// What mount said.
        source: CommandError,
    },
    /// Something that is not this volume is mounted there.
    #[error(
        "{source_found} is mounted at {path}, where volume {handle} was expected or nothing; unmount it first"
    )]
    Occupied {
        /// The path.
        path: PathBuf,
        /// The volume.
        handle: String,
        /// What is mounted.
        source_found: String,
    },
    /// More mounts on a path than this driver ever makes.
    #[error("{path} is still a mount point after {STACKED_MOUNTS} unmounts; look who mounts there")]
    Stacked {
        /// The path.
        path: PathBuf,
    },
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MountError {
    move |source| MountError::File { action, path: path.to_owned(), source }
}

/// One line of /proc/self/mountinfo, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Where it is mounted.
    pub path: PathBuf,
    /// What is mounted: a device for a file system on one.
    pub source: String,
}

/// The mounts of this mount namespace, in mount order.
///
/// # Errors
/// /proc is not there.
pub fn mount_points() -> Result<Vec<MountPoint>, MountError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(path).map_err(file_error("read", path))?;
    Ok(text.lines().filter_map(parse_mount).collect())
}

/// Fields of mountinfo (proc_pid_mountinfo(5)): the fifth is the mount point; after " - " come type and source.
fn parse_mount(line: &str) -> Option<MountPoint> {
    let (left, right) = line.split_once(" - ")?;
    let path = unescape(left.split(' ').nth(4)?);
    let source = unescape(right.split(' ').nth(1)?);
    Some(MountPoint { path: PathBuf::from(path), source })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

/// The topmost mount at a path, if it is a mount point.
///
/// # Errors
/// /proc is not there.
pub fn mounted_at(path: &Path) -> Result<Option<MountPoint>, MountError> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Ok(mount_points()?.into_iter().rev().find(|m| m.path == path))
}

/// The loop devices that back onto a volume's image, in any namespace of this kernel.
///
/// # Errors
/// /sys is not there.
pub fn devices_of(handle: &str) -> Result<Vec<String>, MountError> {
    let dir = Path::new("/sys/block");
    let name = format!("/{handle}.img");
    let mut devices = Vec::new();
    for entry in fs::read_dir(dir).map_err(file_error("list", dir))? {
        let entry = entry.map_err(file_error("list", dir))?;
        // The attribute exists only while the device is bound.
        let Ok(backing) = fs::read_to_string(entry.path().join("loop/backing_file")) else { continue };
        if backing.trim_end().ends_with(&name) {
            devices.push(format!("/dev/{}", entry.file_name().to_string_lossy()));
        }
    }
    devices.sort();
    Ok(devices)
}

/// Whether the mount at a path is this volume's image.
///
/// # Errors
/// /proc or /sys is not there.
pub fn has_volume(path: &Path, handle: &str) -> Result<bool, MountError> {
    let devices = devices_of(handle)?;
    Ok(mounted_at(path)?.is_some_and(|m| devices.contains(&m.source)))
}

/// Makes sure that nothing is mounted at a path.
///
/// # Errors
/// Something is.
fn ensure_free(path: &Path, handle: &str) -> Result<(), MountError> {
    match mounted_at(path)? {
        Some(mount) => Err(MountError::Occupied {
            path: path.to_owned(),
            handle: handle.to_owned(),
            source_found: mount.source,
        }),
        None => Ok(()),
    }
}

/// Mounts an image at a path through an autoclear loop device.
///
/// # Errors
/// The mount failed, also after other nodes stopped taking the loop device away.
pub async fn mount_image(
    image: &Path,
    handle: &str,
    path: &Path,
    flags: &[String],
    readonly: bool,
) -> Result<(), MountError> {
    fs::create_dir_all(path).map_err(file_error("create", path))?;
    ensure_free(path, handle)?;
    let mut options = vec!["loop".to_owned()];
    options.extend(readonly.then(|| "ro".to_owned()));
    options.extend(flags.iter().cloned());
    let (options, image_arg, path_arg) = (options.join(","), image.to_string_lossy(), path.to_string_lossy());
    let args = ["-t", "ext4", "-o", &options, &image_arg, &path_arg];
    let mut attempt = 1;
    loop {
        ensure_loop_nodes()?;
        match run("mount", &args).await {
            Ok(()) => return Ok(()),
            Err(CommandError::Exit { stderr, .. })
                if attempt < MOUNT_ATTEMPTS && stderr.contains("loop device") =>
            {
                tracing::warn!(%stderr, attempt, "no loop device; trying again");
                attempt += 1;
                tokio::time::sleep(MOUNT_RETRY).await;
            }
            Err(source) => {
                return Err(MountError::Mount { image: image.to_owned(), path: path.to_owned(), source });
            }
        }
    }
}

/// Makes the device files of loop devices that the kernel has and /dev lacks, as it does where /dev is no devtmpfs.
fn ensure_loop_nodes() -> Result<(), MountError> {
    make_node(Path::new("/dev/loop-control"), SFlag::S_IFCHR, 10, 237)?;
    let dir = Path::new("/sys/block");
    for entry in fs::read_dir(dir).map_err(file_error("list", dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(numbers) = fs::read_to_string(entry.path().join("dev")) else { continue };
        let Some((major, minor)) = numbers.trim().split_once(':') else { continue };
        if let (true, Ok(major), Ok(minor)) = (name.starts_with("loop"), major.parse(), minor.parse()) {
            make_node(&Path::new("/dev").join(name), SFlag::S_IFBLK, major, minor)?;
        }
    }
    Ok(())
}

fn make_node(path: &Path, kind: SFlag, major: u64, minor: u64) -> Result<(), MountError> {
    if path.exists() {
        return Ok(());
    }
    match mknod(path, kind, Mode::S_IRUSR | Mode::S_IWUSR, makedev(major, minor)) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(e) => Err(file_error("make", path)(e.into())),
    }
}

/// Binds a staged directory to a target path; the target directory is made.
///
/// # Errors
/// The bind mount failed.
pub fn bind(staging: &Path, target: &Path, handle: &str, readonly: bool) -> Result<(), MountError> {
    fs::create_dir_all(target).map_err(file_error("create", target))?;
    ensure_free(target, handle)?;
    mount(Some(staging), target, NONE, MsFlags::MS_BIND, NONE)
        .map_err(|e| file_error("bind the volume to", target)(e.into()))?;
    if readonly {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        if let Err(e) = mount(NONE, target, NONE, flags, NONE) {
            unmount(target, handle)?;
            return Err(file_error("make read-only", target)(e.into()));
        }
    }
    Ok(())
}

/// Unmounts a volume from a path; nothing mounted is fine.
///
/// # Errors
/// Something else is mounted there, the file system is busy, or the unmount failed.
pub fn unmount(path: &Path, handle: &str) -> Result<(), MountError> {
    for _ in 0..STACKED_MOUNTS {
        if !has_volume(path, handle)? {
            return ensure_free(path, handle);
        }
        umount2(path, MntFlags::UMOUNT_NOFOLLOW).map_err(|e| file_error("unmount", path)(e.into()))?;
    }
    Err(MountError::Stacked { path: path.to_owned() })
}

/// Waits until the kernel has let go of a volume's image; the devices that still have it when the time is over.
///
/// # Errors
/// /sys is not there.
pub async fn released(handle: &str) -> Result<Vec<String>, MountError> {
    let started = Instant::now();
    loop {
        let devices = devices_of(handle)?;
        if devices.is_empty() || started.elapsed() > RELEASE_TIMEOUT {
            return Ok(devices);
        }
        tokio::time::sleep(RELEASE_POLL).await;
    }
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
