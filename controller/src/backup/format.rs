//! The file: lines of text, so that somebody who needs it can look into it without this program.
//!
//! ```text
//! ferry-backup 1                  what it is, and its format
//! {"controllerVersion":...}       the head, JSON: which controller, when, its CA
//! {"tokens":...}                  the ledger, JSON
//! 17 {"at":...}                   the audit log, oldest first: number and record, JSON
//! sha256 9f86d0...                of all lines before: `head -n -1 FILE | sha256sum`
//! ```
//!
//! The first line is read before the checksum, because a file of another format has its checksum elsewhere. It guards
//! against damage, not against an attacker: who can write the file can write the ledger.

use ferry_core::{Millis, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;
use crate::{clock, event_loop::LedgerCopy, identity::token::hex, journal::Numbered};

/// First words of the file.
const MAGIC: &str = "ferry-backup ";
/// Format written now.
const FORMAT: u32 = 1;
/// Before the checksum, on the last line.
const CHECKSUM: &str = "sha256 ";

/// Which controller a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Version of the controller that wrote it.
    pub controller_version: String,
    /// When, Unix time in milliseconds.
    pub taken_at_ms: Millis,
    /// Trust domain of its identities.
    pub trust_domain: String,
    /// SHA-256 of its CA's certificate, hexadecimal.
    pub ca_sha256: String,
    /// Its own CA, certificate and key, PEM; none if it was supplied: then it has to be supplied again.
    pub ca: Option<String>,
    /// Restore generation of the ledger.
    pub generation: u64,
}

/// Everything that makes a controller the one that it is.
#[derive(Debug)]
pub struct Backup {
    /// Which.
    pub head: Head,
    /// The ledger, JSON.
    state: Vec<u8>,
    /// The audit log, oldest first.
    audit: Vec<Numbered>,
}

impl Backup {
    /// Of a copy of the ledger.
    #[must_use]
    pub fn new(copy: LedgerCopy, trust_domain: &str, ca: Option<String>, ca_sha256: [u8; 32]) -> Self {
        let head = Head {
            controller_version: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at_ms: clock::now(),
            trust_domain: trust_domain.to_owned(),
            ca_sha256: hex(&ca_sha256),
            ca,
            generation: copy.generation,
        };
        Self { head, state: copy.state, audit: copy.audit }
    }

    /// As the file's content.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = format!("{MAGIC}{FORMAT}\n").into_bytes();
        serde_json::to_writer(&mut bytes, &self.head).map_err(Error::Encode)?;
        bytes.push(b'\n');
        // JSON on one line: it has no line breaks but escaped ones.
        bytes.extend_from_slice(&self.state);
        bytes.push(b'\n');
        for (number, record) in &self.audit {
            bytes.extend_from_slice(format!("{number} ").as_bytes());
            bytes.extend_from_slice(record);
            bytes.push(b'\n');
        }
        let checksum = hex(&Sha256::digest(&bytes));
        bytes.extend_from_slice(format!("{CHECKSUM}{checksum}\n").as_bytes());
        Ok(bytes)
    }

    /// From the file's content; `name` is for messages.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |found: &str| Error::Damaged { name: name.to_owned(), found: found.to_owned() };
        check_format(name, bytes)?;
        let tail = CHECKSUM.len() + 2 * 32 + 1;
        let (body, last) = bytes.split_at_checked(bytes.len().saturating_sub(tail)).unwrap_or_default();
        let said = std::str::from_utf8(last).ok();
        let said = said.and_then(|line| line.strip_prefix(CHECKSUM)?.strip_suffix('\n'));
        if said.ok_or_else(|| damaged("its end is missing"))? != hex(&Sha256::digest(body)) {
            return Err(damaged("its checksum does not fit"));
        }
        let mut lines = body.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty());
        let head = lines.next().ok_or_else(|| damaged("it has no head"))?;
        let head = serde_json::from_slice(head).map_err(|error| damaged(&format!("its head: {error}")))?;
        let state = lines.next().ok_or_else(|| damaged("it has no ledger"))?.to_vec();
        let audit = lines.map(|line| numbered(line).ok_or_else(|| damaged("a line of its audit log")));
        Ok(Self { head, state, audit: audit.collect::<Result<_, _>>()? })
    }

    /// The ledger.
    pub(super) fn state(&self, name: &str) -> Result<State, Error> {
        serde_json::from_slice(&self.state).map_err(|source| Error::Ledger {
            name: name.to_owned(),
            version: self.head.controller_version.clone(),
            source,
        })
    }

    /// The audit log, oldest first.
    pub(super) fn audit(&self) -> &[Numbered] {
        &self.audit
    }
}

fn check_format(name: &str, bytes: &[u8]) -> Result<(), Error> {
    let foreign = |found: &str| Error::Foreign { name: name.to_owned(), found: found.to_owned() };
    if bytes.is_empty() {
        return Err(foreign("it is empty"));
    }
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let format = std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix(MAGIC));
    match format.and_then(|number| number.parse::<u32>().ok()) {
        None => Err(foreign("its first line is not that of a backup")),
        Some(FORMAT) => Ok(()),
        Some(found) => Err(Error::Format { name: name.to_owned(), found, expected: FORMAT }),
    }
}

fn numbered(line: &[u8]) -> Option<Numbered> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
    Some((number, line[space + 1..].to_vec()))
}
