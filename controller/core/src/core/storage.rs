//! What admins say about storage, taken in.
//!
//! A domain changes the identity of every disk of that driver in that cluster, so it is refused while one of them
//! moves. Mappings change plans to come and nothing else: a running migration carries its own.
//! Whether a class or a driver exists is not asked here; a plan finds that out.

use crate::entry::Entry;
use crate::limits;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::storage::{StorageDomain, StorageMap};

use super::Step;

impl Step<'_> {
    pub(super) fn set_storage_domain(&mut self, set: StorageDomain) -> Reply {
        if let Err(rejection) = self.may_set_domain(&set) {
            return Reply::Rejected(rejection);
        }
        self.record(Entry::StorageDomainSet { set });
        Reply::StorageDomains(self.state.storage.domains.clone())
    }

    fn may_set_domain(&self, set: &StorageDomain) -> Result<(), Rejection> {
        if set.cluster.as_str().is_empty() || set.driver.is_empty() {
            return Err(Rejection::Invalid("a storage domain needs a cluster and a CSI driver".to_owned()));
        }
        // Both are in front of a slash where a volume's identity is written.
        if set.driver.contains('/') || set.domain.contains('/') {
            let message = format!(
                "driver `{}` and domain `{}`: expected names without a slash",
                set.driver, set.domain
            );
            return Err(Rejection::Invalid(message));
        }
        let moving = self.state.work.iter().find_map(|(id, work)| {
            let migration = self.state.migrations.get(id)?;
            let side = [&migration.from, &migration.to].contains(&&set.cluster);
            let moves = work.volumes.values().flatten().any(|volume| volume.driver == set.driver);
            (side && moves).then_some(id)
        });
        if let Some(id) = moving {
            return Err(Rejection::Busy(format!(
                "migration {id} moves disks of driver {} from or to {}: wait for it to end",
                set.driver, set.cluster
            )));
        }
        self.has_room(self.state.storage.domains.len(), set.domain.is_empty())
    }

    pub(super) fn add_storage_map(&mut self, map: StorageMap) -> Reply {
        let named = [map.from.as_str(), map.to.as_str(), &map.from_class, &map.to_class];
        if named.iter().any(|name| name.is_empty()) {
            let message = "a mapping needs two clusters and a StorageClass in each".to_owned();
            return Reply::Rejected(Rejection::Invalid(message));
        }
        let known = self.state.storage.maps.iter().any(|of| of.is_for_same(&map));
        if let Err(rejection) = self.has_room(self.state.storage.maps.len(), known) {
            return Reply::Rejected(rejection);
        }
        self.record(Entry::StorageMapAdded { map });
        Reply::StorageMaps(self.state.storage.maps.clone())
    }

    pub(super) fn remove_storage_map(&mut self, map: StorageMap) -> Reply {
        if !self.state.storage.maps.iter().any(|of| of.is_for_same(&map)) {
            let message = format!(
                "no mapping of StorageClass {} from {} to {} is set for {}: see `ferry storage map list`",
                map.from_class,
                map.from,
                map.to,
                map.namespace.as_deref().map_or("all namespaces".to_owned(), |of| format!("namespace {of}"))
            );
            return Reply::Rejected(Rejection::Invalid(message));
        }
        self.record(Entry::StorageMapRemoved { map });
        Reply::StorageMaps(self.state.storage.maps.clone())
    }

    fn has_room(&self, count: usize, replaces: bool) -> Result<(), Rejection> {
        if replaces || count < limits::STORAGE_SETTINGS {
            return Ok(());
        }
        Err(Rejection::Busy(format!(
            "{} such settings are kept already: take one away first",
            limits::STORAGE_SETTINGS
        )))
    }
}
