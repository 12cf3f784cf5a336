//! Migrations as watchers see them: the latest of each, never a backlog.
//!
//! The loop replaces a migration's picture and raises one number; each watcher remembers the number it has seen and
//! takes what is newer. A slow watcher skips what lies between, holds no memory of ours, and delays nobody. Pictures
//! are of committed state only: the loop changes them when it releases effects, after the commit.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use ferry_core::{Migration, MigrationId, State};
use tokio::sync::watch;

/// One picture of a migration.
#[derive(Clone, Debug)]
pub struct Change {
    version: u64,
    /// The migration as it was then.
    pub migration: Arc<Migration>,
}

/// The latest picture of every migration.
#[derive(Debug)]
pub struct Migrations {
    latest: RwLock<BTreeMap<MigrationId, Change>>,
    version: watch::Sender<u64>,
}

impl Migrations {
    /// Pictures of a recovered state.
    #[must_use]
    pub fn new(state: &State) -> Self {
        let picture = |migration: &Migration| Change { version: 1, migration: Arc::new(migration.clone()) };
        let latest =
            state.migrations.iter().map(|(id, migration)| (id.clone(), picture(migration))).collect();
        Self { latest: RwLock::new(latest), version: watch::Sender::new(1) }
    }

    /// Takes the new picture of one migration; forgets those that the state has dropped.
    pub(super) fn changed(&self, id: &MigrationId, state: &State) {
        let version = *self.version.borrow() + 1;
        {
            let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
            match state.migrations.get(id) {
                Some(migration) => {
                    latest.insert(id.clone(), Change { version, migration: Arc::new(migration.clone()) });
                }
                None => {
                    latest.remove(id);
                }
            }
            if latest.len() > state.migrations.len() {
                latest.retain(|id, _| state.migrations.contains_key(id));
            }
        }
        self.version.send_replace(version);
    }

    /// A watcher of one migration, or of all; `None` if there is no such migration.
    #[must_use]
    pub fn watch(self: &Arc<Self>, id: Option<MigrationId>) -> Option<Watcher> {
        if let Some(id) = &id {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            latest.get(id)?;
        }
        Some(Watcher { of: id, seen: 0, version: self.version.subscribe(), migrations: Arc::clone(self) })
    }
}

/// One watcher's place.
pub struct Watcher {
    of: Option<MigrationId>,
    seen: u64,
    version: watch::Receiver<u64>,
    migrations: Arc<Migrations>,
}

impl Watcher {
    /// What changed since the last call, oldest change first; at first everything. Waits until there is something;
    /// `None` when the loop is gone.
    pub async fn changes(&mut self) -> Option<Vec<Change>> {
        loop {
            self.version.borrow_and_update();
            let mut changes = self.newer();
            if let Some(last) = changes.iter().map(|change| change.version).max() {
                self.seen = last;
                changes.sort_by_key(|change| (change.version, change.migration.number));
                return Some(changes);
            }
            self.version.changed().await.ok()?;
        }
    }

    fn newer(&self) -> Vec<Change> {
        let latest = self.migrations.latest.read().unwrap_or_else(PoisonError::into_inner);
        let new = |change: &&Change| change.version > self.seen;
        match &self.of {
            Some(id) => latest.get(id).filter(new).cloned().into_iter().collect(),
            None => latest.values().filter(new).cloned().collect(),
        }
    }
}
