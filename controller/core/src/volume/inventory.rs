//! From an inventory to what changed in the ledger's volumes.
//!
//! Inventories are whole and come often; the journal takes only differences. Volumes without an identity of their
//! own (in-tree plugins, empty handles) are left out: they cannot be told apart between clusters, so no conflict can
//! be seen on them, and the agents' checks refuse to move them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::{Inventory, InventoryVolume};
use crate::ids::{ClusterName, Ordinal, VolumeId, Workload};
use crate::limits;
use crate::storage::Storage;
use crate::volume::{Ledger, Sighting};

/// A volume that is new in a cluster's view, or is there in another way than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSeen {
    /// Its identity.
    pub id: VolumeId,
    /// The workload that its claim's name matches.
    pub workload: Workload,
    /// The ordinal.
    pub ordinal: Ordinal,
    /// What the cluster shows.
    pub sighting: Sighting,
}

fn seen(storage: &Storage, cluster: &ClusterName, volume: &InventoryVolume) -> Option<VolumeSeen> {
    if volume.handle.is_empty() || volume.driver.is_empty() || volume.driver.contains('/') {
        return None;
    }
    let bound = volume.pv_phase == "Bound" && !volume.claim_uid.is_empty();
    Some(VolumeSeen {
        id: storage.volume(cluster, &volume.driver, &volume.handle),
        workload: volume.workload.clone(),
        ordinal: volume.ordinal,
        sighting: Sighting {
            pv_name: volume.pv_name.clone(),
            pv_uid: volume.pv_uid.clone(),
            pv_phase: volume.pv_phase.clone(),
            claim_name: volume.claim_name.clone(),
            usable: bound || !volume.attachment_nodes.is_empty(),
        },
    })
}

/// What an inventory changes: volumes seen anew or otherwise, and volumes that are gone from the cluster's view.
pub(crate) fn changes(
    (ledger, storage): (&Ledger, &Storage),
    cluster: &ClusterName,
    inventory: &Inventory,
) -> (Vec<VolumeSeen>, Vec<VolumeId>) {
    let mut now: BTreeMap<VolumeId, VolumeSeen> = BTreeMap::new();
    for volume in inventory.volumes.iter().take(limits::INVENTORY_VOLUMES) {
        let Some(volume) = seen(storage, cluster, volume) else { continue };
        // Two PersistentVolumes of one handle: the usable one is what counts.
        let keep = now.get(&volume.id).is_none_or(|known| volume.sighting.usable && !known.sighting.usable);
        if keep {
            now.insert(volume.id.clone(), volume);
        }
    }
    let gone = ledger
        .volumes
        .iter()
        .filter(|(id, record)| record.sightings.contains_key(cluster) && !now.contains_key(id))
        .map(|(id, _)| id.clone())
        .collect();
    let changed = now
        .into_values()
        .filter(|volume| {
            ledger.volumes.get(&volume.id).is_none_or(|record| {
                let moved = record.workload != volume.workload || record.ordinal != volume.ordinal;
                record.sightings.get(cluster) != Some(&volume.sighting) || (moved && volume.sighting.usable)
            })
        })
        .collect();
    (changed, gone)
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
