//! What is guarded of one workload, by name, and the ConfigMap that lists it.
//!
//! A list is text with each entry on a line of its own and line breaks around it, so that CEL finds an entry by one
//! `contains` and never half of a name. Lists only grow while a guard stands: names of an earlier migration of the same
//! workload stay in them. The ConfigMap also says where the guard stands ([`State`]) and which policy and binding belong
//! to it, each by uid and generation: that is how an intruder's change of those is recognised.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use ferry_proto::agent::v1::{ClaimedVolume, VolumeId};

use crate::executor::object::{FERRY, MANAGED_BY};

/// Names of the lists in the ConfigMap.
const LISTS: [&str; 5] = ["claims", "pods", "volumes", "disks", "budgets"];

/// How far the guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being written; nothing relies on it yet.
    Installing,
    /// Enforced: what is missing of it now, somebody else took away.
    Standing,
    /// Being removed.
    Ending,
}

impl State {
    /// As the ConfigMap says it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Installing => "installing",
            Self::Standing => "standing",
            Self::Ending => "ending",
        }
    }
}

/// What is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Claims, tombstones among them.
    pub claims: BTreeSet<String>,
    /// Pods.
    pub pods: BTreeSet<String>,
    /// PersistentVolumes.
    pub volumes: BTreeSet<String>,
    /// Disks, as `<driver> <handle>`.
    pub disks: BTreeSet<String>,
    /// PodDisruptionBudgets.
    pub budgets: BTreeSet<String>,
}

impl Contents {
    /// What a ConfigMap's data lists.
    pub(crate) fn of(data: &Map<String, Value>) -> Self {
        let mut contents = Self::default();
        for (list, into) in LISTS.iter().zip(contents.lists_mut()) {
            let text = data.get(*list).and_then(Value::as_str).unwrap_or_default();
            into.extend(text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned));
        }
        contents
    }

    /// Takes in a disk by its identity.
    pub(crate) fn add_disk(&mut self, id: &VolumeId) {
        self.disks.insert(format!("{} {}", id.driver, id.handle));
    }

    /// Takes in the claim and the PersistentVolume of a disk.
    pub(crate) fn add_claimed(&mut self, claimed: &ClaimedVolume) {
        self.add_disk(&VolumeId { driver: claimed.driver.clone(), handle: claimed.handle.clone() });
        self.claims.extend(claimed.claim.as_ref().map(|claim| claim.name.clone()));
        self.volumes.extend(claimed.volume.as_ref().map(|volume| volume.name.clone()));
    }

    /// Everything of both.
    #[must_use]
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        for (into, from) in self.lists_mut().into_iter().zip(other.lists_mut()) {
            into.append(from);
        }
        self
    }

    /// Puts the lists and their digest into a ConfigMap's data.
    pub(crate) fn write(&self, data: &mut Map<String, Value>) {
        let mut hash = Sha256::new();
        for (list, names) in LISTS.iter().zip(self.lists()) {
            let text: String = names.iter().flat_map(|name| ["\n", name]).chain(["\n"]).collect();
            hash.update(list);
            hash.update(&text);
            data.insert((*list).to_owned(), text.into());
        }
        data.insert("digest".into(), short(&hash.finalize()).into());
    }

    fn lists(&self) -> [&BTreeSet<String>; 5] {
        [&self.claims, &self.pods, &self.volumes, &self.disks, &self.budgets]
    }

    fn lists_mut(&mut self) -> [&mut BTreeSet<String>; 5] {
        [&mut self.claims, &mut self.pods, &mut self.volumes, &mut self.disks, &mut self.budgets]
    }
}

/// The ConfigMap of that name, with `data`.
pub(crate) fn map(namespace: &str, name: &str, data: &Map<String, Value>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {MANAGED_BY: FERRY}},
        "data": data,
    })
}

/// The first half of a SHA-256, in hexadecimal: short enough for a label beside another.
pub(crate) fn short(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;
