//! Why the last stream of a cluster's agent was refused, for those who wonder where it is.
//!
//! An agent of another wire version never attaches, so the ledger knows nothing of it: without this a person would read
//! that it is not attached, and nothing of why. One line a cluster, kept until its agent attaches or the process ends;
//! only who has that cluster's certificate can put one here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ferry_core::ClusterName;

/// Reasons by cluster; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<ClusterName, String>>>);

impl Refusals {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<ClusterName, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why a cluster's agent was refused.
    pub fn note(&self, cluster: &ClusterName, reason: &str) {
        self.locked().insert(cluster.clone(), reason.to_owned());
    }

    /// It attached.
    pub fn forget(&self, cluster: &ClusterName) {
        self.locked().remove(cluster);
    }

    /// Why it was refused last.
    #[must_use]
    pub fn of(&self, cluster: &ClusterName) -> Option<String> {
        self.locked().get(cluster).cloned()
    }
}
