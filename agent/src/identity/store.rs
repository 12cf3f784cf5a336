//! Keeps the key and the certificate in the state directory, in one file that is replaced as a whole.
//!
//! One file, because a key without its certificate is worth nothing: a renewal that is interrupted leaves either the
//! old pair or the new one. Readable by its owner only; written beside, synced, renamed. The directory holds nothing
//! else of the agent: what it knows of the cluster it reads there.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{Error, Identity, Material};

/// The file's name in the state directory.
const FILE: &str = "identity.json";

/// The state directory.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Makes the directory if it does not exist.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn open(dir: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&dir).map_err(|source| Error::State {
            what: "make",
            path: dir.clone(),
            source,
        })?;
        Ok(Self { path: dir.join(FILE) })
    }

    /// Where the identity is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept; `None` when nothing is.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::Damaged`], [`Error::NotACluster`].
    pub fn load(&self) -> Result<Option<Identity>, Error> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::State { what: "read", path: self.path.clone(), source }),
        };
        let material: Material = serde_json::from_slice(&text)
            .map_err(|_| Error::Damaged { path: self.path.clone(), what: "its JSON" })?;
        Identity::from_material(material, &self.path).map(Some)
    }

    /// Replaces what is kept.
    ///
    /// # Errors
    /// [`Error::State`]; what was kept before is still there.
    pub fn save(&self, identity: &Identity) -> Result<(), Error> {
        let failed = |source| Error::State { what: "write", path: self.path.clone(), source };
        let text = serde_json::to_vec(identity.material()).map_err(|error| failed(error.into()))?;
        let beside = self.path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&beside, &self.path).map_err(failed)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}
