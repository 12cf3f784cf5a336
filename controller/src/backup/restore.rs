//! A new data directory from a backup.
//!
//! Everything is checked before anything is written. The CA comes first and the journal last, in one rename: a directory with
//! a CA and no journal is one that no controller starts on, and that this may be tried on again.
//! Nothing here talks to a controller: whether one of the same ledger still runs elsewhere only people can know.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use ferry_core::AuditRecord;

use super::{Backup, Error};
use crate::{
    clock,
    identity::{authority, files},
    journal::{self, Embedded},
    limits,
};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// Of this backup.
    pub backup: Backup,
    /// The ledger's generation from now on.
    pub generation: u64,
    /// Migrations that were running when the backup was made.
    pub running: Vec<String>,
}

/// The text of our own CA's file; none if there is none.
pub(super) fn read_ca(path: &Path) -> Result<Option<String>, Error> {
    Ok(files::read_bounded(path, limits::MAX_PEM_FILE_BYTES)?)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limits::MAX_BACKUP_BYTES).read_to_end(&mut bytes))
        .map_err(|source| Error::Read { path: file.to_owned(), source })?;
    Ok(bytes)
}

/// Makes the data directory `dir` from the backup in `file`.
pub fn restore(file: &Path, dir: &Path) -> Result<Restored, Error> {
    let name = file.display().to_string();
    let backup = Backup::from_bytes(&name, &read(file)?)?;
    let mut state = backup.state(&name)?;
    if Embedded::exists(dir) {
        return Err(Error::Occupied { dir: dir.to_owned() });
    }
    let ca = authority::path(dir);
    if let Some(found) = authority::sha256_of(&ca)?.filter(|found| *found != backup.head.ca_sha256) {
        let short = |digest: &str| digest.chars().take(16).collect::<String>();
        let (found, expected) = (short(&found), short(&backup.head.ca_sha256));
        return Err(Error::OtherIdentity { dir: dir.to_owned(), found, expected });
    }
    state.restored();
    state.tokens.by_hash.clear();
    let generation = state.generation();
    let running: Vec<String> = state.work.keys().map(ToString::to_string).collect();
    let mut log = backup.audit().to_vec();
    let record = AuditRecord {
        at: clock::now(),
        by: "local".to_owned(),
        action: "restore".to_owned(),
        subject: format!("generation {generation}"),
        migration: None,
        result: "done".to_owned(),
        message: format!(
            "from a backup of {}, written by version {}",
            clock::of(backup.head.taken_at_ms),
            backup.head.controller_version
        ),
    };
    let number = log.last().map_or(0, |(number, _)| *number) + 1;
    log.push((number, serde_json::to_vec(&record).map_err(Error::Encode)?));
    let json = serde_json::to_vec(&state).map_err(Error::Encode)?;

    files::make_private_dir(dir)?;
    if let Some(pem) = &backup.head.ca {
        files::write_private(&ca, pem.as_bytes())?;
    }
    journal::restore(dir, &json, &log)?;
    // A socket of the controller that was here before would be asked for backups in vain.
    let _none = fs::remove_file(dir.join(super::socket::FILE));
    Ok(Restored { backup, generation, running })
}
