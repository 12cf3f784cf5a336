//! The durable state: the fold of the journal's entries.
//!
//! A snapshot is its JSON, byte for byte the same however it was reached; recovery is a snapshot and the entries
//! after it. Only [`State::apply`] changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::ids::MigrationId;
use crate::migration::Migration;
use crate::tokens::Tokens;

/// The durable state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Join tokens.
    pub tokens: Tokens,
    /// Migrations, running and ended.
    pub migrations: BTreeMap<MigrationId, Migration>,
    /// How often this ledger was restored from a backup.
    pub restores: u64,
}

impl State {
    /// Restore generation of the ledger (H18), as commands and `Attached` carry it: 1 for one never restored.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.restores + 1
    }

    /// Applies one entry: total and deterministic.
    pub fn apply(&mut self, entry: &Entry) {
        match *entry {}
    }
}
