//! The credential that `ferry login` keeps.
//!
//! One file, `config.json`, of mode 0600 in a directory of mode 0700: the server, who we are, the CA, the certificate
//! and its private key. One file because key and certificate must change together: a renewal is a rename, so a crash
//! leaves the old pair or the new one, and two commands that renew at once each leave a whole pair. Lifetimes are
//! kept as the controller told them and as this machine's clock saw them; no certificate is parsed here.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// Everything needed to speak as somebody.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    /// Host and port of the controller.
    pub(crate) server: String,
    /// `spiffe://<trust-domain>/role/<role>/<name>`.
    pub(crate) identity: String,
    /// Roots to trust for the controller, PEM.
    pub(crate) ca_pem: String,
    /// The certificate, then intermediates, PEM.
    pub(crate) certificate_pem: String,
    /// Its key, PKCS#8 PEM.
    pub(crate) private_key_pem: String,
    /// When it was issued, by this machine's clock, Unix seconds.
    pub(crate) issued_unix_seconds: i64,
    /// End of validity, Unix seconds.
    pub(crate) expires_unix_seconds: i64,
}

impl Credential {
    /// The end of validity, if it has passed.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        let end = Timestamp::from_second(self.expires_unix_seconds).ok()?;
        (end <= now).then_some(end)
    }

    /// Whether two thirds of its life are over.
    pub(crate) fn renewal_due(&self, now: Timestamp) -> bool {
        let life = self.expires_unix_seconds.saturating_sub(self.issued_unix_seconds);
        now.as_second() >= self.issued_unix_seconds.saturating_add(life / 3 * 2)
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// `chosen` (`--config`, FERRY_CONFIG), else `$XDG_CONFIG_HOME/ferry`, else `~/.config/ferry`.
    pub(crate) fn locate(chosen: Option<PathBuf>) -> Result<Self, Failure> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        chosen
            .or_else(|| set("XDG_CONFIG_HOME").map(|base| base.join("ferry")))
            .or_else(|| set("HOME").map(|home| home.join(".config/ferry")))
            .map(|directory| Self { directory })
            .ok_or(Failure::NoConfigDirectory)
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    /// What `ferry login` kept.
    pub(crate) fn load(&self) -> Result<Credential, Failure> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::NotLoggedIn { path });
            }
            Err(source) => return Err(Failure::ReadConfig { path, source }),
        };
        serde_json::from_slice(&bytes).map_err(|source| Failure::DamagedConfig { path, source })
    }

    /// Keeps a credential in place of what was there; whole or not at all.
    pub(crate) fn save(&self, credential: &Credential) -> Result<(), Failure> {
        let path = self.path();
        write_whole(&self.directory, &path, credential)
            .map_err(|source| Failure::WriteConfig { path, source })
    }
}

fn write_whole(directory: &Path, path: &Path, credential: &Credential) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // tempfile creates with mode 0600, and the rename keeps it.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer_pretty(&mut file, credential)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
