//! The copy of the sources in which faults are planted, so that none ever stands in the repository itself.
//!
//! It is what git knows, uncommitted changes and new files included, and what it ignores left out. Only files that
//! differ are written, so that cargo builds again only what changed; what is gone from the repository goes here too.
//! A run that was cut off may have left a fault in the copy: the next one begins by making it equal again.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::ErrorKind,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// The copy.
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes the copy of the repository at `source` in `root`, and says the digest of what is in it.
    pub(crate) fn copy(source: &Path, root: PathBuf) -> Result<(Self, String)> {
        let files = listed(source)?;
        let mut digest = Sha256::new();
        for file in &files {
            let text = match fs::read(source.join(file)) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
            };
            if is_source(file) {
                digest.update(file.as_os_str().as_bytes());
                digest.update(Sha256::digest(&text));
            }
            write(&source.join(file), &root.join(file), &text)?;
        }
        forget(&root, Path::new(""), &files.iter().filter(|file| source.join(file).exists()).collect())?;
        Ok((Self { root }, format!("{:.16}", hexadecimal(&digest.finalize()))))
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file} of the copy"))
    }

    /// Changes a file.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.root.join(file), text).with_context(|| format!("cannot write {file} of the copy"))
    }
}

/// Files that git knows, or would if they were added.
fn listed(source: &Path) -> Result<BTreeSet<PathBuf>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed =
        Command::new("git").current_dir(source).args(listing).output().context("git does not run")?;
    ensure!(
        listed.status.success(),
        "git lists no files in {}: {}",
        source.display(),
        String::from_utf8_lossy(&listed.stderr)
    );
    let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
}

/// Whether what a file says can change what a test finds: documents do not.
fn is_source(file: &Path) -> bool {
    file.extension().is_none_or(|kind| kind != "md")
}

fn write(from: &Path, to: &Path, text: &[u8]) -> Result<()> {
    if fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let write = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::write(to, text)?;
        fs::set_permissions(to, fs::metadata(from)?.permissions())
    };
    write().with_context(|| format!("cannot write {}", to.display()))
}

/// Removes what is not in `files`; the build's own folder is not here.
fn forget(root: &Path, below: &Path, files: &BTreeSet<&PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            if !files.contains(&path) {
                fs::remove_file(entry.path())?;
            }
        } else if files.iter().any(|file| file.starts_with(&path)) {
            forget(root, &path, files)?;
        } else {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
