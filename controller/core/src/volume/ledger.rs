//! The records of the ledger and the questions asked of them.
//!
//! An ordinal and all its volumes change hands in one record, so there is no moment at which half of a replica
//! belongs to somebody (handoff.md section 5, step 1). Epochs only rise here; nothing lowers one.
//! What clusters show and what Ferry decided are kept apart here, and compared elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, Epoch, Ordinal, VolumeId, Workload};
use crate::limits;
use crate::time::Millis;
use crate::volume::inventory::VolumeSeen;

/// What one cluster shows of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// PersistentVolume there.
    pub pv_name: String,
    /// Its UID.
    pub pv_uid: String,
    /// Its `status.phase`.
    pub pv_phase: String,
    /// The claim it names; empty if none.
    pub claim_name: String,
    /// Bound to a live claim, or attached somewhere (I1).
    pub usable: bool,
}

/// A volume, and each cluster that shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// The workload it belongs to.
    pub workload: Workload,
    /// The ordinal.
    pub ordinal: Ordinal,
    /// By cluster.
    pub sightings: BTreeMap<ClusterName, Sighting>,
    /// Since when no cluster shows it.
    pub missing_since: Option<Millis>,
}

impl VolumeRecord {
    /// Clusters in which it is usable: more than one breaks I1.
    pub fn usable_in(&self) -> impl Iterator<Item = &ClusterName> {
        self.sightings.iter().filter(|(_, sighting)| sighting.usable).map(|(cluster, _)| cluster)
    }

    /// Whether it is usable in two clusters.
    #[must_use]
    pub fn is_in_conflict(&self) -> bool {
        self.usable_in().nth(1).is_some()
    }
}

/// Who may run an ordinal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Custody {
    /// That cluster.
    Owned {
        /// The owner.
        cluster: ClusterName,
    },
    /// The source still holds it and is told to let go.
    Releasing {
        /// Source.
        from: ClusterName,
        /// Target.
        to: ClusterName,
    },
    /// The source has proven that it let go; the target may take it.
    Granted {
        /// Source.
        from: ClusterName,
        /// Target.
        to: ClusterName,
    },
    /// The target was never asked to take it, or has proven that it will not: the source takes it back.
    Reclaiming {
        /// Source.
        from: ClusterName,
        /// Target.
        to: ClusterName,
    },
}

/// One ordinal with all its volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdinalRecord {
    /// Who may run it.
    pub custody: Custody,
    /// Its fencing number.
    pub epoch: Epoch,
    /// Its volumes.
    pub volumes: Vec<VolumeId>,
}

/// A workload that was moved, or is being moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadRecord {
    /// Its ordinals.
    pub ordinals: BTreeMap<Ordinal, OrdinalRecord>,
    /// UIDs of StatefulSets that are ours, by cluster.
    pub known_uids: BTreeMap<ClusterName, BTreeSet<String>>,
    /// Migrations started.
    pub migrations: u64,
}

impl WorkloadRecord {
    /// UIDs of StatefulSets of that cluster that are ours.
    #[must_use]
    pub fn known_in(&self, cluster: &ClusterName) -> Vec<String> {
        self.known_uids.get(cluster).map(|uids| uids.iter().cloned().collect()).unwrap_or_default()
    }
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Every volume of every StatefulSet of every cluster.
    pub volumes: BTreeMap<VolumeId, VolumeRecord>,
    /// Every workload that Ferry moved or moves.
    pub workloads: BTreeMap<Workload, WorkloadRecord>,
}

impl Ledger {
    /// Its volumes that are usable in two clusters, also where another one shows them under another workload's name.
    pub fn conflicts<'a>(
        &'a self,
        workload: &'a Workload,
    ) -> impl Iterator<Item = (&'a VolumeId, &'a VolumeRecord)> {
        let owned: BTreeSet<&VolumeId> = self
            .workloads
            .get(workload)
            .into_iter()
            .flat_map(|record| record.ordinals.values().flat_map(|ordinal| &ordinal.volumes))
            .collect();
        self.volumes.iter().filter(move |(id, record)| {
            (record.workload == *workload || owned.contains(id)) && record.is_in_conflict()
        })
    }

    /// The first of these volumes that is usable in a cluster that is none of `sides`, and that cluster.
    pub(crate) fn usable_beside(
        &self,
        volumes: impl Iterator<Item = VolumeId>,
        sides: [&ClusterName; 2],
    ) -> Option<(VolumeId, ClusterName)> {
        volumes.into_iter().find_map(|id| {
            let beside = self.volumes.get(&id)?.usable_in().find(|cluster| !sides.contains(cluster))?.clone();
            Some((id, beside))
        })
    }

    /// The epoch of an ordinal; 1 for one that never moved.
    #[must_use]
    pub fn epoch(&self, workload: &Workload, ordinal: Ordinal) -> Epoch {
        self.workloads
            .get(workload)
            .and_then(|record| record.ordinals.get(&ordinal))
            .map_or(Epoch(1), |record| record.epoch)
    }

    /// These disks get a new owner: whichever ordinals had them before, of the same workload or of one that is not
    /// there any more, have them no longer (I1).
    pub(crate) fn take_over(&mut self, volumes: impl Iterator<Item = VolumeId>) {
        let volumes: BTreeSet<VolumeId> = volumes.collect();
        for ordinal in self.workloads.values_mut().flat_map(|record| record.ordinals.values_mut()) {
            ordinal.volumes.retain(|volume| !volumes.contains(volume));
        }
    }

    /// Takes over what changed in one cluster's view.
    pub(crate) fn see(&mut self, cluster: &ClusterName, seen: &[VolumeSeen], gone: &[VolumeId], at: Millis) {
        for volume in seen {
            let record = self.volumes.entry(volume.id.clone()).or_default();
            let first = record.sightings.is_empty();
            if first || volume.sighting.usable {
                record.workload = volume.workload.clone();
                record.ordinal = volume.ordinal;
            }
            record.missing_since = None;
            record.sightings.insert(cluster.clone(), volume.sighting.clone());
        }
        for id in gone {
            self.forget_sighting(cluster, id, at);
        }
        self.drop_oldest_missing();
    }

    /// That cluster does not show the volume any more.
    pub(crate) fn forget_sighting(&mut self, cluster: &ClusterName, id: &VolumeId, at: Millis) {
        if let Some(record) = self.volumes.get_mut(id) {
            record.sightings.remove(cluster);
            if record.sightings.is_empty() && record.missing_since.is_none() {
                record.missing_since = Some(at);
            }
        }
    }

    /// The driver's disks in that cluster are of another array from now on: another identity for each, and for what the
    /// ledger says of the replicas that the cluster owns.
    pub(crate) fn rename(&mut self, cluster: &ClusterName, (driver, before, after): (&str, &str, &str)) {
        if before == after {
            return;
        }
        let is_of = |id: &VolumeId| id.driver == driver && id.domain == before;
        let renamed = |id: &VolumeId| VolumeId { domain: after.to_owned(), ..id.clone() };
        let shown: Vec<VolumeId> = self
            .volumes
            .iter()
            .filter(|(id, record)| is_of(id) && record.sightings.contains_key(cluster))
            .map(|(id, _)| id.clone())
            .collect();
        for id in shown {
            let Some(record) = self.volumes.get_mut(&id) else { continue };
            let (workload, ordinal) = (record.workload.clone(), record.ordinal);
            let sighting = record.sightings.remove(cluster);
            if record.sightings.is_empty() {
                self.volumes.remove(&id);
            }
            let record = self.volumes.entry(renamed(&id)).or_default();
            if record.sightings.is_empty() {
                (record.workload, record.ordinal) = (workload, ordinal);
            }
            record.missing_since = None;
            record.sightings.extend(sighting.map(|sighting| (cluster.clone(), sighting)));
        }
        let owned = Custody::Owned { cluster: cluster.clone() };
        for ordinal in self.workloads.values_mut().flat_map(|record| record.ordinals.values_mut()) {
            for id in ordinal.volumes.iter_mut().filter(|id| ordinal.custody == owned && is_of(id)) {
                *id = renamed(id);
            }
        }
    }

    fn drop_oldest_missing(&mut self) {
        let mut missing: Vec<(Millis, VolumeId)> = self
            .volumes
            .iter()
            .filter_map(|(id, record)| record.missing_since.map(|since| (since, id.clone())))
            .collect();
        if missing.len() <= limits::MISSING_VOLUMES {
            return;
        }
        missing.sort();
        let excess = missing.len() - limits::MISSING_VOLUMES;
        for (_, id) in missing.into_iter().take(excess) {
            self.volumes.remove(&id);
        }
    }
}
